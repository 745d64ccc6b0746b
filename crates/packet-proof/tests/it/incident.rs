//! The incident's manifests with packets: before the fix nothing gets out, after it everything does.

use netpol::needs::{NeedsFile, derive};
use netpol::{Input, Model, Options};
use packet_proof::trial::{Proof, prepare};

use crate::shared::{data, manifests, play};

fn prove(folder: &str) -> Option<Proof> {
    let incident = data()?.join("incident");
    let mut files = manifests(&incident.join(folder));
    files.extend(manifests(&incident.join("context")));
    let input = Input::parse(files);
    let model = Model::new(&input, &Options::default());
    let needs = derive(&input, "default", &NeedsFile::default());
    let all: Vec<usize> = (0..input.workloads.len()).collect();
    let trial = prepare(&model, &needs, &all);
    let proof = trial.judge(&play(&trial.plan)?);
    assert_eq!(proof.not_compiled, [] as [String; 0]);
    assert_eq!(proof.mismatches, 0, "{}", packet_proof::trial::human(&proof));
    assert!(proof.rows.iter().all(|row| row.kernel != "not tried"));
    Some(proof)
}

#[test]
fn before_the_fix_no_packet_of_a_gap_filler_arrives() {
    let Some(proof) = prove("before") else { return };
    let of = |name: &str| {
        let name = name.to_owned();
        proof.rows.iter().filter(move |row| row.workloads.iter().any(|workload| workload.contains(&name)))
    };
    let mut gap_fillers = of("gap-filler").filter(|row| row.needed).peekable();
    assert!(gap_fillers.peek().is_some());
    for row in gap_fillers {
        assert_eq!((row.kernel.as_str(), row.engine.as_str()), ("denied", "denied"), "{row:?}");
    }
    let dns = |protocol: &str| {
        let mut rows = of("-production").filter(|row| row.needed && row.need.starts_with("DNS"));
        rows.find(|row| row.protocol == protocol).unwrap().kernel.clone()
    };
    // The extractors resolve names, as long as the answer is short.
    assert_eq!((dns("UDP"), dns("TCP")), ("allowed".to_owned(), "denied".to_owned()));
}

#[test]
fn after_the_fix_every_need_of_a_gap_filler_arrives() {
    let Some(proof) = prove("after") else { return };
    let rows = proof.rows.iter().filter(|row| row.needed && row.workloads[0].contains("gap-filler"));
    let blocked: Vec<_> = rows.clone().filter(|row| row.kernel != "allowed").collect();
    assert!(rows.count() >= 6);
    assert!(blocked.is_empty(), "{blocked:?}");
}
