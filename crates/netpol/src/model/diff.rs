//! Which connections a change opens and closes.

use std::collections::{BTreeMap, HashMap};

use super::classes::ClassId;
use super::decision::Peer;
use super::pod::PodShape;
use super::reach::Reach;
use super::side::Bounds;
use super::{Model, WorkloadId};
use crate::object::Direction;
use crate::set::{IpSet, PortSet};

/// A workload by the name people know it by, in either input.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Namespace.
    pub namespace: String,
    /// Name, the owner's where a controller made the pod.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Is in the input before the change.
    pub before: bool,
    /// Is in the input after it.
    pub after: bool,
}

/// Index into [`Diff::nodes`].
pub type NodeId = usize;

/// The difference between two models.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// All workloads of both.
    pub nodes: Vec<Node>,
    /// Between workloads, grouped: every sender of a change to every receiver but itself.
    pub pods: Vec<PodChange>,
    /// With addresses outside the cluster.
    pub outside: Vec<OutsideChange>,
    /// Through Ingresses, from a controller that policies know nothing of.
    pub entries: Vec<EntryChange>,
}

/// A change between workloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodChange {
    /// Senders.
    pub from: Vec<NodeId>,
    /// Receivers.
    pub to: Vec<NodeId>,
    /// Allowed before.
    pub before: Bounds,
    /// Allowed after.
    pub after: Bounds,
}

/// A change with addresses outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideChange {
    /// The workloads.
    pub nodes: Vec<NodeId>,
    /// Seen from the workloads.
    pub direction: Direction,
    /// The addresses.
    pub addresses: IpSet,
    /// Allowed before.
    pub before: Bounds,
    /// Allowed after.
    pub after: Bounds,
}

/// A change through Ingresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryChange {
    /// The workload.
    pub node: NodeId,
    /// Ports reached before.
    pub before: PortSet,
    /// Ports reached after.
    pub after: PortSet,
}

impl Diff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.outside.is_empty() && self.entries.is_empty()
    }
}

/// One of the two models with what the comparison needs.
struct Half {
    reach: Reach,
    /// The classes of each node; none where it does not exist.
    classes: Vec<Vec<ClassId>>,
    entries: Vec<PortSet>,
}

/// Compares two models. Costs grow with the square of the classes of pods that either can tell apart.
#[must_use]
pub fn diff(before: &Model<'_>, after: &Model<'_>) -> Diff {
    let mut known: BTreeMap<(String, String, String), [Vec<WorkloadId>; 2]> = BTreeMap::new();
    for (half, model) in [before, after].into_iter().enumerate() {
        for (id, workload) in model.input().workloads.iter().enumerate() {
            let (kind, name) = workload.display_name();
            let namespace = workload.meta.namespace_or(&model.options().default_namespace).to_owned();
            known.entry((namespace, name, kind)).or_default()[half].push(id);
        }
    }
    let node =
        |((namespace, name, kind), members): (&(String, String, String), &[Vec<WorkloadId>; 2])| Node {
            namespace: namespace.clone(),
            name: name.clone(),
            kind: kind.clone(),
            before: !members[0].is_empty(),
            after: !members[1].is_empty(),
        };
    let mut result = Diff { nodes: known.iter().map(node).collect(), ..Diff::default() };
    let members: Vec<[Vec<WorkloadId>; 2]> = known.into_values().collect();
    let halves = [Half::new(before, &members, 0), Half::new(after, &members, 1)];
    let groups = groups(&halves, members.len());
    pods(&halves, &groups, &mut result);
    outside(&halves, &groups, &mut result);
    for id in 0..members.len() {
        let (old, new) = (&halves[0].entries[id], &halves[1].entries[id]);
        if old != new {
            result.entries.push(EntryChange { node: id, before: old.clone(), after: new.clone() });
        }
    }
    result
}

impl Half {
    fn new(model: &Model<'_>, members: &[[Vec<WorkloadId>; 2]], half: usize) -> Self {
        let reach = model.reach();
        let mut of_workload = vec![0; model.input().workloads.len()];
        let mut classes = Vec::with_capacity(members.len());
        for (node, both) in members.iter().enumerate() {
            let mut own: Vec<ClassId> = both[half].iter().map(|id| reach.class_of(*id)).collect();
            own.sort_unstable();
            own.dedup();
            classes.push(own);
            for id in &both[half] {
                of_workload[*id] = node;
            }
        }
        let mut entries = vec![PortSet::none(); members.len()];
        let controller = Peer::Pod(PodShape::unknown(None));
        for path in model.entry_paths() {
            let allowed = model.allowed(&controller, &Peer::Workload(path.workload)).must;
            if allowed.contains(path.protocol, path.port) {
                let known = &mut entries[of_workload[path.workload]];
                *known = known.union(&PortSet::one(path.protocol, path.port));
            }
        }
        Self { reach, classes, entries }
    }

