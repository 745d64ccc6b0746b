//! What is in the cluster, as input of the policy engine.
//!
//! One document per object, named `cluster/NAMESPACE/Kind/name`. Left out is what says nothing about policies: fields that
//! servers add, runs that are over, and what a controller made from a template that is judged itself. A pod whose labels
//! differ from its template's stays in: something changed it on the way. Values of Secrets are never requested.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, stream};
use netpol::SourceFile;
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{CRON_JOBS, JOBS, NAMESPACES, PODS, Resource, Select};
use crate::connect::Cluster;
use crate::error::{ClusterError, ErrorKind};
use crate::value::{controller, labels, name, namespace, text};

/// Requests under way at a time.
const AT_ONCE: usize = 4;

/// A kind that is read, and what is not known without it.
struct Read {
    resource: Resource,
    /// Without it the answer is worth little.
    essential: bool,
    /// Only names and labels are requested.
    metadata_only: bool,
    unknown: &'static str,
}

const fn read(resource: Resource, essential: bool, unknown: &'static str) -> Read {
    Read { resource, essential, metadata_only: false, unknown }
}

const TEMPLATES: &str = "these workloads are not judged, and are not known as peers";
const POLICIES: &str = "cluster-wide policies may allow or deny more than is shown";

/// Everything that is read, in the order of the report.
static READS: &[Read] = &[
    read(NAMESPACES, false, "labels of namespaces: rules with a namespaceSelector may be undecided"),
    read(
        Resource::new("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
        true,
        "the policies themselves: no verdict of this report can be relied on",
    ),
    read(CRON_JOBS, true, TEMPLATES),
    read(JOBS, true, TEMPLATES),
    read(Resource::new("apps", "v1", "deployments", "Deployment"), true, TEMPLATES),
    read(Resource::new("apps", "v1", "statefulsets", "StatefulSet"), true, TEMPLATES),
    read(Resource::new("apps", "v1", "daemonsets", "DaemonSet"), true, TEMPLATES),
    read(Resource::new("apps", "v1", "replicasets", "ReplicaSet"), true, TEMPLATES),
    read(PODS, true, "pods without a controller, and pods whose labels were changed on the way"),
    read(
        Resource::new("", "v1", "services", "Service"),
        true,
        "where the names of Services lead: needs inside the cluster may be undecided",
    ),
    read(
        Resource::new("", "v1", "configmaps", "ConfigMap"),
        false,
        "addresses that are written in ConfigMaps: needs may be missing",
    ),
    Read {
        resource: Resource::new("", "v1", "secrets", "Secret"),
        essential: false,
        metadata_only: true,
        unknown: "names of Secrets: a misspelled reference is not found (values are never requested)",
    },
    read(
        Resource::new("networking.k8s.io", "v1", "ingresses", "Ingress"),
        false,
        "which Services are reached from outside",
    ),
    read(
        Resource::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        false,
        "whether autoscalers point at something",
    ),
    read(
        Resource::new("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
        false,
        "whether disruption budgets select something",
    ),
    read(
        Resource::new("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor"),
        false,
        "which Services are scraped",
    ),
    read(
        Resource::new("policy.networking.k8s.io", "v1alpha1", "adminnetworkpolicies", "AdminNetworkPolicy")
            .cluster_wide(),
        false,
        POLICIES,
    ),
    read(
        Resource::new(
            "policy.networking.k8s.io",
            "v1alpha1",
            "baselineadminnetworkpolicies",
            "BaselineAdminNetworkPolicy",
        )
        .cluster_wide(),
        false,
        POLICIES,
    ),
    read(
        Resource::new(
            "policy.networking.k8s.io",
            "v1alpha2",
            "clusternetworkpolicies",
            "ClusterNetworkPolicy",
        )
        .cluster_wide(),
        false,
        POLICIES,
    ),
];

/// What was refused, and what is not known because of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// `list`.
    pub verb: &'static str,
    /// `cronjobs.batch`.
    pub resource: String,
    /// The namespace that was asked for; `null` is all of them, or the whole cluster.
    pub namespace: Option<String>,
    /// What the server said.
    pub reason: String,
    /// What part of the answer is unknown.
    pub unknown: String,
    /// Whether the answer cannot be relied on without it.
    pub essential: bool,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.namespace.as_ref().map_or_else(String::new, |name| format!(" in namespace {name}"));
        write!(f, "not allowed to {} {}{place}: unknown: {}", self.verb, self.resource, self.unknown)
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// One document per object.
    pub files: Vec<SourceFile>,
    /// What was refused.
    pub gaps: Vec<Gap>,
    /// Kinds that were read completely.
    pub complete: BTreeSet<&'static str>,
    /// Number of objects that the server sent.
    pub objects: usize,
}

impl Snapshot {
    /// Whether a part is missing without which the answer cannot be relied on.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.gaps.iter().any(|gap| gap.essential)
    }
}

