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
use crate::source::{FileId, Limits, Problem, ProblemKind, SourceFile, Span};
use crate::yaml::{self, Node, Value};
use field::Reader;

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
        let mut input = Self::default();
        for file in files {
            let id = FileId(u32::try_from(input.files.len()).unwrap_or(u32::MAX));
            input.read_file(&file, id, limits);
            input.files.push(file);
        }
        input
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
        self.dispatch(node, meta, &mut reader);
    }

    fn dispatch(&mut self, node: &Node<'_>, meta: crate::object::Meta, reader: &mut Reader<'_>) {
        let group = meta.api_version.value.split('/').next().unwrap_or("").to_owned();
        let kind = meta.kind.value.clone();
        if let Some(kind) = workload_kind(&kind) {
            self.workloads.push(reader.workload(node, meta, kind));
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
            _ => self.others.push(OtherObject { meta }),
        }
    }
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
