//! Everything that becomes pods.

use std::net::IpAddr;

use super::{LabelSelector, Labels, Meta, Protocol};
use crate::source::{Span, Spanned, Text};

/// Kind of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// A bare pod.
    Pod,
    /// Deployment (OpenShift's DeploymentConfig too).
    Deployment,
    /// StatefulSet.
    StatefulSet,
    /// DaemonSet.
    DaemonSet,
    /// ReplicaSet.
    ReplicaSet,
    /// ReplicationController.
    ReplicationController,
    /// Job.
    Job,
    /// CronJob.
    CronJob,
}

impl WorkloadKind {
    /// The `kind` of the manifest.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }
}

impl std::fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A workload: a pod, or a template of pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Kind.
    pub kind: WorkloadKind,
    /// Name, namespace, labels of the object itself.
    pub meta: Meta,
    /// Labels of `jobTemplate.metadata` (CronJob only). Policies do not look at them.
    pub job_labels: Labels,
    /// `spec.selector`.
    pub selector: Option<LabelSelector>,
    /// `spec.replicas`.
    pub replicas: Option<Spanned<i64>>,
    /// The pod template; of a Pod, the pod.
    pub pod: PodTemplate,
    /// Fields of a CronJob.
    pub cron: Option<CronSpec>,
    /// Fields of a Job or of a CronJob's job template.
    pub job: Option<JobSpec>,
    /// `status.podIPs` and `status.podIP` (Pod only).
    pub pod_ips: Vec<IpAddr>,
    /// `status.hostIP` (Pod only).
    pub host_ip: Option<IpAddr>,
}

impl Workload {
    /// The kind and name people know it by: its own, or the owner's where a controller made this pod.
    #[must_use]
    pub fn display_name(&self) -> (String, String) {
        match &self.meta.owner {
            Some(owner) if self.kind == WorkloadKind::Pod && owner.kind != "Node" => {
                let kind = if owner.kind.is_empty() { self.kind.as_str() } else { &owner.kind };
                (kind.to_owned(), owner.name.clone())
            }
            _ => (self.kind.as_str().to_owned(), self.meta.name.value.clone()),
        }
    }
}

/// A pod template, or a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTemplate {
    /// Labels of the pods: what policies look at.
    pub labels: Labels,
    /// Annotations of the pods.
    pub annotations: Labels,
    /// Init containers first, then containers.
    pub containers: Vec<Container>,
    /// `hostNetwork`.
    pub host_network: bool,
    /// Where `hostNetwork` is written.
    pub host_network_span: Option<Span>,
    /// `dnsPolicy`.
    pub dns_policy: Option<Text>,
    /// `restartPolicy`.
    pub restart_policy: Option<Text>,
    /// `serviceAccountName`.
    pub service_account: Option<Text>,
    /// The template, or its parent where it is missing.
    pub span: Span,
}

impl PodTemplate {
    /// Ports that peers can reach by name: containers, and init containers that keep running (sidecars).
    pub fn reachable_ports(&self) -> impl Iterator<Item = &ContainerPort> {
        let running = |container: &&Container| {
            !container.init
                || container.restart_policy.as_ref().is_some_and(|policy| policy.value == "Always")
        };
        self.containers.iter().filter(running).flat_map(|container| &container.ports)
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// `name`.
    pub name: Text,
    /// Stands in `initContainers`.
    pub init: bool,
    /// `restartPolicy` (init containers: `Always` makes a sidecar).
    pub restart_policy: Option<Text>,
    /// `image`.
    pub image: Option<Text>,
    /// `command`.
    pub command: Vec<Text>,
    /// `args`.
    pub args: Vec<Text>,
    /// `env`, in file order, duplicates kept.
    pub env: Vec<EnvVar>,
    /// `envFrom`.
    pub env_from: Vec<EnvFrom>,
    /// `ports`.
    pub ports: Vec<ContainerPort>,
    /// The item.
    pub span: Span,
}

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// `name`.
    pub name: Option<Text>,
    /// `containerPort`.
    pub port: Spanned<u16>,
    /// `protocol`, TCP when missing.
    pub protocol: Protocol,
    /// `hostPort`.
    pub host_port: Option<Spanned<u16>>,
    /// The item.
    pub span: Span,
}

/// An entry of `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvVar {
    /// `name`.
    pub name: Text,
    /// Where the value comes from.
    pub value: EnvValue,
    /// The item.
    pub span: Span,
}

/// Where the value of an environment variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// `value`; the flag says that a template hides a part of it.
    Literal(Text, bool),
    /// `valueFrom.configMapKeyRef`.
    ConfigMapKey(KeyRef),
    /// `valueFrom.secretKeyRef`.
    SecretKey(KeyRef),
    /// `valueFrom.fieldRef.fieldPath`.
    Field(Text),
    /// Nothing, or a source that is not looked into.
    Other,
}

/// A key of a ConfigMap or Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRef {
    /// Name of the object.
    pub name: Text,
    /// The key.
    pub key: Text,
    /// `optional`.
    pub optional: bool,
}

/// An entry of `envFrom`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFrom {
    /// A Secret, else a ConfigMap.
    pub secret: bool,
    /// Name of the object.
    pub name: Text,
    /// `prefix`.
    pub prefix: Option<Text>,
    /// `optional`.
    pub optional: bool,
    /// The item.
    pub span: Span,
}

/// Fields of a CronJob's `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CronSpec {
    /// `schedule`.
    pub schedule: Option<Text>,
    /// `timeZone`.
    pub time_zone: Option<Text>,
    /// `concurrencyPolicy`.
    pub concurrency_policy: Option<Text>,
    /// `suspend`.
    pub suspend: bool,
    /// `startingDeadlineSeconds`.
    pub starting_deadline_seconds: Option<Spanned<i64>>,
    /// `successfulJobsHistoryLimit`.
    pub successful_jobs_history_limit: Option<Spanned<i64>>,
    /// `failedJobsHistoryLimit`.
    pub failed_jobs_history_limit: Option<Spanned<i64>>,
    /// The mapping.
    pub span: Span,
}

/// Fields of a Job's `spec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// `backoffLimit`; Kubernetes takes 6 when missing.
    pub backoff_limit: Option<Spanned<i64>>,
    /// `activeDeadlineSeconds`.
    pub active_deadline_seconds: Option<Spanned<i64>>,
    /// `ttlSecondsAfterFinished`.
    pub ttl_seconds_after_finished: Option<Spanned<i64>>,
    /// The mapping.
    pub span: Span,
}
