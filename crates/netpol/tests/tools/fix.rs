use netpol::fix::{Proposal, Request, propose};
use netpol::needs::NeedsFile;
use netpol::{Input, Options, SourceFile};

use crate::shared::{JOBS, cluster, files, incident};

fn proposal(files: &[SourceFile]) -> Proposal {
    propose(&Request { files, needs: &NeedsFile::default(), options: &Options::default() })
}

#[test]
fn the_proposal_is_least_privilege_and_allows_every_need() {
    let proposal = proposal(&cluster());
    let needs: Vec<&str> = proposal.blocked.iter().map(|group| group.need.as_str()).collect();
    assert_eq!(needs, ["DNS 53/UDP", "DNS 53/TCP", "api.example.com:443", "mysql:3306"]);
    assert!(proposal.remaining.is_empty(), "{:?}", proposal.remaining);
    let text = &proposal.policies;
    for words in [
        "name: allow-filler",
        "component: filler",
        "kubernetes.io/metadata.name: kube-system",
        "k8s-app: kube-dns",
        "kubernetes.io/metadata.name: data",
        "app: db",
        // The pods' port, not the Service's.
        "port: 13306",
        "- 169.254.0.0/16",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert_eq!(text.matches("0.0.0.0/0").count(), 1, "only HTTPS may go anywhere:\n{text}");
    let opened: Vec<String> = proposal
        .opens
        .changes
        .iter()
        .map(|change| format!("{} -> {}: {}", change.from_text(), change.to_text(), change.opened))
        .collect();
    assert_eq!(
        opened,
        [
            "apps/filler -> data/db: TCP 13306",
            "apps/filler -> pods with k8s-app=kube-dns in kube-system: TCP 53 UDP 53",
            "apps/filler -> public internet: TCP 443",
        ]
    );
}

#[test]
fn what_was_written_is_not_proposed_again() {
    let proposal = proposal(&cluster());
    let mut fixed = cluster();
    fixed.push(SourceFile::new("new.yaml", proposal.write_into("new.yaml", None)));
    let again = self::proposal(&fixed);
    assert!(again.is_empty(), "{:?}", again.blocked);
    assert_eq!(again.policies, "");
}

#[test]
fn a_later_need_joins_the_policy_that_is_there_and_comments_stay() {
    let first = proposal(&cluster()).write_into("new.yaml", None);
    let mine = format!("# Mine: keep me.\n{first}# The end.\n");
    let jobs = JOBS.replacen(
        "            - name: MYSQL_URI\n",
        "            - name: NATS_URL\n              value: nats://nats.data.svc.cluster.local:4222\n            - name: \
         MYSQL_URI\n",
        1,
    );
    let mut all = cluster();
    all[0] = SourceFile::new("jobs.yaml", jobs);
    all.push(SourceFile::new("new.yaml", mine.clone()));
    let more = proposal(&all);
    let merged = more.write_into("new.yaml", Some(&mine));
    let added = merged.replacen("# The end.\n", "", 1).len() - first.len() - "# Mine: keep me.\n".len();
    assert!(merged.starts_with("# Mine: keep me.\n") && merged.ends_with("# The end.\n"), "{merged}");
    assert!(added > 0 && merged.matches("kind: NetworkPolicy").count() == 1, "{merged}");
    assert!(merged.contains("port: 4222"));
    all.pop();
    all.push(SourceFile::new("new.yaml", merged));
    assert!(proposal(&all).is_empty());
}

#[test]
fn a_file_with_other_things_gets_the_policy_at_its_end() {
    let proposal = proposal(&cluster());
    let existing = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x} # odd\r\n";
    let merged = proposal.write_into("x.yaml", Some(existing));
    assert!(merged.starts_with(existing), "{merged}");
    let input = Input::parse([SourceFile::new("x.yaml", merged)]);
    assert_eq!((input.config_maps.len(), input.policies.len(), input.problems.len()), (1, 1, 0));
}

#[test]
fn widening_the_closest_policy_keeps_comments_and_order() {
    let proposal = proposal(&cluster());
    let widen = proposal.alternatives.iter().find(|one| one.kind == "widen").unwrap();
    let (name, text) = &widen.files[0];
    assert_eq!(name, "policies.yaml");
    let expected = "    matchLabels:\n      app: extractor   # ours\n    matchExpressions:\n      - key: component\n        \
                    operator: In\n        values: [loader, filler]\n  policyTypes: [Egress]\n";
    assert!(text.contains(expected), "{text}");
    assert!(text.contains("# Loads.") && text.contains("- ports: # names"));
    // The loader does not need the database, so its policy does not allow it.
    assert_eq!(widen.remaining.iter().map(|group| group.need.as_str()).collect::<Vec<_>>(), ["mysql:3306"]);
    assert!(widen.patch.starts_with("--- a/policies.yaml\n+++ b/policies.yaml\n"), "{}", widen.patch);
}

