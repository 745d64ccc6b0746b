//! The incident that this program answers: what must be said before and after its fix, and under each assumption.

use std::path::Path;

use netpol::object::{Protocol, WorkloadKind};
use netpol::{Input, Model, Options, Peer, PolicyRef, Profile, Reason, Target, Verdict};

use crate::corpus;

/// Port of each need, and what the extractor's policy says of it.
const NEEDS: [(Protocol, u16, Verdict); 8] = [
    (Protocol::Udp, 53, Verdict::Allowed),
    (Protocol::Tcp, 53, Verdict::Denied),
    (Protocol::Tcp, 443, Verdict::Allowed),
    (Protocol::Tcp, 3306, Verdict::Allowed),
    (Protocol::Tcp, 27017, Verdict::Allowed),
    (Protocol::Tcp, 4317, Verdict::Allowed),
    (Protocol::Tcp, 4318, Verdict::Denied),
    (Protocol::Tcp, 4222, Verdict::Allowed),
];

fn input(folder: &Path, parts: &[&str]) -> Input {
    Input::parse(parts.iter().flat_map(|part| {
        let path = folder.join(part);
        if path.is_dir() { corpus::files(&path) } else { vec![corpus::file(&path)] }
    }))
}

/// (name, verdicts on [`NEEDS`] towards any public name) of the CronJobs.
fn jobs(model: &Model<'_>) -> Vec<(String, Vec<Verdict>)> {
    let workloads = model.input().workloads.iter().enumerate();
    let jobs = workloads.filter(|(_, workload)| workload.kind == WorkloadKind::CronJob);
    jobs.map(|(id, workload)| {
        let verdict = |(protocol, port, _): &(Protocol, u16, Verdict)| {
            model
                .decide(&Peer::Workload(id), &Peer::Name("fapi.binance.com".to_owned()), *protocol, *port)
                .verdict
        };
        (workload.meta.name.value.clone(), NEEDS.iter().map(verdict).collect())
    })
    .collect()
}

fn is_filler(name: &str) -> bool {
    name.starts_with("binance-klines-gap-filler-")
}

#[test]
fn before_the_fix_the_five_gap_fillers_reach_nothing_because_only_default_deny_selects_them() {
    let Some(folder) = corpus::shared("incident") else { return };
    let input = input(&folder, &["before", "context/default-deny-all.yaml"]);
    assert_eq!(input.problems, []);
    let model = Model::new(&input, &Options::default());
    let jobs = jobs(&model);
    assert_eq!(jobs.iter().filter(|(name, _)| is_filler(name)).count(), 5);
    for (name, verdicts) in &jobs {
        for ((protocol, port, wanted), found) in NEEDS.iter().zip(verdicts) {
            let wanted = if is_filler(name) { Verdict::Denied } else { *wanted };
            assert_eq!(*found, wanted, "{name} {protocol} {port}");
        }
    }
    for (id, workload) in
        input.workloads.iter().enumerate().filter(|(_, workload)| is_filler(&workload.meta.name))
    {
        let answer = model.verdict(&Peer::Workload(id), &Target::Dns, Protocol::Udp, 53);
        assert_eq!(answer.verdict, Verdict::Denied, "{}", workload.meta.name);
        let side = answer.routes[0].decision.egress.as_ref().unwrap();
        assert_eq!((side.reason, side.rules.len()), (Reason::Isolated, 0));
        let names: Vec<String> =
            side.selected_by.iter().map(|(policy, _)| model.policy_name(*policy)).collect();
        assert_eq!(names, ["petrosa-apps/default-deny-all"]);
    }
}

#[test]
fn a_default_deny_that_is_only_assumed_gives_the_same_verdicts_and_says_so() {
    let Some(folder) = corpus::shared("incident") else { return };
    let input = input(&folder, &["before"]);
    let options = Options { assume_default_deny: vec!["petrosa-apps".to_owned()], ..Options::default() };
    let model = Model::new(&input, &options);
    for (name, verdicts) in jobs(&model) {
        for ((protocol, port, wanted), found) in NEEDS.iter().zip(verdicts) {
            let wanted = if is_filler(&name) { Verdict::Denied } else { *wanted };
            assert_eq!(found, wanted, "{name} {protocol} {port}");
        }
    }
    let filler = input.workloads.iter().position(|workload| is_filler(&workload.meta.name)).unwrap();
    let decision =
        model.decide(&Peer::Workload(filler), &Peer::Name("a.example".to_owned()), Protocol::Tcp, 443);
    assert_eq!(decision.egress.unwrap().selected_by[0].0, PolicyRef::Assumed(0));
    assert_eq!(model.policy_name(PolicyRef::Assumed(0)), "petrosa-apps/default-deny-all (assumed)");
}

#[test]
fn without_any_default_deny_the_gap_fillers_are_not_isolated() {
    let Some(folder) = corpus::shared("incident") else { return };
    let input = input(&folder, &["before"]);
    let model = Model::new(&input, &Options::default());
    for (name, verdicts) in jobs(&model).iter().filter(|(name, _)| is_filler(name)) {
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Allowed), "{name}");
    }
}

#[test]
fn after_the_fix_every_need_of_the_gap_fillers_is_allowed() {
    let Some(folder) = corpus::shared("incident") else { return };
    let input = input(&folder, &["after", "context/default-deny-all.yaml"]);
    let model = Model::new(&input, &Options::default());
    for (name, verdicts) in jobs(&model).iter().filter(|(name, _)| is_filler(name)) {
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Allowed), "{name}: {verdicts:?}");
    }
}

#[test]
fn a_range_that_reaches_the_resolver_does_so_only_where_the_cni_matches_pods_by_address() {
    let Some(folder) = corpus::shared("incident") else { return };
    let input = input(&folder, &["after", "context/default-deny-all.yaml"]);
    let filler = input.workloads.iter().position(|workload| is_filler(&workload.meta.name)).unwrap();
    for (profile, wanted) in [
        ("kubernetes", Verdict::Allowed),
        ("calico", Verdict::Allowed),
        ("node-local-dns", Verdict::Allowed),
        ("cilium", Verdict::Denied),
        // The resolver's pods listen on 5353 there, and the policy names 53.
        ("openshift", Verdict::Denied),
    ] {
        let options = Options { profile: Profile::by_name(profile).unwrap(), ..Options::default() };
        let model = Model::new(&input, &options);
        let answer = model.verdict(&Peer::Workload(filler), &Target::Dns, Protocol::Udp, 53);
        assert_eq!(answer.verdict, wanted, "{profile}");
    }
}
