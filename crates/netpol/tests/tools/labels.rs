use netpol::labels::document;
use netpol::{Input, Model, Options, SourceFile};

use crate::shared::{cluster, incident};

fn written(files: &[SourceFile]) -> String {
    let input = Input::parse(files.iter().cloned());
    document(&Model::new(&input, &Options::default()), files.len(), "netpol labels k8s")
}

#[test]
fn the_document_does_not_depend_on_the_order_or_the_places_of_files() {
    let mut turned = cluster();
    turned.reverse();
    let moved: Vec<SourceFile> = turned
        .iter()
        .map(|file| {
            SourceFile::new(format!("elsewhere/{}", file.name()), format!("# more\n\n{}", file.text()))
        })
        .collect();
    assert_eq!(written(&cluster()), written(&moved));
}

#[test]
fn keys_values_and_who_looks_at_them_are_listed() {
    let text = written(&cluster());
    for words in [
        "| `component` | `filler` (1), `loader` (1) | 2 of 3 pods | NetworkPolicy apps/allow-loader |",
        "| NetworkPolicy apps/allow-loader | `app=extractor, component=loader` | loader |",
        "| Service data/db | `app=db` | db |",
        "| apps/filler | CronJob | `app: extractor`, `component: filler` |  | default-deny |",
        "No policy of its own selects filler, while others in apps have one; closest is allow-loader: app matches, \
         component differs: policy wants loader, pod has filler.",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn context_is_looked_at_and_not_documented() {
    let files = cluster();
    let input = Input::parse(files.iter().cloned());
    let text = document(&Model::new(&input, &Options::default()), 2, "netpol labels k8s");
    assert!(!text.contains("data/db"), "{text}");
}

#[test]
fn drift_of_the_incident_is_found() {
    let Some(files) = incident(&["before"]) else { return };
    let text = written(&files);
    for words in [
        "NetworkPolicy petrosa-apps/allow-binance-data-extractor selects no pod",
        "Service petrosa-apps/petrosa-binance-data-extractor-service selects no pod",
        "No policy of its own selects binance-klines-gap-filler-\\* (5)",
        "`interval` is written `5m` and `m5`.",
        "`interval` is on objects and on no pod",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}
