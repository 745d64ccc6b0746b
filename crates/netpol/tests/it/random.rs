//! Random clusters: the engine against the reference, pair by pair and port by port.

use std::collections::BTreeMap;
use std::net::IpAddr;

use netpol::object::{Direction, Protocol};
use netpol::set::IpSet;
use netpol::{Bounds, Input, Model, Options, Peer, Reach, SourceFile, Verdict};
use proptest::prelude::*;

use crate::reference::Cluster;
use crate::reference::evaluate::{End, allowed};
use crate::reference::generate::{OUTSIDE, PORTS, PROTOCOLS, cluster};
use crate::reference::yaml::{Told, render};

const EVERYTHING: Told = Told { pod_ips: true, namespace_labels: true };

fn input(cluster: &Cluster, told: Told) -> Input {
    let input = Input::parse([SourceFile::new("cluster.yaml", render(cluster, told))]);
    assert_eq!(input.problems, [], "{}", input.files[0].text());
    input
}

fn options(complete: bool) -> Options {
    Options { complete, ..Options::default() }
}

/// Every end that a question can be about, with the engine's name for it.
fn ends(cluster: &Cluster) -> Vec<(End, Peer)> {
    let pods = (0..cluster.pods.len()).map(|pod| (End::Pod(pod), Peer::Workload(pod)));
    let outside = OUTSIDE.iter().map(|text| {
        let ip: IpAddr = text.parse().unwrap();
        (End::Ip(ip), Peer::Addresses(IpSet::one(ip)))
    });
    pods.chain(outside).collect()
}

/// Calls `check` with every question: sender, receiver, protocol, port, and the reference's answer.
fn every_question(cluster: &Cluster, mut check: impl FnMut(&(End, Peer), &(End, Peer), Protocol, u16, bool)) {
    let ends = ends(cluster);
    for from in &ends {
        for to in &ends {
            let inside = matches!(from.0, End::Pod(_)) || matches!(to.0, End::Pod(_));
            let same = matches!((from.0, to.0), (End::Pod(a), End::Pod(b)) if a == b);
            if !inside || same {
                continue;
            }
            for protocol in PROTOCOLS {
                for port in PORTS {
                    let truth = allowed(cluster, from.0, to.0, protocol, port);
                    check(from, to, Protocol::parse(protocol).unwrap(), port, truth);
                }
            }
        }
    }
}

/// What the symbolic side of the engine says of two ends.
fn in_reach(reach: &Reach, from: &(End, Peer), to: &(End, Peer)) -> Bounds {
    let outside = |pod: usize, ip: IpAddr, direction| {
        let mut parts = reach.outside(reach.class_of(pod), direction);
        parts
            .find(|(addresses, _)| addresses.contains(ip))
            .map_or_else(Bounds::default, |(_, bounds)| bounds.clone())
    };
    match (from.0, to.0) {
        (End::Pod(from), End::Pod(to)) => reach.between(reach.class_of(from), reach.class_of(to)),
        (End::Pod(from), End::Ip(ip)) => outside(from, ip, Direction::Egress),
        (End::Ip(ip), End::Pod(to)) => outside(to, ip, Direction::Ingress),
        (End::Ip(_), End::Ip(_)) => Bounds::all(),
    }
}

fn compare(cluster: &Cluster) {
    let input = input(cluster, EVERYTHING);
    let model = Model::new(&input, &options(true));
    let reach = model.reach();
    let mut asked = BTreeMap::new();
    every_question(cluster, |from, to, protocol, port, truth| {
        let key = format!("{:?} {:?}", from.0, to.0);
        let (pairwise, symbolic) =
            asked.entry(key).or_insert_with(|| (model.allowed(&from.1, &to.1), in_reach(&reach, from, to)));
        let wanted = if truth { Verdict::Allowed } else { Verdict::Denied };
        let place = || format!("{:?} -> {:?} {protocol} {port}\n{}", from.0, to.0, input.files[0].text());
        assert_eq!(Verdict::of(pairwise, protocol, port), wanted, "pairwise: {}", place());
        assert_eq!(Verdict::of(symbolic, protocol, port), wanted, "symbolic: {}", place());
        if port == 80 {
            let decision = model.decide(&from.1, &to.1, protocol, port);
            assert_eq!(decision.verdict, wanted, "decision: {}", place());
        }
    });
}

fn cases(count: u32) -> ProptestConfig {
    let count = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(count);
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn network_policies_are_judged_as_the_specification_says(cluster in cluster(0)) {
        compare(&cluster);
    }

    #[test]
    fn tiers_are_judged_as_the_specification_says(cluster in cluster(4)) {
        compare(&cluster);
    }
}

proptest! {
    #![proptest_config(cases(700))]

    /// Whatever the manifests leave out, a definite verdict is a true one.
    #[test]
    fn a_verdict_on_less_information_is_never_wrong(cluster in cluster(2), pod_ips: bool, namespace_labels: bool) {
        let input = input(&cluster, Told { pod_ips, namespace_labels });
        let model = Model::new(&input, &options(false));
        let reach = model.reach();
        let mut asked = BTreeMap::new();
        every_question(&cluster, |from, to, protocol, port, truth| {
            let key = format!("{:?} {:?}", from.0, to.0);
            let found = asked
                .entry(key)
                .or_insert_with(|| [model.allowed(&from.1, &to.1), in_reach(&reach, from, to)]);
            for (bounds, how) in found.iter().zip(["pairwise", "symbolic"]) {
                let verdict = Verdict::of(bounds, protocol, port);
                let wrong = if truth { Verdict::Denied } else { Verdict::Allowed };
                let place = format!("{how}: {:?} -> {:?} {protocol} {port}\n{}", from.0, to.0, input.files[0].text());
                assert_ne!(verdict, wrong, "{place}");
            }
        });
    }

    /// A difference lists exactly the pairs whose answer changed.
    #[test]
    fn a_difference_is_what_two_comparisons_would_find(cluster in cluster(1), keep in 0_usize..6) {
        let mut changed = cluster.clone();
        changed.policies.truncate(keep);
        changed.admin.clear();
        let inputs = [&cluster, &changed].map(|cluster| input(cluster, EVERYTHING));
        let models = inputs.each_ref().map(|input| Model::new(input, &options(true)));
        let diff = netpol::diff(&models[0], &models[1]);
        let mut listed = BTreeMap::new();
        for change in &diff.pods {
            for from in &change.from {
                for to in change.to.iter().filter(|to| *to != from) {
                    let pair = (diff.nodes[*from].name.clone(), diff.nodes[*to].name.clone());
                    listed.insert(pair, (change.before.must.clone(), change.after.must.clone()));
                }
            }
        }
        let (before, after) = (models[0].reach(), models[1].reach());
        for (from, sender) in cluster.pods.iter().enumerate() {
            for (to, receiver) in cluster.pods.iter().enumerate().filter(|(to, _)| *to != from) {
                let ports = |reach: &Reach| reach.between(reach.class_of(from), reach.class_of(to)).must;
                let (old, new) = (ports(&before), ports(&after));
                let found = listed.remove(&(sender.name.clone(), receiver.name.clone()));
                let wanted = if old == new { None } else { Some((old, new)) };
                prop_assert_eq!(found, wanted);
            }
        }
        prop_assert!(listed.is_empty());
    }
}
