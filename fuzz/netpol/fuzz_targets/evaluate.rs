//! Any text: evaluation never panics, and the symbolic and the pairwise way agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netpol::object::Protocol;
use netpol::{Input, Limits, Model, Options, Peer, SourceFile, Target, Verdict};

fuzz_target!(|text: &str| {
    // Small inputs only: pairs grow with the square.
    let limits = Limits { nodes: 3_000, alias_nodes: 300, ..Limits::default() };
    let input = Input::parse_with([SourceFile::new("fuzz.yaml", text)], &limits);
    if input.workloads.len() > 12 || input.policies.len() > 12 {
        return;
    }
    for complete in [false, true] {
        let options = Options {
            complete,
            assume_default_deny: if complete { vec!["default".to_owned()] } else { Vec::new() },
            ..Options::default()
        };
        let model = Model::new(&input, &options);
        let reach = model.reach();
        for from in 0..input.workloads.len() {
            for to in 0..input.workloads.len() {
                let pairwise = model.allowed(&Peer::Workload(from), &Peer::Workload(to));
                assert_eq!(pairwise, reach.between(reach.class_of(from), reach.class_of(to)));
                assert!(pairwise.may.is_superset(&pairwise.must));
            }
            let sender = Peer::Workload(from);
            let decision = model.decide(&sender, &Peer::Name("example.com".to_owned()), Protocol::Tcp, 443);
            let open = decision.egress.as_ref().is_none_or(|side| side.rules.is_empty() && side.selected_by.is_empty());
            assert!(!open || decision.verdict == Verdict::Allowed);
            let _ = model.verdict(&sender, &Target::Dns, Protocol::Udp, 53);
            for service in 0..input.services.len().min(12) {
                let _ = model.verdict(&sender, &Target::Service(service), Protocol::Tcp, 80);
            }
            let _ = model.exposure(from);
        }
        let _ = model.entry_paths();
        assert!(netpol::diff(&model, &model).is_empty());
    }
});
