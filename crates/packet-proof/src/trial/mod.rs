//! Every need of a workload tried with packets, and the engine's verdict held against the outcome.
//!
//! Where a need leads (which pods, which port, which addresses) is taken from the engine; whether packets get there
//! is not: that is decided by the kernel with the rules of [`crate::compile`].

mod human;
mod place;

pub use human::human;

use std::collections::BTreeMap;

use netpol::needs::{Need, Target, WorkloadNeeds};
use netpol::object::Protocol;
use netpol::{Model, Note, Route, Verdict, WorkloadId};
use serde::Serialize;

use crate::compile::{Policies, compile};
use crate::plan::{Outcome, Plan, Probe, Results, Round};
use place::{End, Places};

/// What is tried, and what it means.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The machines and the attempts.
    pub plan: Plan,
    rows: Vec<Draft>,
    profile: String,
    unsupported: Vec<String>,
}

/// A row of the report before the packets are sent.
#[derive(Clone, Debug)]
struct Draft {
    workloads: Vec<String>,
    need: String,
    needed: bool,
    one_of_several: bool,
    to: String,
    protocol: Protocol,
    port: u16,
    engine: Verdict,
    comparable: bool,
    /// Indices of its probes in the only round.
    probes: Vec<usize>,
}

/// What came of all needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// How DNS and the network plugin were taken to behave.
    pub profile: String,
    /// One row for each place that a need leads to, and protocol.
    pub rows: Vec<Row>,
    /// Rows in which kernel and engine disagree.
    pub mismatches: usize,
    /// Needs whose packets did not get through, each counted once.
    pub blocked: usize,
    /// Parts of policies that the kernel rules do not cover.
    pub not_compiled: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The workloads, `namespace/name`: those that nothing tells apart were tried once.
    pub workloads: Vec<String>,
    /// The need, `mysql:3306`.
    pub need: String,
    /// Whether this protocol is the one that is needed; the other was tried for comparison.
    pub needed: bool,
    /// The files do not show the host: it was tried in every place it may be, and one that is reached suffices.
    pub one_of_several: bool,
    /// Where the packets went.
    pub to: String,
    /// Protocol.
    pub protocol: String,
    /// Port at the receiver.
    pub port: u16,
    /// The engine's verdict: `allowed`, `denied`, `unknown`.
    pub engine: String,
    /// What the packets did: `allowed`, `denied`, `some` (of several addresses), `not tried`.
    pub kernel: String,
    /// Whether the two agree; `null` where the engine leaves it open or nothing was tried.
    pub agrees: Option<bool>,
    /// Each attempt in words.
    pub attempts: Vec<String>,
}

/// Prepares the trial of workloads. `needs` are those of all workloads, by their index.
#[must_use]
pub fn prepare(model: &Model<'_>, needs: &[WorkloadNeeds], workloads: &[WorkloadId]) -> Trial {
    let mut places = Places::new(model);
    let mut probes: Vec<Probe> = Vec::new();
    let mut rows = Vec::new();
    let mut subjects = Vec::new();
    for (members, own) in alike(model, needs, workloads) {
        let Some(first) = members.first() else { continue };
        subjects.push((places.workload(*first), members, own));
    }
    let hosts = hosts(model, &subjects, &mut places);
    for (node, members, own) in &subjects {
        let names: Vec<String> = members.iter().map(|id| full_name(model, *id)).collect();
        for need in *own {
            let Some(first) = members.first() else { continue };
            for (route, port) in routes(model, *first, need) {
                let ends = places.ends(&route.to, need.target == Target::Dns, &hosts);
                for protocol in [need.protocol, other(need.protocol)] {
                    let needed = protocol == need.protocol;
                    let engine = if needed {
                        route.decision.verdict
                    } else {
                        model.decide(&netpol::Peer::Workload(*first), &route.to, protocol, port).verdict
                    };
                    let query = (need.target == Target::Dns).then(|| hosts.keys().next().cloned()).flatten();
                    let mut own_probes = Vec::new();
                    for end in &ends {
                        places.listen(end.node, protocol, port);
                        own_probes.push(probes.len());
                        probes.push(Probe {
                            from: *node,
                            to: end.address,
                            port,
                            transport: protocol.into(),
                            query: query.clone(),
                        });
                    }
                    rows.push(Draft {
                        workloads: names.clone(),
                        need: need.label(),
                        needed,
                        one_of_several: need.target == Target::Hidden,
                        to: places.describe(&ends),
                        protocol,
                        port,
                        engine,
                        comparable: !own_probes.is_empty(),
                        probes: own_probes,
                    });
                }
            }
        }
    }
    let options = model.options();
    let input = model.input();
    let rules = compile(
        &places.scenario.cluster,
        &Policies {
            policies: &input.policies,
            admin: &input.admin_policies,
            default_namespace: &options.default_namespace,
            default_deny: &options.assume_default_deny,
        },
    );
    let unsupported =
        rules.unsupported.iter().map(|part| format!("{}: {}", part.policy, part.what)).collect();
    let plan = Plan {
        nodes: places.scenario.nodes,
        rounds: vec![Round { ruleset: rules.text, probes, tasks: Vec::new() }],
    };
    Trial { plan, rows: merge_twins(rows), profile: options.profile.name.clone(), unsupported }
}