#[test]
fn relabelling_changes_one_word_and_says_who_else_looks_at_it() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: fillers, namespace: apps}\nspec:\n  selector: \
                   {component: filler}\n  ports: [{port: 80}]\n";
    let mut all = cluster();
    all.extend(files(&[("service.yaml", service)]));
    let proposal = proposal(&all);
    let relabel = proposal.alternatives.iter().find(|one| one.kind == "relabel").unwrap();
    assert_eq!(relabel.files[0].1, JOBS.replace("component: filler #", "component: loader #"));
    assert!(
        relabel.warnings.iter().any(|warning| warning == "Service fillers would no longer select the pods")
    );
}

#[test]
fn a_receiver_that_refuses_gets_a_policy_as_well() {
    let deny = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, namespace: data}\nspec: \
                {podSelector: {}, policyTypes: [Ingress]}\n";
    let mut all = cluster();
    all.extend(files(&[("deny.yaml", deny)]));
    let proposal = proposal(&all);
    assert!(proposal.remaining.is_empty(), "{:?}", proposal.remaining);
    assert!(proposal.policies.contains("name: allow-to-db"), "{}", proposal.policies);
    let ingress = proposal.policies.split("---\n").find(|text| text.contains("allow-to-db")).unwrap();
    for words in ["kubernetes.io/metadata.name: apps", "component: filler", "port: 13306"] {
        assert!(ingress.contains(words), "{words}\n{ingress}");
    }
}

#[test]
fn the_profile_decides_where_dns_is() {
    for (profile, words) in [
        ("node-local-dns", "cidr: 169.254.20.10/32"),
        ("openshift", "port: 5353"),
        ("cilium", "k8s-app: kube-dns"),
    ] {
        let options = Options { profile: netpol::Profile::by_name(profile).unwrap(), ..Options::default() };
        let files = cluster();
        let proposal = propose(&Request { files: &files, needs: &NeedsFile::default(), options: &options });
        assert!(proposal.policies.contains(words), "{profile}\n{}", proposal.policies);
        assert!(proposal.remaining.is_empty(), "{profile}: {:?}", proposal.remaining);
    }
}

#[test]
fn the_incident_is_fixed_by_one_policy_for_the_five_and_no_database_is_on_the_internet() {
    let Some(files) = incident(&["before", "context"]) else { return };
    let proposal = proposal(&files);
    assert!(proposal.suspected_default_deny.is_empty());
    let policy =
        proposal.policies.split("---\n").find(|text| text.contains("component: klines-gap-filler")).unwrap();
    assert_eq!(proposal.policies.matches("component: klines-gap-filler").count(), 1);
    let database = policy.split("- to:").find(|rule| rule.contains("port: 3306")).unwrap();
    assert!(!database.contains("0.0.0.0/0"), "{database}");
    // Where MYSQL_URI leads is in a Secret: nobody can promise more.
    let open: Vec<_> =
        proposal.remaining.iter().map(|group| (group.need.as_str(), group.verdict.as_str())).collect();
    assert_eq!(open, [("mysql:3306", "unknown")]);
}

#[test]
fn a_default_deny_outside_the_files_is_suspected_and_said_so() {
    let Some(files) = incident(&["before"]) else { return };
    let proposal = proposal(&files);
    assert_eq!(proposal.suspected_default_deny, ["petrosa-apps"]);
    assert!(proposal.policies.contains("component: klines-gap-filler"));
}

#[test]
fn hostile_names_stay_inside_their_comments_and_strings() {
    let jobs = JOBS
        .replace("name: API_URL", "name: \"API_URL\\nkind: Pod\"")
        .replace("component: filler #", "component: \"f: {x}\\n- a\" #");
    let mut all = cluster();
    all[0] = SourceFile::new("jobs.yaml", jobs);
    let proposal = proposal(&all);
    let input = Input::parse([SourceFile::new("new.yaml", proposal.policies.clone())]);
    assert!(input.workloads.is_empty(), "{}", proposal.policies);
}