/// Reads one namespace (with what concerns the whole cluster), or everything.
///
/// # Errors
/// When the server cannot be asked at all, or refuses everything. What it refuses in part is in [`Snapshot::gaps`].
pub async fn take(cluster: &Cluster, scope: Option<&str>) -> Result<Snapshot, ClusterError> {
    // Made before they are polled: a closure inside the stream would tie the whole to lifetimes that no task can have.
    let requests: Vec<_> = READS.iter().map(|read| list(cluster, read, scope)).collect();
    let answers = stream::iter(requests).buffered(AT_ONCE).collect::<Vec<_>>().await;
    let mut snapshot = Snapshot::default();
    let mut objects: Vec<Value> = Vec::new();
    let mut refused = None;
    for (read, answer) in READS.iter().zip(answers) {
        match answer {
            Ok(items) => {
                snapshot.complete.insert(read.resource.kind);
                objects.extend(items);
            }
            // The kind does not exist in this cluster, so there is no object of it.
            Err(error) if error.kind == ErrorKind::NotFound => {
                snapshot.complete.insert(read.resource.kind);
            }
            Err(error) if error.kind == ErrorKind::Refused => {
                snapshot.gaps.push(gap(read, scope, &error));
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let (Some(mut refused), true) = (refused, snapshot.gaps.len() == READS.len()) {
        refused.message.push_str("; and so it is with every other kind");
        return Err(refused);
    }
    if let (Some(scope), false) = (scope, snapshot.complete.contains("Namespace"))
        && let Ok(own) = cluster.get(&NAMESPACES, "", scope).await
    {
        objects.push(own);
    }
    snapshot.objects = objects.len();
    snapshot.files = documents(objects);
    Ok(snapshot)
}

async fn list(cluster: &Cluster, read: &Read, scope: Option<&str>) -> Result<Vec<Value>, ClusterError> {
    let select = Select { namespace: scope, labels: "" };
    let listing = if read.metadata_only {
        cluster.list_metadata(&read.resource, select).await?
    } else {
        cluster.list(&read.resource, select).await?
    };
    Ok(listing.items)
}

fn gap(read: &Read, scope: Option<&str>, error: &ClusterError) -> Gap {
    Gap {
        verb: "list",
        resource: read.resource.full_name(),
        namespace: scope.filter(|_| read.resource.namespaced).map(str::to_owned),
        reason: error.message.clone(),
        unknown: read.unknown.to_owned(),
        essential: read.essential,
    }
}

/// The documents of what counts.
#[must_use]
pub fn documents(objects: Vec<Value>) -> Vec<SourceFile> {
    let kept = Kept::new(&objects);
    let keep: Vec<bool> = objects.iter().map(|object| kept.keeps(object)).collect();
    let kept = objects.into_iter().zip(keep).filter(|(_, keep)| *keep);
    kept.map(|(object, _)| document(object)).collect()
}

/// The key of an object: namespace, kind, name.
type Key = (String, String, String);

/// Which objects have which labels in their templates, and who owns them.
struct Kept {
    /// Labels of the pods of everything that has a template.
    templates: HashMap<Key, BTreeMap<String, String>>,
    owners: HashMap<Key, Key>,
}

impl Kept {
    fn new(objects: &[Value]) -> Self {
        let mut templates = HashMap::new();
        let mut owners = HashMap::new();
        for object in objects {
            let kind = text(object, "/kind");
            let key: Key = (namespace(object).to_owned(), kind.to_owned(), name(object).to_owned());
            if let Some(template) = template(object) {
                templates.insert(key.clone(), own_labels(template));
            }
            if let Some((kind, name)) = controller(object) {
                owners.insert(key, (namespace(object).to_owned(), kind.to_owned(), name.to_owned()));
            }
        }
        Self { templates, owners }
    }

    fn keeps(&self, object: &Value) -> bool {
        let kind = text(object, "/kind");
        if kind == "ConfigMap" && name(object) == "kube-root-ca.crt" {
            return false;
        }
        if is_over(object) {
            return false;
        }
        let mut owner: Key = (namespace(object).to_owned(), kind.to_owned(), name(object).to_owned());
        let mut template = None;
        // A chain of owners is short; the bound is for input that points at itself.
        for _ in 0..4 {
            let Some(next) = self.owners.get(&owner) else { break };
            owner = next.clone();
            template = self.templates.get(&owner).or(template);
        }
        match template {
            None => true,
            Some(wanted) => {
                let own = match kind {
                    "Pod" => own_labels(object),
                    _ => self::template(object).map(own_labels).unwrap_or_default(),
                };
                &own != wanted && (kind == "Pod" || kind == "Job")
            }
        }
    }
}

/// A pod or Job that has ended, or a ReplicaSet of an earlier rollout.
fn is_over(object: &Value) -> bool {
    match text(object, "/kind") {
        "Pod" => matches!(text(object, "/status/phase"), "Succeeded" | "Failed"),
        "Job" => crate::value::job_end(object).is_some(),
        "ReplicaSet" => object.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0),
        _ => false,
    }
}

fn template(object: &Value) -> Option<&Value> {
    match text(object, "/kind") {
        "CronJob" => object.pointer("/spec/jobTemplate/spec/template"),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => object.pointer("/spec/template"),
        _ => None,
    }
}

/// Labels without those that controllers add.
fn own_labels(object: &Value) -> BTreeMap<String, String> {
    let added = |key: &str| {
        key.ends_with("-hash")
            || key.starts_with("batch.kubernetes.io/")
            || key.starts_with("statefulset.kubernetes.io/")
            || matches!(
                key,
                "controller-uid" | "job-name" | "pod-template-generation" | "apps.kubernetes.io/pod-index"
            )
    };
    labels(object)
        .filter(|(key, _)| !added(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn document(mut object: Value) -> SourceFile {
    let kind = text(&object, "/kind").to_owned();
    let place = match namespace(&object) {
        "" => format!("cluster/{kind}/{}", name(&object)),
        namespace => format!("cluster/{namespace}/{kind}/{}", name(&object)),
    };
    tidy(&mut object, &kind);
    let text = serde_json::to_string_pretty(&object).unwrap_or_default();
    SourceFile::new(place, text)
}

/// Removes what servers add and what is nobody's business.
fn tidy(object: &mut Value, kind: &str) {
    let Value::Object(fields) = object else { return };
    if kind == "Secret" {
        fields.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata"));
    }
    if kind == "ConfigMap" {
        fields.remove("binaryData");
    }
    let addresses = fields.remove("status").filter(|_| kind == "Pod").map(|status| {
        json!({"podIP": status.get("podIP"), "podIPs": status.get("podIPs"), "hostIP": status.get("hostIP")})
    });
    if let Some(mut addresses) = addresses {
        if let Value::Object(addresses) = &mut addresses {
            addresses.retain(|_, value| !value.is_null());
        }
        fields.insert("status".to_owned(), addresses);
    }
    let Some(Value::Object(metadata)) = fields.get_mut("metadata") else { return };
    for key in ["managedFields", "selfLink", "generation", "resourceVersion", "creationTimestamp"] {
        metadata.remove(key);
    }
    if kind == "Secret" {
        // Whether a key exists is not known without the values: the engine takes a template for "anything".
        metadata.insert("annotations".to_owned(), json!({"cluster/keys": "{{ not requested }}"}));
    } else if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.retain(|key, _| key != "kubectl.kubernetes.io/last-applied-configuration");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, owner: &str, component: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "apps", "labels": {
            "component": component, "pod-template-hash": "5d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "controller": true}]}})
    }

    fn deployment() -> Vec<Value> {
        vec![
            json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "apps"},
                "spec": {"template": {"metadata": {"labels": {"component": "web"}}}}}),
            json!({"kind": "ReplicaSet", "metadata": {"name": "web-5d", "namespace": "apps", "ownerReferences": [
                {"kind": "Deployment", "name": "web", "controller": true}]},
                "spec": {"replicas": 1, "template": {"metadata": {"labels": {"component": "web", "pod-template-hash": "5d"}}}}}),
        ]
    }

    fn names(objects: Vec<Value>) -> Vec<String> {
        documents(objects).iter().map(|file| file.name().to_owned()).collect()
    }

    #[test]
    fn a_pod_like_its_template_is_judged_once() {
        let mut objects = deployment();
        objects.push(pod("web-5d-a", "web-5d", "web"));
        assert_eq!(names(objects), ["cluster/apps/Deployment/web"]);
    }

    #[test]
    fn a_pod_that_was_changed_on_the_way_is_judged_itself() {
        let mut objects = deployment();
        objects.push(pod("web-5d-a", "web-5d", "injected"));
        assert_eq!(names(objects), ["cluster/apps/Deployment/web", "cluster/apps/Pod/web-5d-a"]);
    }

    #[test]
    fn a_pod_of_an_owner_that_is_not_read_stays() {
        assert_eq!(names(vec![pod("db-0", "operator", "db")]), ["cluster/apps/Pod/db-0"]);
    }

    #[test]
    fn values_of_secrets_are_dropped_even_when_they_are_sent() {
        let secret = json!({"kind": "Secret", "metadata": {"name": "s", "namespace": "apps", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "hunter2"}}, "data": {"PASSWORD": "aHVudGVyMg=="}});
        let files = documents(vec![secret]);
        assert!(
            !files[0].text().contains("PASSWORD") && !files[0].text().contains("hunter2"),
            "{}",
            files[0].text()
        );
    }

    #[test]
    fn what_is_over_is_not_judged() {
        let done = json!({"kind": "Job", "metadata": {"name": "j", "namespace": "apps"},
            "status": {"conditions": [{"type": "Complete", "status": "True"}]}});
        let pod = json!({"kind": "Pod", "metadata": {"name": "p", "namespace": "apps"}, "status": {"phase": "Failed"}});
        assert_eq!(names(vec![done, pod]), Vec::<String>::new());
    }
}