    /// What each group may be sent by one group.
    fn row(&self, from: NodeId, groups: &[Vec<NodeId>]) -> Vec<Bounds> {
        let mut row = vec![Bounds::default(); groups.len()];
        let mut memo: HashMap<(u32, u32), Bounds> = HashMap::new();
        for class in &self.classes[from] {
            let values = self.reach.values(*class);
            for (bounds, group) in row.iter_mut().zip(groups) {
                for to in &self.classes[group[0]] {
                    let pair = values[*to];
                    let one = memo.entry(pair).or_insert_with(|| self.reach.join(pair));
                    if bounds.may.is_empty() {
                        *bounds = one.clone();
                    } else {
                        *bounds = either(bounds, one);
                    }
                }
            }
        }
        row
    }

    /// What a node exchanges with the outside; empty where it does not exist.
    fn outside(&self, node: NodeId, direction: Direction) -> Vec<(IpSet, Bounds)> {
        let mut parts: Vec<(IpSet, Bounds)> = Vec::new();
        for class in &self.classes[node] {
            let own = self.reach.outside(*class, direction);
            parts.extend(own.map(|(addresses, bounds)| (addresses.clone(), bounds.clone())));
        }
        parts
    }
}

/// Any of several pods with one name lets it through.
fn either(a: &Bounds, b: &Bounds) -> Bounds {
    Bounds { must: a.must.union(&b.must), may: a.may.union(&b.may) }
}

/// Nodes whose classes are the same in both halves are compared once.
fn groups(halves: &[Half; 2], count: usize) -> Vec<Vec<NodeId>> {
    let mut groups: BTreeMap<(&[ClassId], &[ClassId]), Vec<NodeId>> = BTreeMap::new();
    for node in 0..count {
        groups.entry((&halves[0].classes[node], &halves[1].classes[node])).or_default().push(node);
    }
    groups.into_values().collect()
}

fn pods(halves: &[Half; 2], groups: &[Vec<NodeId>], result: &mut Diff) {
    for from in groups {
        let (before, after) = (halves[0].row(from[0], groups), halves[1].row(from[0], groups));
        let mut changes: HashMap<(Bounds, Bounds), Vec<NodeId>> = HashMap::new();
        for ((old, new), to) in before.into_iter().zip(after).zip(groups) {
            // A group of one node is no connection with itself.
            if old != new && (to != from || to.len() > 1) {
                changes.entry((old, new)).or_default().extend(to);
            }
        }
        let mut changes: Vec<PodChange> = changes
            .into_iter()
            .map(|((before, after), mut to)| {
                to.sort_unstable();
                PodChange { from: from.clone(), to, before, after }
            })
            .collect();
        changes.sort_unstable_by(|a, b| a.to.cmp(&b.to));
        result.pods.append(&mut changes);
    }
}

fn outside(halves: &[Half; 2], groups: &[Vec<NodeId>], result: &mut Diff) {
    for group in groups {
        for direction in [Direction::Egress, Direction::Ingress] {
            let (before, after) =
                (halves[0].outside(group[0], direction), halves[1].outside(group[0], direction));
            let borders = before.iter().chain(&after).map(|(addresses, _)| addresses);
            let all = IpSet::union_all(borders.clone());
            let mut changes: BTreeMap<(Bounds, Bounds), Vec<IpSet>> = BTreeMap::new();
            for cell in all.parts(borders) {
                let at = |parts: &[(IpSet, Bounds)]| {
                    let here = parts.iter().filter(|(addresses, _)| addresses.is_superset(&cell));
                    here.fold(Bounds::default(), |sum, (_, bounds)| either(&sum, bounds))
                };
                let (old, new) = (at(&before), at(&after));
                if old != new {
                    changes.entry((old, new)).or_default().push(cell);
                }
            }
            for ((before, after), cells) in changes {
                let addresses = IpSet::union_all(&cells);
                result.outside.push(OutsideChange {
                    nodes: group.clone(),
                    direction,
                    addresses,
                    before,
                    after,
                });
            }
        }
    }
}
