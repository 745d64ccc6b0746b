//! The few requests that are sent, as the API documents them. Objects stay JSON: what is not looked at costs nothing and cannot
//! break when the API grows.

use std::time::Duration;

use futures_util::{AsyncBufRead, TryStreamExt};
use http::{Method, Request};
use serde_json::Value;
use tokio::time::timeout;

use crate::connect::Cluster;
use crate::error::{ClusterError, Doing, ErrorKind};

/// Longest wait for an answer that is no stream.
const ANSWER: Duration = Duration::from_secs(30);
/// Pauses before a read is repeated that the server could not answer (429, 5xx).
const REPEATS: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// How often an expired list is begun again before it is asked for in one piece.
const RESTARTS: u32 = 3;
/// Only metadata: what a server sends back has no `data`, `spec` or `status`.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version of the group.
    pub version: &'static str,
    /// Name in paths and in RBAC.
    pub plural: &'static str,
    /// `kind` of the objects.
    pub kind: &'static str,
    /// Whether objects belong to a namespace.
    pub namespaced: bool,
}

impl Resource {
    /// A kind whose objects belong to a namespace.
    #[must_use]
    pub const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { group, version, plural, kind, namespaced: true }
    }

    /// The same, for the whole cluster.
    #[must_use]
    pub const fn cluster_wide(mut self) -> Self {
        self.namespaced = false;
        self
    }

    /// The name that RBAC and people use: `cronjobs.batch`, `pods`.
    #[must_use]
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `batch/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path =
            if self.group.is_empty() { "/api/".to_owned() } else { format!("/apis/{}/", self.group) };
        path.push_str(self.version);
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push_str(&format!("/{}", self.plural));
        if let Some(name) = name {
            path.push_str(&format!("/{name}"));
        }
        path
    }
}

/// CronJobs.
pub const CRON_JOBS: Resource = Resource::new("batch", "v1", "cronjobs", "CronJob");
/// Jobs.
pub const JOBS: Resource = Resource::new("batch", "v1", "jobs", "Job");
/// Pods.
pub const PODS: Resource = Resource::new("", "v1", "pods", "Pod");
/// Namespaces.
pub const NAMESPACES: Resource = Resource::new("", "v1", "namespaces", "Namespace").cluster_wide();

/// A list, and the version it was true at.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The objects, with `apiVersion` and `kind` filled in.
    pub items: Vec<Value>,
    /// Where a watch can go on.
    pub version: String,
}

/// What is listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Select<'a> {
    /// One namespace; `None` is all of them.
    pub namespace: Option<&'a str>,
    /// A label selector; empty is everything.
    pub labels: &'a str,
}

impl Select<'_> {
    fn words(&self, verb: &str, resource: &Resource) -> String {
        match (resource.namespaced, self.namespace) {
            (false, _) => format!("{verb} {}", resource.full_name()),
            (true, Some(namespace)) => format!("{verb} {} in namespace {namespace}", resource.full_name()),
            (true, None) => format!("{verb} {} in all namespaces", resource.full_name()),
        }
    }
}

impl Cluster {
    /// All objects of a kind, page by page. A list that expires on the way (410) is begun again.
    ///
    /// # Errors
    /// As the server or the network have it.
    pub async fn list(&self, resource: &Resource, select: Select<'_>) -> Result<Listing, ClusterError> {
        self.list_as(resource, select, None).await
    }

    /// Names and labels of all objects of a kind: nothing else is sent by the server.
    ///
    /// # Errors
    /// As the server or the network have it.
    pub async fn list_metadata(
        &self,
        resource: &Resource,
        select: Select<'_>,
    ) -> Result<Listing, ClusterError> {
        self.list_as(resource, select, Some(METADATA)).await
    }

    async fn list_as(
        &self,
        resource: &Resource,
        select: Select<'_>,
        accept: Option<&str>,
    ) -> Result<Listing, ClusterError> {
        let mut restarts = 0;
        loop {
            let paged = restarts < RESTARTS;
            match self.list_once(resource, select, accept, paged).await {
                Err(error) if error.kind == ErrorKind::Expired && paged => restarts += 1,
                other => return other,
            }
        }
    }

    async fn list_once(
        &self,
        resource: &Resource,
        select: Select<'_>,
        accept: Option<&str>,
        paged: bool,
    ) -> Result<Listing, ClusterError> {
        let action = select.words("list", resource);
        let doing = Doing { action: &action, server: &self.server };
        let mut listing = Listing::default();
        let mut go_on = String::new();
        loop {
            let mut query = Vec::new();
            if paged {
                query.push(("limit", self.page_size.to_string()));
            }
            if !select.labels.is_empty() {
                query.push(("labelSelector", select.labels.to_owned()));
            }
            if !go_on.is_empty() {
                query.push(("continue", go_on.clone()));
            }
            let uri = with_query(resource.path(select.namespace, None), &query);
            let mut page = self.read(doing, &uri, accept).await?;
            let Some(items) = page.get_mut("items").and_then(|items| match items {
                Value::Array(items) => Some(std::mem::take(items)),
                Value::Null => Some(Vec::new()),
                _ => None,
            }) else {
                return Err(doing.not_understood("no list of items"));
            };
            listing.items.extend(items.into_iter().map(|item| named(item, resource)));
            let text = |key: &str| page.pointer(&format!("/metadata/{key}")).and_then(Value::as_str);
            listing.version = text("resourceVersion").unwrap_or_default().to_owned();
            let next = text("continue").unwrap_or_default().to_owned();
            if next.is_empty() {
                return Ok(listing);
            }
            if next == go_on {
                return Err(doing.not_understood("the same page again and again"));
            }
            go_on = next;
        }
    }

    /// One object.
    ///
    /// # Errors
    /// As the server or the network have it.
    pub async fn get(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Value, ClusterError> {
        let action = one("get", resource, namespace, name);
        let doing = Doing { action: &action, server: &self.server };
        let uri = resource.path(Some(namespace), Some(name));
        Ok(named(self.read(doing, &uri, None).await?, resource))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As the server or the network have it.
    pub async fn create(
        &self,
        resource: &Resource,
        namespace: &str,
        object: &Value,
    ) -> Result<Value, ClusterError> {
        let action = format!("create {} in namespace {namespace}", resource.full_name());
        let doing = Doing { action: &action, server: &self.server };
        let request = Request::post(resource.path(Some(namespace), None))
            .header(http::header::CONTENT_TYPE, "application/json");
        self.answer(doing, request, object.to_string().into_bytes()).await
    }

    /// Deletes an object; what it owns goes after it.
    ///
    /// # Errors
    /// As the server or the network have it; that it is gone already is none.
    pub async fn delete(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), ClusterError> {
        let action = one("delete", resource, namespace, name);
        let doing = Doing { action: &action, server: &self.server };
        let uri = with_query(
            resource.path(Some(namespace), Some(name)),
            &[("propagationPolicy", "Background".to_owned())],
        );
        let request = Request::builder().method(Method::DELETE).uri(uri);
        match self.answer(doing, request, Vec::new()).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// The log of a container, as it grows, to the end of the container.
    ///
    /// # Errors
    /// As the server or the network have it.
    pub async fn follow_log(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
    ) -> Result<impl AsyncBufRead + use<>, ClusterError> {
        let action = format!("read the log (get pods/log) of {container} in pod {namespace}/{pod}");
        let doing = Doing { action: &action, server: &self.server };
        let path = format!("{}/log", PODS.path(Some(namespace), Some(pod)));
        let uri = with_query(path, &[("container", container.to_owned()), ("follow", "true".to_owned())]);
        let request = finish(Request::get(uri), Vec::new(), doing)?;
        self.client.request_stream(request).await.map_err(|error| doing.failed(&error))
    }

    /// Returns when something selected has changed since `version`, when the watch ends (it expires, 410, or the connection
    /// breaks), or when the time is over. Whoever waits looks again either way, so nothing can be lost.
    ///
    /// # Errors
    /// When the server refuses: the caller then has to ask again and again.
    pub async fn wait_for_change(
        &self,
        resource: &Resource,
        select: Select<'_>,
        version: &str,
        longest: Duration,
    ) -> Result<(), ClusterError> {
        let action = select.words("watch", resource);
        let doing = Doing { action: &action, server: &self.server };
        let mut query = vec![
            ("watch", "true".to_owned()),
            ("resourceVersion", version.to_owned()),
            ("timeoutSeconds", longest.as_secs().max(1).to_string()),
        ];
        if !select.labels.is_empty() {
            query.push(("labelSelector", select.labels.to_owned()));
        }
        let uri = with_query(resource.path(select.namespace, None), &query);
        let request = finish(Request::get(uri), Vec::new(), doing)?;
        let wait = async {
            let events = self.client.request_events::<Value>(request).await?;
            let mut events = std::pin::pin!(events);
            events.try_next().await.map(|_| ())
        };
        match timeout(longest, wait).await {
            Ok(Err(error)) => {
                let error = doing.failed(&error);
                if error.kind == ErrorKind::Refused { Err(error) } else { Ok(()) }
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Reads, and tries again when the server has a bad moment.
    async fn read(&self, doing: Doing<'_>, uri: &str, accept: Option<&str>) -> Result<Value, ClusterError> {
        let mut pauses = REPEATS.iter();
        loop {
            let mut request = Request::get(uri);
            if let Some(accept) = accept {
                request = request.header(http::header::ACCEPT, accept);
            }
            match self.answer(doing, request, Vec::new()).await {
                Err(error) if error.kind == ErrorKind::Server => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(error),
                },
                other => return other,
            }
        }
    }

    async fn answer(
        &self,
        doing: Doing<'_>,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Value, ClusterError> {
        let request = finish(request, body, doing)?;
        // As text first: the client would write an answer that is no JSON into the log of the program.
        let text = match timeout(ANSWER, self.client.request_text(request)).await {
            Ok(answer) => answer.map_err(|error| doing.failed(&error))?,
            Err(_) => return Err(doing.timed_out(ANSWER.as_secs())),
        };
        serde_json::from_str(&text).map_err(|error| doing.not_understood(&error.to_string()))
    }
}

fn finish(
    request: http::request::Builder,
    body: Vec<u8>,
    doing: Doing<'_>,
) -> Result<Request<Vec<u8>>, ClusterError> {
    request.body(body).map_err(|error| doing.not_understood(&error.to_string()))
}

fn one(verb: &str, resource: &Resource, namespace: &str, name: &str) -> String {
    if resource.namespaced {
        format!("{verb} {} {namespace}/{name}", resource.full_name())
    } else {
        format!("{verb} {} {name}", resource.full_name())
    }
}

/// Items of a list do not say what they are; all objects say who wrote which field, which is most of their bulk.
fn named(mut item: Value, resource: &Resource) -> Value {
    if let Some(Value::Object(metadata)) = item.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    if let Value::Object(fields) = &mut item {
        fields.insert("apiVersion".to_owned(), resource.api_version().into());
        fields.insert("kind".to_owned(), resource.kind.into());
    }
    item
}

fn with_query(path: String, query: &[(&str, String)]) -> String {
    let mut uri = path;
    for (index, (key, value)) in query.iter().enumerate() {
        uri.push(if index == 0 { '?' } else { '&' });
        uri.push_str(key);
        uri.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => uri.push(byte.into()),
                other => uri.push_str(&format!("%{other:02X}")),
            }
        }
    }
    uri
}
