//! The label conventions of a set of manifests as a document: which labels there are, who looks at them, and where
//! they drift.
//!
//! The text depends on names and labels alone, neither on the order of files nor on where things stand in them: it
//! changes when the conventions change.

mod document;
mod drift;

pub use document::document;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Model, WorkloadId};
use crate::object::{LabelSelector, Labels, Tri};
use crate::reach_render::selector_text;

/// A workload and its labels.
#[derive(Clone, Debug)]
struct Row {
    id: WorkloadId,
    namespace: String,
    name: String,
    kind: String,
}

/// Something that selects pods by labels.
#[derive(Clone, Debug)]
struct Selecting {
    namespace: String,
    kind: String,
    name: String,
    selector: LabelSelector,
    /// By index of the input; only those under documentation.
    selects: Vec<WorkloadId>,
}

impl Selecting {
    fn label(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{} {}", self.kind, self.name),
            _ => format!("{} {}/{}", self.kind, self.namespace, self.name),
        }
    }

    fn keys(&self) -> BTreeSet<&str> {
        self.selector.requirements().map(|requirement| requirement.key()).collect()
    }

    fn text(&self) -> String {
        if self.selector.is_empty() { "every pod".to_owned() } else { selector_text(&self.selector) }
    }
}

/// Everything the document is made of.
struct Survey<'m> {
    model: &'m Model<'m>,
    rows: Vec<Row>,
    selecting: Vec<Selecting>,
}

impl<'m> Survey<'m> {
    /// Looks at the objects of the first `files` files.
    fn new(model: &'m Model<'m>, files: usize) -> Self {
        let input = model.input();
        let default = model.options().default_namespace.as_str();
        let inside = |span: crate::source::Span| (span.file.0 as usize) < files;
        let mut rows: Vec<Row> = input
            .workloads
            .iter()
            .enumerate()
            .filter(|(_, workload)| inside(workload.meta.span))
            .map(|(id, workload)| Row {
                id,
                namespace: workload.meta.namespace_or(default).to_owned(),
                name: workload.meta.name.value.clone(),
                kind: workload.kind.to_string(),
            })
            .collect();
        rows.sort_by(|a, b| (&a.namespace, &a.name, &a.kind).cmp(&(&b.namespace, &b.name, &b.kind)));
        let mut survey = Self { model, rows, selecting: Vec::new() };
        for policy in input.policies.iter().filter(|policy| inside(policy.meta.span)) {
            let namespace = policy.meta.namespace_or(default);
            survey.add(namespace, "NetworkPolicy", &policy.meta.name, policy.pod_selector.clone());
        }
        for service in input.services.iter().filter(|service| inside(service.meta.span)) {
            if let Some(selector) = &service.selector {
                let selector = LabelSelector { match_labels: selector.clone(), ..LabelSelector::default() };
                survey.add(service.meta.namespace_or(default), "Service", &service.meta.name, selector);
            }
        }
        for budget in input.disruption_budgets.iter().filter(|budget| inside(budget.meta.span)) {
            if let Some(selector) = &budget.selector {
                let namespace = budget.meta.namespace_or(default);
                survey.add(namespace, "PodDisruptionBudget", &budget.meta.name, selector.clone());
            }
        }
        for policy in input.admin_policies.iter().filter(|policy| inside(policy.meta.span)) {
            let pods = policy.subject.pods.clone().unwrap_or_default();
            survey.add("", &policy.meta.kind, &policy.meta.name, pods);
        }
        survey.selecting.sort_by_key(Selecting::label);
        survey
    }

    fn add(&mut self, namespace: &str, kind: &str, name: &str, selector: LabelSelector) {
        let here = self.rows.iter().filter(|row| namespace.is_empty() || row.namespace == namespace);
        let selects = here.map(|row| row.id).filter(|id| selector.matches(self.labels(*id)) != Tri::No);
        let selects = selects.collect();
        self.selecting.push(Selecting {
            namespace: namespace.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            selector,
            selects,
        });
    }

    fn labels(&self, id: WorkloadId) -> &'m Labels {
        &self.model.input().workloads[id].pod.labels
    }

    /// Per key of pod labels: the values, and the workloads that have them.
    fn keys(&self) -> BTreeMap<&'m str, BTreeMap<&'m str, Vec<&Row>>> {
        let mut keys: BTreeMap<&str, BTreeMap<&str, Vec<&Row>>> = BTreeMap::new();
        for row in &self.rows {
            for pair in &self.labels(row.id).pairs {
                let values = keys.entry(pair.key.value.as_str()).or_default();
                values.entry(pair.value.value.as_str()).or_default().push(row);
            }
        }
        keys
    }
}
