//! The names are the ones everybody uses.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use telemetry::names::{ATTRIBUTES, METRICS, SPANS, prometheus_labels, prometheus_names};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Words of a text that start with `prefix` and go on with these characters.
fn words<'a>(text: &'a str, prefix: &str, goes_on: fn(char) -> bool) -> BTreeSet<&'a str> {
    let starts = text.match_indices(prefix).filter(|(at, _)| !text[..*at].ends_with(goes_on));
    starts.map(|(at, _)| text[at..].split(|c| !goes_on(c)).next().unwrap()).collect()
}

#[test]
fn alerts_and_dashboard_use_names_that_exist() {
    let known = prometheus_names();
    for file in ["prometheus-rule.yaml", "klines.rules.yaml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(root().join("k8s/monitoring").join(file)).unwrap();
        let used = words(&text, "klines_", |c| c.is_ascii_alphanumeric() || c == '_');
        assert!(used.len() >= 7, "{file}: {used:?}");
        for name in used {
            let is_label = ATTRIBUTES.iter().any(|(label, _)| label.replace('.', "_") == name);
            assert!(
                is_label || known.iter().any(|k| k == name),
                "{file} uses {name}, which is not exported: {known:?}"
            );
        }
    }
}

#[test]
fn every_metric_is_in_the_documentation() {
    let text = std::fs::read_to_string(root().join("docs/telemetry.md")).unwrap();
    for metric in METRICS {
        assert!(text.contains(&format!("`{}`", metric.name)), "{} is not in docs/telemetry.md", metric.name);
    }
    for name in prometheus_names() {
        let name = name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count");
        assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/telemetry.md");
    }
    for span in SPANS {
        assert!(text.contains(&format!("`{}`", span.name)), "{} is not in docs/telemetry.md", span.name);
    }
    for (attribute, _) in ATTRIBUTES {
        assert!(text.contains(&format!("`{attribute}`")), "{attribute} is not in docs/telemetry.md");
    }
}

#[test]
fn labels_are_known_by_series_name() {
    let labels = prometheus_labels("klines_request_duration_seconds_count").unwrap();
    assert!(labels.contains(&"http_response_status_code".to_owned()), "{labels:?}");
    assert!(prometheus_labels("klines_nonsense").is_none());
}

#[test]
fn every_span_of_the_program_and_its_attributes_are_in_the_table() {
    let mut made = BTreeSet::new();
    for folder in ["crates/pipeline", "crates/binance", "crates/store", "crates/events", "bins/klines"] {
        for file in rust_files(&root().join(folder).join("src")) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (at, start) in text.match_indices("_span!(") {
                let (name, attributes) = span_made(&text[at + start.len()..]);
                let known = SPANS.iter().find(|span| span.name == name);
                let known = known.unwrap_or_else(|| panic!("{} makes a span `{name}`", file.display()));
                for attribute in attributes.iter().filter(|attribute| !attribute.starts_with("otel.")) {
                    let listed = known.attributes.contains(&attribute.as_str());
                    assert!(listed, "{}: `{name}` has an attribute `{attribute}`", file.display());
                }
                made.insert(name);
            }
        }
    }
    assert!(
        made.contains(telemetry::names::SPAN_RUN) && made.contains(telemetry::names::SPAN_COMMIT),
        "{made:?}"
    );
}

/// Name and attributes of a span, from what follows the opening parenthesis of the macro that makes it.
fn span_made(text: &str) -> (String, Vec<String>) {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            ')' if depth == 0 => break,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let plain = |part: &String| part.split(" = ").next().unwrap().trim().trim_matches('"').to_owned();
    let mut parts = parts.iter().map(plain).filter(|part| !part.is_empty());
    (parts.next().unwrap_or_default(), parts.collect())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
