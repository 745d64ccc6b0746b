//! Answers of the test's API server, in the shapes that the API documents.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Extract};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::server::{Seen, Shared, State, TOKEN};

/// Kinds that this cluster knows: plural, group, kind.
const KINDS: &[(&str, &str, &str)] = &[
    ("namespaces", "", "Namespace"),
    ("pods", "", "Pod"),
    ("services", "", "Service"),
    ("configmaps", "", "ConfigMap"),
    ("secrets", "", "Secret"),
    ("cronjobs", "batch", "CronJob"),
    ("jobs", "batch", "Job"),
    ("deployments", "apps", "Deployment"),
    ("statefulsets", "apps", "StatefulSet"),
    ("daemonsets", "apps", "DaemonSet"),
    ("replicasets", "apps", "ReplicaSet"),
    ("networkpolicies", "networking.k8s.io", "NetworkPolicy"),
    ("ingresses", "networking.k8s.io", "Ingress"),
    ("horizontalpodautoscalers", "autoscaling", "HorizontalPodAutoscaler"),
    ("poddisruptionbudgets", "policy", "PodDisruptionBudget"),
];

/// A path of the API, taken apart.
struct Target {
    group: String,
    plural: String,
    namespace: Option<String>,
    name: Option<String>,
    sub: Option<String>,
}

fn target(path: &str) -> Option<Target> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _version, rest @ ..] => ("", rest),
        ["apis", group, _version, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", space, rest @ ..] if !rest.is_empty() => (Some((*space).to_owned()), rest),
        rest => (None, rest),
    };
    let own = |index: usize| rest.get(index).map(|part: &&str| (*part).to_owned());
    Some(Target { group: group.to_owned(), plural: own(0)?, namespace, name: own(1), sub: own(2) })
}

fn query(request: &Request) -> BTreeMap<String, String> {
    let pairs = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.replace("%3D", "=").replace("%2F", "/"))).collect()
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": code.as_u16()});
    (code, [(header::CONTENT_TYPE, "application/json")], status.to_string()).into_response()
}

fn good(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// What is answered before the request is looked at.
fn mood(shared: &Shared, request: &Request) -> Option<Response> {
    if shared.lock().moods.html {
        return Some(([(header::CONTENT_TYPE, "text/html")], "<html>Please log in</html>").into_response());
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {TOKEN}")) {
        return Some(failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"));
    }
    let unavailable = {
        let mut state = shared.lock();
        let left = state.moods.unavailable;
        state.moods.unavailable = left.saturating_sub(1);
        left > 0
    };
    unavailable.then(|| failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "apiserver not ready"))
}

/// Answers one request.
pub async fn answer(Extract(shared): Extract<Shared>, request: Request) -> Response {
    if let Some(response) = mood(&shared, &request) {
        return response;
    }
    let Some(target) = target(request.uri().path()) else {
        return failure(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        );
    };
    let query = query(&request);
    let verb = match (request.method(), &target.name, query.get("watch").map(String::as_str)) {
        (&Method::GET, None, Some("true")) => "watch",
        (&Method::GET, None, _) => "list",
        (&Method::GET, Some(_), _) => "get",
        (&Method::POST, ..) => "create",
        (&Method::DELETE, ..) => "delete",
        _ => "other",
    };
    let sub = target.sub.as_ref().map_or_else(String::new, |sub| format!("/{sub}"));
    let resource = format!("{}{sub}", target.plural);
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let seen = Seen {
        verb,
        group: target.group.clone(),
        resource: resource.clone(),
        namespace: target.namespace.clone(),
        accept: accept.unwrap_or_default().to_owned(),
        query: query.clone(),
    };
    shared.lock().seen.push(seen);
    if shared.lock().moods.forbidden.contains(&format!("{verb} {resource}")) {
        let scope = target
            .namespace
            .as_ref()
            .map_or("at the cluster scope".to_owned(), |space| format!("in the namespace \"{space}\""));
        let full =
            if target.group.is_empty() { resource.clone() } else { format!("{resource}.{}", target.group) };
        let message = format!(
            "{full} is forbidden: User \"system:serviceaccount:apps:netpol\" cannot {verb} resource \"{resource}\" in API group \
             \"{}\" {scope}",
            target.group
        );
        return failure(StatusCode::FORBIDDEN, "Forbidden", &message);
    }
    let known = KINDS.iter().find(|(plural, group, _)| *plural == target.plural && *group == target.group);
    let Some((_, _, kind)) = known else {
        // Groups that are not installed are answered by the router, not by the API.
        let is_group = KINDS.iter().any(|(_, group, _)| *group == target.group);
        if !is_group {
            return (StatusCode::NOT_FOUND, "404 page not found\n").into_response();
        }
        return failure(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        );
    };
    match verb {
        "list" => list(&shared, &target, kind, &query),
        "watch" => watch(&shared, &query).await,
        "get" if resource == "pods/log" => log(&shared),
        "get" => get(&shared.lock(), &target, kind),
        "create" => create(&shared, &target, request.into_body()).await,
        "delete" => delete(&shared, &target, kind),
        _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "not supported"),
    }
}

