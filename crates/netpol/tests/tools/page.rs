//! The report as one page.

use netpol::findings::Severity;
use netpol::needs::{self, NeedsFile};
use netpol::rules::{self, CheckOptions};
use netpol::{Input, Model, Options, SourceFile, render};

use crate::shared::{cluster, files};

fn page(files: &[SourceFile]) -> String {
    let input = Input::parse(files.iter().cloned());
    let options = Options::default();
    let model = Model::new(&input, &options);
    let report = rules::check(&model, &NeedsFile::default(), &CheckOptions::default());
    let needs = needs::derive(&input, "default", &NeedsFile::default());
    let checked_files = files.len();
    let (least, evidence) = (Severity::Info, true);
    let context =
        render::Context { input: &input, options: &options, report: &report, checked_files, evidence, least };
    render::page(&context, &model, &needs)
}

/// The words of the page: no markup, no style, one line for each that has any.
fn words(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body);
    let body = body.split_once("<section id=\"reach\"").map_or(body, |(head, _)| head);
    let mut text = String::new();
    let mut inside = true;
    for c in body.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                if !text.ends_with([' ', '\n']) {
                    text.push(' ');
                }
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_page_says_what_the_terminal_says() {
    let words = words(&page(&cluster())) + "\n";
    if words != include_str!("page.txt") {
        let new = std::env::temp_dir().join("netpol-page.txt");
        std::fs::write(&new, &words).unwrap();
        panic!(
            "the page changed: {} has the new words; when they are right, they belong into page.txt",
            new.display()
        );
    }
}

#[test]
fn the_page_loads_and_runs_nothing() {
    let page = page(&cluster());
    assert!(page.contains("default-src 'none'"));
    for word in ["src=", "<script", "@import", "url(", "<link", "javascript:", "onclick"] {
        assert!(!page.contains(word), "{word}");
    }
    let links = page.matches("href=").count();
    assert_eq!(links, page.matches("href=\"#").count(), "links stay on the page");
}

#[test]
fn no_verdict_is_told_by_colour_alone() {
    let page = page(&cluster());
    for (class, words) in [("denied", "✗ denied"), ("allowed", "✓ allowed")] {
        let cells = page.matches(&format!("<td><span class=\"verdict {class}\">")).count();
        assert_eq!(cells, page.matches(&format!("<td><span class=\"verdict {class}\">{words}")).count());
        assert!(cells > 0, "{class}");
    }
}

#[test]
fn headings_go_down_one_level_at_a_time() {
    let page = page(&cluster());
    let mut last = 0;
    let levels = page.match_indices("<h").filter_map(|(at, _)| page.get(at + 2..at + 3)?.parse::<u32>().ok());
    for level in levels {
        assert!(level <= last + 1, "h{level} after h{last}");
        last = level;
    }
}

#[test]
fn names_from_the_files_cannot_become_markup() {
    let evil = r#"</pre><img src=x onerror=alert(1)>"#;
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: '{evil}', namespace: 'a\"b&c', labels: {{app: '{evil}'}}}}\nspec: \
         {{containers: [{{name: c, env: [{{name: '{evil}_URL', value: 'http://{evil}'}}]}}]}}\n"
    );
    let page = page(&files(&[("evil.yaml", &text)]));
    assert!(!page.contains("<img"), "markup got through");
    assert!(page.contains("&lt;img src=x"));
}
