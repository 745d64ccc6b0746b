use netpol::changes::{Changes, human};
use netpol::{Model, Options, SourceFile};

use crate::shared::{DATABASE, JOBS, POLICIES, cluster, files, incident, input};

fn changes(before: &[SourceFile], after: &[SourceFile]) -> Changes {
    let (before, after) = (input(before), input(after));
    let options = Options::default();
    Changes::new(&Model::new(&before, &options), &Model::new(&after, &options))
}

#[test]
fn the_same_files_are_equal_and_another_order_of_them_too() {
    let mut turned = cluster();
    turned.reverse();
    assert!(changes(&cluster(), &turned).equal);
    let renamed = POLICIES.replace("allow-loader", "allow-the-loader");
    let after = files(&[("jobs.yaml", JOBS), ("p.yaml", &renamed), ("database.yaml", DATABASE)]);
    assert!(changes(&cluster(), &after).equal, "names of policies open nothing");
}

#[test]
fn a_wider_selector_opens_and_the_way_back_closes_the_same() {
    let wider = POLICIES.replace("      component: loader\n", "");
    let after = files(&[("jobs.yaml", JOBS), ("policies.yaml", &wider), ("database.yaml", DATABASE)]);
    let opened = changes(&cluster(), &after);
    assert!(!opened.equal && opened.changes.iter().all(|change| change.opens() && !change.closes()));
    let outside =
        opened.changes.iter().find(|change| change.to == ["any address outside the cluster"]).unwrap();
    assert_eq!(
        (outside.from.as_slice(), outside.opened.as_str()),
        (&["apps/filler".to_owned()][..], "TCP 53,443 UDP 53")
    );
    let closed = changes(&after, &cluster());
    assert!(closed.changes.iter().all(|change| change.closes() && !change.opens()));
    assert_eq!(closed.changes.len(), opened.changes.len());
}

#[test]
fn pods_that_no_file_describes_count_as_well() {
    let rule = "  - to:\n    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: metrics}}\n    ports:\n    - \
                port: 9090\n";
    let after = files(&[
        ("jobs.yaml", JOBS),
        ("policies.yaml", &format!("{POLICIES}{rule}")),
        ("database.yaml", DATABASE),
    ]);
    let changes = changes(&cluster(), &after);
    let text = human(&changes);
    assert!(text.contains("+ apps/loader -> any pod in metrics: TCP 9090"), "{text}");
}

#[test]
fn the_fix_of_the_incident_opens_what_it_says() {
    let (Some(before), Some(after)) = (incident(&["before", "context"]), incident(&["after", "context"]))
    else {
        return;
    };
    let changes = changes_of(&before, &after);
    assert!(changes.changes.iter().all(|change| change.from.len() == 5 && change.opens()));
    assert_eq!(changes.changes[0].opened, "TCP 53,80,443,3306,4222,4317-4318,5432,27017 UDP 53");
}

/// Without the check for problems: the incident's files have some.
fn changes_of(before: &[SourceFile], after: &[SourceFile]) -> Changes {
    let (before, after) =
        (netpol::Input::parse(before.iter().cloned()), netpol::Input::parse(after.iter().cloned()));
    let options = Options::default();
    Changes::new(&Model::new(&before, &options), &Model::new(&after, &options))
}
