//! What a change of the files opens and closes, grouped and in words.
//!
//! The engine compares the connections between workloads and with addresses outside; here the pods that no file
//! describes are added (a rule for "every namespace" opens them too), and all of it becomes one list.

mod human;
mod potential;

pub use human::human;

use serde::Serialize;

use crate::model::{Bounds, Diff, Model, NodeId, diff};
use crate::object::Direction;
use crate::reach_render::{address_name, group_name};

/// The difference between two sets of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Nothing changed.
    pub equal: bool,
    /// How DNS and the network plugin were taken to behave.
    pub profile: String,
    /// Workloads that are new.
    pub added_workloads: Vec<String>,
    /// Workloads that are gone.
    pub removed_workloads: Vec<String>,
    /// The changes, those that open something first.
    pub changes: Vec<Change>,
}

/// A change that holds for every sender to every receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Senders: workloads as `namespace/name`, or one of the other ends in words.
    pub from: Vec<String>,
    /// Receivers.
    pub to: Vec<String>,
    /// What is newly allowed; `none` when nothing is.
    pub opened: String,
    /// What is no longer allowed; `none` when all still is.
    pub closed: String,
    /// Whether the files leave open if it is so.
    pub uncertain: bool,
    /// Allowed before.
    pub before: String,
    /// Allowed after.
    pub after: String,
}

impl Change {
    fn new(from: Vec<String>, to: Vec<String>, before: &Bounds, after: &Bounds) -> Self {
        let sure_opened = after.must.difference(&before.may);
        let sure_closed = before.must.difference(&after.may);
        let opened = after.must.difference(&before.must).union(&after.may.difference(&before.may));
        let closed = before.must.difference(&after.must).union(&before.may.difference(&after.may));
        let uncertain = opened != sure_opened || closed != sure_closed;
        Self {
            from,
            to,
            opened: opened.to_string(),
            closed: closed.to_string(),
            uncertain,
            before: words(before),
            after: words(after),
        }
    }

    /// Whether it opens anything.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.opened != "none"
    }

    /// Whether it closes anything.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closed != "none"
    }

    /// The senders on one line.
    #[must_use]
    pub fn from_text(&self) -> String {
        list(&self.from)
    }

    /// The receivers on one line.
    #[must_use]
    pub fn to_text(&self) -> String {
        list(&self.to)
    }
}

fn words(bounds: &Bounds) -> String {
    let unknown = bounds.may.difference(&bounds.must);
    match (bounds.must.is_empty(), unknown.is_empty()) {
        (_, true) => bounds.must.to_string(),
        (true, false) => format!("perhaps {unknown}"),
        (false, false) => format!("{}, perhaps {unknown}", bounds.must),
    }
}

/// Names of one namespace share a name when there are many of them.
fn list(names: &[String]) -> String {
    if names.len() <= 2 {
        return names.join(", ");
    }
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    group_name(&borrowed)
}

impl Changes {
    /// Compares two models.
    #[must_use]
    pub fn new(before: &Model<'_>, after: &Model<'_>) -> Self {
        let found = diff(before, after);
        let mut changes = of_diff(&found, after);
        changes.extend(potential::changes(before, after));
        changes.sort_by_key(|change| (!change.opens(), change.from.clone(), change.to.clone()));
        let named = |wanted: fn(&crate::model::Node) -> bool| {
            let nodes = found.nodes.iter().filter(|node| wanted(node));
            nodes.map(|node| format!("{} {}/{}", node.kind, node.namespace, node.name)).collect()
        };
        Self {
            equal: changes.is_empty(),
            profile: after.options().profile.name.clone(),
            added_workloads: named(|node| !node.before),
            removed_workloads: named(|node| !node.after),
            changes,
        }
    }
}

fn of_diff(found: &Diff, after: &Model<'_>) -> Vec<Change> {
    let name = |id: &NodeId| {
        found.nodes.get(*id).map_or_else(String::new, |node| format!("{}/{}", node.namespace, node.name))
    };
    let names = |ids: &[NodeId]| ids.iter().map(name).collect::<Vec<_>>();
    let mut changes = Vec::new();
    for change in &found.pods {
        changes.push(Change::new(names(&change.from), names(&change.to), &change.before, &change.after));
    }
    let everything = after.options().families.addresses();
    for change in &found.outside {
        let (pods, outside) = (names(&change.nodes), vec![address_name(&change.addresses, &everything)]);
        let (from, to) = match change.direction {
            Direction::Egress => (pods, outside),
            Direction::Ingress => (outside, pods),
        };
        changes.push(Change::new(from, to, &change.before, &change.after));
    }
    for change in &found.entries {
        let bounds = |ports: &crate::set::PortSet| Bounds { must: ports.clone(), may: ports.clone() };
        let (before, after) = (bounds(&change.before), bounds(&change.after));
        let controller = vec!["the ingress controller".to_owned()];
        changes.push(Change::new(controller, names(&[change.node]), &before, &after));
    }
    changes
}