fn list(shared: &Shared, target: &Target, kind: &str, query: &BTreeMap<String, String>) -> Response {
    let mut state = shared.lock();
    let rest = match query.get("continue") {
        Some(_) if state.moods.expired_pages > 0 => {
            state.moods.expired_pages -= 1;
            return failure(
                StatusCode::GONE,
                "Expired",
                "The provided continue parameter is too old to display a consistent list result",
            );
        }
        Some(token) => state.pages.remove(token).unwrap_or_default(),
        None => selected(&state, target, kind, query),
    };
    let limit = query.get("limit").and_then(|limit| limit.parse::<usize>().ok());
    let limit = limit.map(|limit| state.moods.page.map_or(limit, |page| page.min(limit)));
    let (page, more) = match limit.filter(|limit| *limit < rest.len()) {
        Some(limit) => (rest[..limit].to_vec(), rest[limit..].to_vec()),
        None => (rest, Vec::new()),
    };
    let version = state.version.to_string();
    let mut metadata = json!({"resourceVersion": version});
    if !more.is_empty() {
        let token = format!("token-{}", state.pages.len() + state.seen.len() * 100);
        metadata["continue"] = token.clone().into();
        metadata["remainingItemCount"] = more.len().into();
        state.pages.insert(token, more);
    }
    good(&json!({"kind": format!("{kind}List"), "apiVersion": "v1", "metadata": metadata, "items": page}))
}

fn selected(state: &State, target: &Target, kind: &str, query: &BTreeMap<String, String>) -> Vec<Value> {
    let label = query.get("labelSelector").and_then(|selector| selector.split_once('='));
    let fits = |object: &&Value| {
        object["kind"] == kind
            && target.namespace.as_ref().is_none_or(|space| object["metadata"]["namespace"] == **space)
            && label.is_none_or(|(key, value)| object["metadata"]["labels"][key] == value)
    };
    let without_kind = |object: &Value| {
        let mut object = object.clone();
        if let Some(fields) = object.as_object_mut() {
            // Items of a list do not say what they are.
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        object
    };
    state.objects.iter().filter(fits).map(without_kind).collect()
}

fn find<'s>(state: &'s State, target: &Target, kind: &str) -> Option<&'s Value> {
    state.objects.iter().find(|object| {
        object["kind"] == kind
            && object["metadata"]["name"] == *target.name.as_deref().unwrap_or_default()
            && target.namespace.as_ref().is_none_or(|space| object["metadata"]["namespace"] == **space)
    })
}

fn missing(target: &Target) -> Response {
    let name = target.name.as_deref().unwrap_or_default();
    failure(
        StatusCode::NOT_FOUND,
        "NotFound",
        &format!("{}.{} \"{name}\" not found", target.plural, target.group),
    )
}

fn get(state: &State, target: &Target, kind: &str) -> Response {
    find(state, target, kind).map_or_else(|| missing(target), good)
}

async fn create(shared: &Shared, target: &Target, body: Body) -> Response {
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut object: Value = serde_json::from_slice(&body).unwrap();
    object["metadata"]["uid"] = "11111111-2222-3333-4444-555555555555".into();
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    {
        let mut state = shared.lock();
        state.created.push(object.clone());
        state.objects.push(object.clone());
        let open =
            state.objects.iter().filter(|one| one["kind"] == "Job" && one["status"]["conditions"].is_null());
        let open = open.count();
        state.most_jobs = state.most_jobs.max(open);
        shared.touch(&mut state);
    }
    shared.play(name, target.namespace.clone().unwrap_or_default());
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], object.to_string()).into_response()
}

fn delete(shared: &Shared, target: &Target, kind: &str) -> Response {
    let mut state = shared.lock();
    if find(&state, target, kind).is_none() {
        return missing(target);
    }
    let name = target.name.clone().unwrap_or_default();
    state.objects.retain(|object| {
        object["metadata"]["name"] != *name && object["metadata"]["labels"]["job-name"] != *name
    });
    state.deleted.push(name);
    shared.touch(&mut state);
    good(&json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
}

/// Sends an event when something changes, and ends after the asked time.
async fn watch(shared: &Shared, query: &BTreeMap<String, String>) -> Response {
    let since: u64 =
        query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or_default();
    if shared.lock().moods.expired_watches {
        let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1", "status": "Failure",
            "message": "too old resource version", "reason": "Expired", "code": 410}});
        return format!("{gone}\n").into_response();
    }
    let seconds: u64 = query.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).unwrap_or(30);
    let mut changed = shared.changed.subscribe();
    let event = async move {
        let wait = changed.wait_for(|version| *version > since);
        let version = match tokio::time::timeout(Duration::from_secs(seconds), wait).await {
            Ok(Ok(version)) => *version,
            _ => return None,
        };
        let event =
            json!({"type": "MODIFIED", "object": {"metadata": {"resourceVersion": version.to_string()}}});
        Some(Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))))
    };
    let body = stream::once(event).filter_map(|event| async move { event });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}

fn log(shared: &Shared) -> Response {
    let lines = shared.lock().moods.log.clone().into_iter();
    let body = stream::unfold(lines, |mut lines| async move {
        let (pause, line) = lines.next()?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        Some((Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))), lines))
    });
    ([(header::CONTENT_TYPE, "text/plain")], Body::from_stream(body)).into_response()
}
