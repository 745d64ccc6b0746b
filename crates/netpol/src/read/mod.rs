//! From trees to typed objects.

mod admin;
mod field;
mod meta;
mod network;
mod policy;
mod workload;

use crate::object::{
    AdminPolicy, Autoscaler, ConfigMap, DisruptionBudget, Ingress, Namespace, NetworkPolicy, OtherObject,
    Secret, Service, ServiceMonitor, Workload, WorkloadKind,
};
use crate::parallel;
use crate::source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span};
use crate::yaml::{self, Node, Value};
use field::Reader;
use meta::holds_template;

/// Starting a thread costs as much as reading a few files.
const FILES_PER_THREAD: usize = 32;

/// Everything that was read: the objects by kind in input order, and what could not be read.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The files, by [`FileId`].
    pub files: Vec<SourceFile>,
    /// Everything that becomes pods.
    pub workloads: Vec<Workload>,
    /// Services.
    pub services: Vec<Service>,
    /// Ingresses.
    pub ingresses: Vec<Ingress>,
    /// Namespaces.
    pub namespaces: Vec<Namespace>,
    /// ConfigMaps.
    pub config_maps: Vec<ConfigMap>,
    /// Secrets, without values.
    pub secrets: Vec<Secret>,
    /// HorizontalPodAutoscalers.
    pub autoscalers: Vec<Autoscaler>,
    /// PodDisruptionBudgets.
    pub disruption_budgets: Vec<DisruptionBudget>,
    /// ServiceMonitors.
    pub service_monitors: Vec<ServiceMonitor>,
    /// NetworkPolicies.
    pub policies: Vec<NetworkPolicy>,
    /// AdminNetworkPolicies, BaselineAdminNetworkPolicies and ClusterNetworkPolicies.
    pub admin_policies: Vec<AdminPolicy>,
    /// Objects of other kinds.
    pub others: Vec<OtherObject>,
    /// What could not be read, in input order.
    pub problems: Vec<Problem>,
    /// Number of YAML documents seen, those that are no Kubernetes objects included.
    pub documents: usize,
}

