//! All allowed connections at once.

use std::collections::HashMap;

use super::classes::{Class, ClassId, Pool};
use super::rows::Rows;
use super::side::Bounds;
use super::{Model, WorkloadId};
use crate::object::Direction;
use crate::set::IpSet;

/// Who reaches whom, by class of pods. Size and cost grow with what the policies tell apart, not with the
/// square of the pods: pairs are only made when asked for, one sender at a time.
#[derive(Clone, Debug)]
pub struct Reach {
    classes: Vec<Class>,
    of: Vec<ClassId>,
    bounds: Vec<Bounds>,
    egress: Rows,
    ingress: Rows,
    /// For each class, where receivers treat it differently from their default: (ingress row, bounds).
    senders: Vec<Vec<(u32, u32)>>,
    /// Receivers of each ingress row.
    receivers: Vec<Vec<ClassId>>,
}

/// Connections from one class to all classes that treat it alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What is allowed; never empty.
    pub ports: Bounds,
    /// The receiving classes, ascending.
    pub to: Vec<ClassId>,
}

/// One allowed connection between workloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection<'r> {
    /// Sender.
    pub from: WorkloadId,
    /// Receiver, never the sender itself.
    pub to: WorkloadId,
    /// What is allowed; never empty.
    pub ports: &'r Bounds,
}

impl Model<'_> {
    /// Computes all connections between workloads, and with addresses outside the cluster.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let (classes, of) = self.classes();
        let hits = self.selector_hits(&classes);
        let mut pool = Pool::default();
        let egress = self.rows(Direction::Egress, &classes, &hits, &mut pool);
        let ingress = self.rows(Direction::Ingress, &classes, &hits, &mut pool);
        let mut senders = vec![Vec::new(); classes.len()];
        for (row, entry) in (0_u32..).zip(&ingress.rows) {
            for (class, value) in &entry.others {
                senders[*class].push((row, *value));
            }
        }
        let mut receivers = vec![Vec::new(); ingress.rows.len()];
        for (class, row) in ingress.of.iter().enumerate() {
            receivers[*row as usize].push(class);
        }
        Reach { classes, of, bounds: pool.items, egress, ingress, senders, receivers }
    }
}

impl Reach {
    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The class of a workload.
    ///
    /// # Panics
    /// When there is no such workload.
    #[must_use]
    pub fn class_of(&self, workload: WorkloadId) -> ClassId {
        self.of[workload]
    }

    /// What one class may send to every other (and to its own other members), grouped by what is allowed.
    /// Receivers that can be sent nothing are left out.
    #[must_use]
    pub fn row(&self, from: ClassId) -> Vec<Group> {
        let mut groups: HashMap<Bounds, Vec<ClassId>> = HashMap::new();
        let mut by_pair: HashMap<(u32, u32), Vec<ClassId>> = HashMap::new();
        for (to, pair) in self.candidates(from) {
            by_pair.entry(pair).or_default().push(to);
        }
        for (pair, to) in by_pair {
            let ports = self.join(pair);
            if !ports.may.is_empty() {
                groups.entry(ports).or_default().extend(to);
            }
        }
        let mut groups: Vec<Group> = groups
            .into_iter()
            .map(|(ports, mut to)| {
                to.sort_unstable();
                Group { ports, to }
            })
            .collect();
        groups.sort_unstable_by(|a, b| a.to.cmp(&b.to));
        groups
    }

    /// Receivers that may get anything at all from a class, and what the two ends let through. A sender whose
    /// default is nothing asks its few exceptions alone.
    fn candidates(&self, from: ClassId) -> Vec<(ClassId, (u32, u32))> {
        let egress = &self.egress.rows[self.egress.of[from] as usize];
        if !self.bounds[egress.default as usize].may.is_empty() {
            return self.values(from).into_iter().enumerate().collect();
        }
        let received = |to: ClassId| self.ingress.rows[self.ingress.of[to] as usize].value(from);
        egress.others.iter().map(|(to, sent)| (*to, (*sent, received(*to)))).collect()
    }

    /// For each receiving class, what the sender's and what the receiver's end let through.
    pub(super) fn values(&self, from: ClassId) -> Vec<(u32, u32)> {
        let egress = &self.egress.rows[self.egress.of[from] as usize];
        let ingress = self.ingress.of.iter().map(|row| self.ingress.rows[*row as usize].default);
        let mut values: Vec<(u32, u32)> = ingress.map(|received| (egress.default, received)).collect();
        for (to, sent) in &egress.others {
            values[*to].0 = *sent;
        }
        for (row, received) in &self.senders[from] {
            for to in &self.receivers[*row as usize] {
                values[*to].1 = *received;
            }
        }
        values
    }

    /// What both ends of a pair from [`Self::values`] let through.
    pub(super) fn join(&self, (sent, received): (u32, u32)) -> Bounds {
        self.bounds[sent as usize].and(&self.bounds[received as usize])
    }

    /// What one class may send to another.
    #[must_use]
    pub fn between(&self, from: ClassId, to: ClassId) -> Bounds {
        let egress = &self.egress.rows[self.egress.of[from] as usize];
        let ingress = &self.ingress.rows[self.ingress.of[to] as usize];
        self.bounds[egress.value(to) as usize].and(&self.bounds[ingress.value(from) as usize])
    }

    /// What a class may send to (egress) or get from (ingress) addresses outside the cluster, each address
    /// once; addresses without any traffic are left out.
    pub fn outside(&self, class: ClassId, direction: Direction) -> impl Iterator<Item = (&IpSet, &Bounds)> {
        let rows = match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        };
        let parts = rows.rows[rows.of[class] as usize].outside.iter();
        parts
            .map(|(addresses, value)| (addresses, &self.bounds[*value as usize]))
            .filter(|(_, bounds)| !bounds.may.is_empty())
    }

    /// Calls `visit` for every allowed connection between two different workloads, sender by sender.
    pub fn for_each(&self, mut visit: impl FnMut(Connection<'_>)) {
        for (from, class) in self.classes.iter().enumerate() {
            let groups = self.row(from);
            for sender in &class.members {
                for group in &groups {
                    for to in group.to.iter().flat_map(|to| &self.classes[*to].members) {
                        if to != sender {
                            visit(Connection { from: *sender, to: *to, ports: &group.ports });
                        }
                    }
                }
            }
        }
    }

    /// Number of (sender, receiver) pairs of classes with some traffic allowed, without listing them.
    #[must_use]
    pub fn pairs(&self) -> usize {
        (0..self.classes.len())
            .map(|from| self.row(from).iter().map(|group| group.to.len()).sum::<usize>())
            .sum()
    }
}

impl super::rows::Row {
    fn value(&self, class: ClassId) -> u32 {
        let at = self.others.binary_search_by_key(&class, |(other, _)| *other);
        at.ok().and_then(|at| self.others.get(at)).map_or(self.default, |(_, value)| *value)
    }
}