impl Trial {
    /// Holds the engine's verdicts against what the packets did.
    #[must_use]
    pub fn judge(&self, results: &Results) -> Proof {
        let outcomes = results.rounds.first().map(Vec::as_slice).unwrap_or_default();
        let probes = self.plan.rounds.first().map(|round| round.probes.as_slice()).unwrap_or_default();
        let mut proof = Proof {
            profile: self.profile.clone(),
            not_compiled: self.unsupported.clone(),
            ..Proof::default()
        };
        for draft in &self.rows {
            let own: Vec<(&Probe, &Outcome)> =
                draft.probes.iter().filter_map(|at| Some((probes.get(*at)?, outcomes.get(*at)?))).collect();
            let passed: Vec<bool> = own.iter().filter_map(|(_, outcome)| outcome.passed()).collect();
            let all = passed.len() == own.len() && !passed.is_empty();
            let kernel = match (all, passed.contains(&true), passed.contains(&false)) {
                (false, ..) => "not tried",
                (true, true, false) => "allowed",
                (true, false, true) => "denied",
                _ => "some",
            };
            let agrees = match draft.engine {
                _ if !draft.comparable || kernel == "not tried" => None,
                Verdict::Unknown => None,
                Verdict::Allowed => Some(kernel == "allowed"),
                Verdict::Denied => Some(kernel == "denied"),
            };
            proof.mismatches += usize::from(agrees == Some(false));
            proof.rows.push(Row {
                workloads: draft.workloads.clone(),
                need: draft.need.clone(),
                needed: draft.needed,
                one_of_several: draft.one_of_several,
                to: draft.to.clone(),
                protocol: draft.protocol.to_string(),
                port: draft.port,
                engine: draft.engine.to_string(),
                kernel: kernel.to_owned(),
                agrees,
                attempts: own.iter().map(|(probe, outcome)| format!("{}: {outcome}", probe.to)).collect(),
            });
        }
        proof.blocked = blocked(&proof.rows);
        proof
    }
}

/// Number of needs, each counted once, whose packets did not get through.
fn blocked(rows: &[Row]) -> usize {
    let mut needs: BTreeMap<(&[String], &str), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.needed) {
        needs.entry((&row.workloads, &row.need)).or_default().push(row);
    }
    let denied = |row: &&Row| row.kernel == "denied";
    let is_blocked = |rows: &Vec<&Row>| match rows.iter().all(|row| row.one_of_several) {
        true => rows.iter().all(denied),
        false => rows.iter().any(denied),
    };
    needs.values().filter(|rows| is_blocked(rows)).count()
}

/// Workloads that no policy and no need tells apart, as one.
fn alike<'n>(
    model: &Model<'_>,
    needs: &'n [WorkloadNeeds],
    workloads: &[WorkloadId],
) -> Vec<(Vec<WorkloadId>, &'n [Need])> {
    let reach = model.reach();
    let mut groups: Vec<(usize, Vec<WorkloadId>, &[Need])> = Vec::new();
    for id in workloads {
        let own = needs.get(*id).map(|own| own.needs.as_slice()).unwrap_or_default();
        let class = reach.class_of(*id);
        let same = |other: &[Need]| {
            let key = |need: &Need| (need.target.clone(), need.protocol, need.port, need.last_port);
            other.iter().map(key).eq(own.iter().map(key))
        };
        match groups.iter_mut().find(|(known, _, needs)| *known == class && same(needs)) {
            Some((_, members, _)) => members.push(*id),
            None => groups.push((class, vec![*id], own)),
        }
    }
    groups.into_iter().map(|(_, members, own)| (members, own)).collect()
}

/// Where a need leads, with the port there. Pods whose resolver is not in the files are left out.
fn routes(model: &Model<'_>, workload: WorkloadId, need: &Need) -> Vec<(Route, u16)> {
    let judged = need.judge(model, workload);
    if judged.notes.contains(&Note::NodeResolver) {
        return Vec::new();
    }
    judged.routes.into_iter().map(|route| (route.clone(), route.port)).collect()
}

/// The names that the needs have, with an address each: what the resolver knows.
fn hosts(
    model: &Model<'_>,
    subjects: &[(usize, Vec<WorkloadId>, &[Need])],
    places: &mut Places<'_, '_>,
) -> BTreeMap<String, Vec<std::net::IpAddr>> {
    let mut hosts = BTreeMap::new();
    for (_, members, own) in subjects {
        let Some(first) = members.first() else { continue };
        for need in own.iter().filter(|need| !need.host.is_empty() && need.target != Target::Dns) {
            for (route, _) in routes(model, *first, need).into_iter().take(1) {
                let ends = places.ends(&route.to, false, &BTreeMap::new());
                let addresses: Vec<_> = ends.iter().map(|end: &End| end.address).collect();
                hosts.entry(need.host.to_ascii_lowercase()).or_insert(addresses);
            }
        }
    }
    if hosts.is_empty() {
        // A workload with nothing but hidden hosts still has to resolve them.
        hosts.insert("host.example".to_owned(), vec![std::net::IpAddr::from([10, 96, 0, 1])]);
    }
    hosts
}

fn other(protocol: Protocol) -> Protocol {
    match protocol {
        Protocol::Tcp => Protocol::Udp,
        Protocol::Udp | Protocol::Sctp => Protocol::Tcp,
    }
}

fn full_name(model: &Model<'_>, id: WorkloadId) -> String {
    let workload = &model.input().workloads[id];
    format!("{}/{}", workload.meta.namespace_or(&model.options().default_namespace), workload.meta.name)
}

/// A protocol that is needed by itself is not tried once more for comparison (DNS over UDP and TCP).
fn merge_twins(rows: Vec<Draft>) -> Vec<Draft> {
    let twin = |row: &Draft, other: &Draft| {
        other.needed
            && row.workloads == other.workloads
            && (&row.to, row.protocol, row.port) == (&other.to, other.protocol, other.port)
    };
    let keep: Vec<bool> =
        rows.iter().map(|row| row.needed || !rows.iter().any(|other| twin(row, other))).collect();
    rows.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(row, _)| row).collect()
}