/// A place as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl std::fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Input {
    /// Reads all files with the default [`Limits`]. Never fails as a whole: what cannot be read is in
    /// [`Self::problems`].
    #[must_use]
    pub fn parse(files: impl IntoIterator<Item = SourceFile>) -> Self {
        Self::parse_with(files, &Limits::default())
    }

    /// Reads all files within the given limits.
    #[must_use]
    pub fn parse_with(files: impl IntoIterator<Item = SourceFile>, limits: &Limits) -> Self {
        let files: Vec<SourceFile> = files.into_iter().collect();
        let parts = parallel::ranges(files.len(), FILES_PER_THREAD, |range| {
            let mut part = Self::default();
            for (index, file) in files.iter().enumerate().skip(range.start).take(range.len()) {
                part.read_file(file, FileId(u32::try_from(index).unwrap_or(u32::MAX)), limits);
            }
            part
        });
        let mut parts = parts.into_iter();
        let mut input = parts.next().unwrap_or_default();
        parts.for_each(|part| input.append(part));
        input.files = files;
        input
    }

    /// Adds what was read from later files.
    fn append(&mut self, mut other: Self) {
        self.workloads.append(&mut other.workloads);
        self.services.append(&mut other.services);
        self.ingresses.append(&mut other.ingresses);
        self.namespaces.append(&mut other.namespaces);
        self.config_maps.append(&mut other.config_maps);
        self.secrets.append(&mut other.secrets);
        self.autoscalers.append(&mut other.autoscalers);
        self.disruption_budgets.append(&mut other.disruption_budgets);
        self.service_monitors.append(&mut other.service_monitors);
        self.policies.append(&mut other.policies);
        self.admin_policies.append(&mut other.admin_policies);
        self.others.append(&mut other.others);
        self.problems.append(&mut other.problems);
        self.documents += other.documents;
    }

    /// Where a span is.
    #[must_use]
    pub fn locate(&self, span: Span) -> Location<'_> {
        let file = self.files.get(span.file.0 as usize).map_or("<none>", SourceFile::name);
        Location { file, line: span.line, column: span.column }
    }

    /// The text a span covers.
    #[must_use]
    pub fn source(&self, span: Span) -> &str {
        self.files.get(span.file.0 as usize).map_or("", |file| file.slice(span))
    }

    fn read_file(&mut self, file: &SourceFile, id: FileId, limits: &Limits) {
        let mut problems = Vec::new();
        yaml::parse(file, id, limits, &mut problems, |root, problems| {
            self.documents += 1;
            self.read_object(root, None, problems, 0);
        });
        if problems.len() > limits.problems {
            problems.truncate(limits.problems);
            let span = problems.last().map_or_else(Span::default, |problem| problem.span);
            let message = "there are more problems in this file, which are not shown".to_owned();
            problems.push(Problem { kind: ProblemKind::Limit, span, message, object: String::new() });
        }
        self.problems.append(&mut problems);
    }

    /// Reads one object, or the items of a list. `list_kind` is what the items of a typed list are.
    fn read_object(
        &mut self,
        node: &Node<'_>,
        list_kind: Option<&str>,
        problems: &mut Vec<Problem>,
        depth: u8,
    ) {
        let Value::Map(_) = node.value else { return };
        let kind = node.get("kind").and_then(Node::as_str).or(list_kind);
        let Some(kind) = kind else { return };
        if let (Some(items), Some(item_kind)) = (node.get("items"), kind.strip_suffix("List")) {
            let Value::Seq(items) = &items.value else { return };
            let item_kind = (!item_kind.is_empty()).then_some(item_kind);
            for item in items.iter().filter(|_| depth < 4) {
                self.read_object(item, item_kind, problems, depth + 1);
            }
            return;
        }
        if node.get("apiVersion").is_none() && node.get("metadata").is_none() {
            return;
        }
        let mut reader = Reader::new(problems);
        let meta = reader.meta(node, kind);
        if workload_kind(kind).is_some() && is_patch(node) {
            self.others.push(OtherObject { meta });
            return;
        }
        self.dispatch(node, meta, &mut reader);
    }

    fn dispatch(&mut self, node: &Node<'_>, meta: crate::object::Meta, reader: &mut Reader<'_>) {
        let group = meta.api_version.value.split('/').next().unwrap_or("").to_owned();
        let kind = meta.kind.value.clone();
        if let Some(kind) = workload_kind(&kind) {
            self.workloads.push(reader.workload(node, meta, kind));
            reader.named(node);
            return;
        }
        match (kind.as_str(), group.as_str()) {
            ("NetworkPolicy", "networking.k8s.io" | "extensions" | "") => {
                self.policies.push(reader.network_policy(node, meta));
            }
            ("AdminNetworkPolicy" | "BaselineAdminNetworkPolicy" | "ClusterNetworkPolicy", _)
                if group == "policy.networking.k8s.io" || group.is_empty() =>
            {
                self.admin_policies.push(reader.admin_policy(node, meta));
            }
            ("Service", "v1" | "") => self.services.push(reader.service(node, meta)),
            ("Ingress", _) if group != "config.openshift.io" => {
                self.ingresses.push(reader.ingress(node, meta));
            }
            ("Route", "route.openshift.io" | "v1" | "") => self.ingresses.push(reader.route(node, meta)),
            ("Namespace" | "Project", _) => self.namespaces.push(Namespace { meta }),
            ("ConfigMap", _) => self.config_maps.push(reader.config_map(node, meta)),
            ("Secret", _) => self.secrets.push(reader.secret(node, meta)),
            ("HorizontalPodAutoscaler", _) => self.autoscalers.push(reader.autoscaler(node, meta)),
            ("PodDisruptionBudget", _) => self.disruption_budgets.push(reader.disruption_budget(node, meta)),
            ("ServiceMonitor", "monitoring.coreos.com") => {
                self.service_monitors.push(reader.service_monitor(node, meta));
            }
            _ => {
                self.others.push(OtherObject { meta });
                return;
            }
        }
        // Objects of other kinds (a Kustomization, a CustomResourceDefinition's example) may do without a name.
        reader.named(node);
    }
}

/// Whether this is what a kustomization lays over a workload, and no workload itself: it has neither a selector nor labels for
/// its pods nor an image, without which the API server takes none.
fn is_patch(node: &Node<'_>) -> bool {
    let Some(spec) = node.get("spec") else { return false };
    let Some(template) = spec.get("template") else { return false };
    let containers = template.at(&["spec", "containers"]).map(|list| &list.value);
    let Some(Value::Seq(containers)) = containers else { return false };
    spec.get("selector").is_none()
        && template.get("metadata").is_none()
        && !containers.is_empty()
        && containers.iter().all(|container| container.get("image").is_none())
        && !holds_template(node)
}

fn workload_kind(kind: &str) -> Option<WorkloadKind> {
    Some(match kind {
        "Pod" => WorkloadKind::Pod,
        "Deployment" | "DeploymentConfig" => WorkloadKind::Deployment,
        "StatefulSet" => WorkloadKind::StatefulSet,
        "DaemonSet" => WorkloadKind::DaemonSet,
        "ReplicaSet" => WorkloadKind::ReplicaSet,
        "ReplicationController" => WorkloadKind::ReplicationController,
        "Job" => WorkloadKind::Job,
        "CronJob" => WorkloadKind::CronJob,
        _ => return None,
    })
}
