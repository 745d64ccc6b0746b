use netpol::reach_render::{ReachReport, dot, html, svg, table};
use netpol::{Model, Options};

use crate::shared::{cluster, files, input};

fn report(files: &[netpol::SourceFile]) -> ReachReport {
    let input = input(files);
    ReachReport::new(&Model::new(&input, &Options::default()))
}

#[test]
fn every_connection_names_its_ports_and_the_rules_that_allow_it() {
    let report = report(&cluster());
    let at = |name: &str| report.nodes.iter().position(|node| node.name == name).unwrap();
    let (loader, outside) = (at("apps/loader"), at("any address outside the cluster"));
    let found = report.connections.iter().find(|one| (one.from, one.to) == (loader, outside)).unwrap();
    assert_eq!(found.ports, "TCP 53,443 UDP 53");
    assert_eq!(found.egress_rules[0].to_string(), "apps/allow-loader egress #1 #2");
    let filler = at("apps/filler");
    assert!(!report.connections.iter().any(|one| one.from == filler), "the filler reaches nothing");
    let text = table(&report);
    assert!(text.contains("Not isolated by any policy: data/db"), "{text}");
}

#[test]
fn workloads_that_no_policy_tells_apart_are_one_node() {
    let twin = crate::shared::JOBS.replace("name: loader", "name: loader-twin");
    let twin = twin.split("---\n").nth(1).unwrap();
    let mut all = cluster();
    all.extend(files(&[("twin.yaml", twin)]));
    let report = report(&all);
    let node = report.nodes.iter().find(|node| node.name == "apps/loader* (2)").unwrap();
    assert_eq!(node.members, ["CronJob apps/loader", "CronJob apps/loader-twin"]);
}

#[test]
fn names_from_the_files_cannot_become_markup() {
    let evil = r#"</script><img src=x onerror=alert(1)>"#;
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: '{evil}', namespace: 'a\"b&c', labels: {{app: '{evil}'}}}}\nspec: \
         {{containers: [{{name: c}}]}}\n"
    );
    let input = netpol::Input::parse(files(&[("evil.yaml", &text)]));
    let report = ReachReport::new(&Model::new(&input, &Options::default()));
    let page = html(&report);
    assert!(!page.contains("<img"), "markup got through");
    assert_eq!(page.matches("</script>").count(), 2, "the data ends its script");
    assert!(!svg(&report).contains("<img"));
    assert!(page.contains("&lt;img src=x"));
    // Every quote of a name in a graph is escaped.
    let graph = dot(&report);
    assert!(graph.contains("a\\\"b&c"), "{graph}");
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = html(&report(&cluster()));
    for word in ["src=", "href=", "@import", "url(", "fetch(", "XMLHttpRequest", "<link"] {
        assert!(!page.contains(word), "{word}");
    }
    // The one address in it is the name of the SVG language.
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count() + 1);
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn json_holds_the_documented_fields() {
    let json = serde_json::to_value(report(&cluster())).unwrap();
    let connection = &json["connections"][0];
    for field in ["from", "to", "ports", "unknown", "egress_rules", "ingress_rules"] {
        assert!(!connection[field].is_null(), "{field}");
    }
    let node = &json["nodes"][0];
    for field in ["name", "kind", "namespace", "members", "isolated_ingress", "isolated_egress"] {
        assert!(!node[field].is_null(), "{field}");
    }
}

#[test]
fn nothing_to_show_is_shown_as_nothing() {
    let report = report(&[]);
    assert!(html(&report).contains("Nothing is allowed."));
    assert!(svg(&report).starts_with("<svg"));
    assert!(table(&report).starts_with("FROM"));
}
