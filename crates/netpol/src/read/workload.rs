//! Pods and everything with a pod template.

use std::net::IpAddr;

use super::field::Reader;
use crate::object::{
    Container, ContainerPort, CronSpec, EnvFrom, EnvValue, EnvVar, JobSpec, KeyRef, Labels, Meta,
    PodTemplate, Protocol, Workload, WorkloadKind,
};
use crate::source::{Span, Text};
use crate::yaml::{Node, Value};

impl Reader<'_> {
    pub(super) fn workload(&mut self, node: &Node<'_>, meta: Meta, kind: WorkloadKind) -> Workload {
        let spec = node.get("spec");
        let job_template = node.at(&["spec", "jobTemplate"]);
        let job = match kind {
            WorkloadKind::CronJob => job_template.and_then(|template| template.get("spec")),
            WorkloadKind::Job => spec,
            _ => None,
        };
        let pod = if kind == WorkloadKind::Pod {
            self.pod_template(Some(node), node.span)
        } else {
            let holder = if kind == WorkloadKind::CronJob { job } else { spec };
            let parent = holder.map_or(node.span, |holder| holder.span);
            self.pod_template(holder.and_then(|holder| holder.get("template")), parent)
        };
        let job_meta = job_template.and_then(|template| template.get("metadata"));
        let job_labels = match job_meta {
            Some(meta) => self.labels(meta.get("labels"), meta.span, "jobTemplate.metadata.labels"),
            None => Labels { span: node.span, ..Labels::default() },
        };
        let selector = spec.and_then(|spec| spec.get("selector")).filter(|_| kind != WorkloadKind::Pod);
        Workload {
            kind,
            job_labels,
            selector: selector
                .filter(|node| is_label_selector(node))
                .map(|selector| self.selector(Some(selector), node.span, "spec.selector")),
            replicas: self.int(spec.and_then(|spec| spec.get("replicas")), "spec.replicas"),
            pod,
            cron: spec.filter(|_| kind == WorkloadKind::CronJob).map(|spec| self.cron(spec)),
            job: job.map(|job| self.job(job)),
            pod_ips: pod_ips(node),
            host_ip: node.at(&["status", "hostIP"]).and_then(Node::as_str).and_then(|ip| ip.parse().ok()),
            meta,
        }
    }

    fn cron(&mut self, spec: &Node<'_>) -> CronSpec {
        CronSpec {
            schedule: self.text_at(spec, "schedule"),
            time_zone: self.text_at(spec, "timeZone"),
            concurrency_policy: self.text_at(spec, "concurrencyPolicy"),
            suspend: self.boolean(spec.get("suspend"), "suspend"),
            starting_deadline_seconds: self.int_at(spec, "startingDeadlineSeconds"),
            successful_jobs_history_limit: self.int_at(spec, "successfulJobsHistoryLimit"),
            failed_jobs_history_limit: self.int_at(spec, "failedJobsHistoryLimit"),
            span: spec.span,
        }
    }

    fn job(&mut self, spec: &Node<'_>) -> JobSpec {
        JobSpec {
            backoff_limit: self.int_at(spec, "backoffLimit"),
            active_deadline_seconds: self.int_at(spec, "activeDeadlineSeconds"),
            ttl_seconds_after_finished: self.int_at(spec, "ttlSecondsAfterFinished"),
            span: spec.span,
        }
    }

    fn int_at(&mut self, node: &Node<'_>, key: &str) -> Option<crate::source::Spanned<i64>> {
        self.int(node.get(key), key)
    }

    fn pod_template(&mut self, node: Option<&Node<'_>>, parent: Span) -> PodTemplate {
        let Some(node) = node else { return PodTemplate { span: parent, ..PodTemplate::default() } };
        self.entries(Some(node), "the pod template");
        let metadata = node.get("metadata");
        let meta_span = metadata.map_or(node.span, |metadata| metadata.span);
        let at = |key: &str| metadata.and_then(|metadata| metadata.get(key));
        let mut labels = self.labels(at("labels"), meta_span, "the pod's labels");
        // A bare `{{ include "labels" . }}` line leaves an empty or short mapping behind.
        labels.incomplete |=
            metadata.is_some_and(|metadata| metadata.entry("labels").is_some()) && at("labels").is_none();
        let spec = node.get("spec");
        let field = |key: &str| spec.and_then(|spec| spec.get(key));
        let mut containers = Vec::new();
        for (key, init) in [("initContainers", true), ("containers", false)] {
            let items = self.list(field(key), key);
            containers.extend(items.iter().map(|item| self.container(item, init)));
        }
        PodTemplate {
            annotations: self.pairs(at("annotations"), meta_span, "the pod's annotations"),
            labels,
            containers,
            host_network: self.boolean(field("hostNetwork"), "hostNetwork"),
            host_network_span: field("hostNetwork").map(|node| node.span),
            dns_policy: field("dnsPolicy").and_then(|value| self.text(value, "dnsPolicy")),
            restart_policy: field("restartPolicy").and_then(|value| self.text(value, "restartPolicy")),
            service_account: field("serviceAccountName")
                .and_then(|value| self.text(value, "serviceAccountName")),
            span: node.span,
        }
    }

    fn container(&mut self, node: &Node<'_>, init: bool) -> Container {
        self.entries(Some(node), "a container");
        let env = self.list(node.get("env"), "env");
        let env_from = self.list(node.get("envFrom"), "envFrom");
        let ports = self.list(node.get("ports"), "ports");
        Container {
            name: self.text_at(node, "name").unwrap_or_else(|| Text::new(String::new(), node.span)),
            init,
            restart_policy: self.text_at(node, "restartPolicy"),
            image: self.text_at(node, "image"),
            command: self.texts(node.get("command"), "command"),
            args: self.texts(node.get("args"), "args"),
            env: env.iter().filter_map(|item| self.env_var(item)).collect(),
            env_from: env_from.iter().flat_map(|item| self.env_from(item)).collect(),
            ports: ports.iter().filter_map(|item| self.container_port(item)).collect(),
            span: node.span,
        }
    }

    fn env_var(&mut self, node: &Node<'_>) -> Option<EnvVar> {
        let name = self.text_at(node, "name")?;
        let source = node.get("valueFrom");
        let from = |key: &str| source.and_then(|source| source.get(key));
        let value = if let Some(value) = node.get("value") {
            let what = format!("the value of {name}");
            self.text(value, &what)
                .map_or(EnvValue::Other, |text| EnvValue::Literal(text, value.is_templated()))
        } else if let Some(key) = from("configMapKeyRef") {
            self.key_ref(key).map_or(EnvValue::Other, EnvValue::ConfigMapKey)
        } else if let Some(key) = from("secretKeyRef") {
            self.key_ref(key).map_or(EnvValue::Other, EnvValue::SecretKey)
        } else if let Some(path) = from("fieldRef").and_then(|field| field.get("fieldPath")) {
            self.text(path, "fieldPath").map_or(EnvValue::Other, EnvValue::Field)
        } else {
            EnvValue::Other
        };
        Some(EnvVar { name, value, span: node.span })
    }

    fn key_ref(&mut self, node: &Node<'_>) -> Option<KeyRef> {
        Some(KeyRef {
            name: self.text_at(node, "name")?,
            key: self.text_at(node, "key")?,
            optional: self.boolean(node.get("optional"), "optional"),
        })
    }

    fn env_from(&mut self, node: &Node<'_>) -> Vec<EnvFrom> {
        let mut sources = Vec::new();
        let prefix = self.text_at(node, "prefix");
        for (key, secret) in [("configMapRef", false), ("secretRef", true)] {
            if let Some(source) = node.get(key)
                && let Some(name) = self.text_at(source, "name")
            {
                let optional = self.boolean(source.get("optional"), "optional");
                sources.push(EnvFrom { secret, name, prefix: prefix.clone(), optional, span: node.span });
            }
        }
        sources
    }

    fn container_port(&mut self, node: &Node<'_>) -> Option<ContainerPort> {
        let protocol = self.protocol(node.get("protocol")).unwrap_or(Protocol::Tcp);
        let name = self.text_at(node, "name");
        let host_port = self.port(node.get("hostPort"), "hostPort");
        let port = self.port(node.get("containerPort"), "containerPort")?;
        Some(ContainerPort { name, port, protocol, host_port, span: node.span })
    }
}

/// A ReplicationController's selector is a plain map, not a label selector.
fn is_label_selector(node: &Node<'_>) -> bool {
    node.entry("matchLabels").is_some() || node.entry("matchExpressions").is_some()
}

fn pod_ips(node: &Node<'_>) -> Vec<IpAddr> {
    let mut ips: Vec<IpAddr> = Vec::new();
    let single = node.at(&["status", "podIP"]).and_then(Node::as_str);
    let many = match node.at(&["status", "podIPs"]).map(|list| &list.value) {
        Some(Value::Seq(items)) => items.as_slice(),
        _ => &[],
    };
    let many = many.iter().filter_map(|item| item.get("ip").and_then(Node::as_str).or(item.as_str()));
    for ip in single.into_iter().chain(many).filter_map(|text| text.parse().ok()) {
        if !ips.contains(&ip) {
            ips.push(ip);
        }
    }
    ips
}
