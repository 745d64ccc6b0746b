//! Changes for people.

use std::fmt::Write as _;

use super::{Change, Changes};

/// The text: what opens, what closes, and the workloads behind names that stand for several.
#[must_use]
pub fn human(changes: &Changes) -> String {
    let mut text = String::new();
    for (word, list) in [("new", &changes.added_workloads), ("gone", &changes.removed_workloads)] {
        if !list.is_empty() {
            let _ = writeln!(text, "Workloads {word}: {}", list.join(", "));
        }
    }
    if changes.equal {
        text.push_str("No connection is opened or closed.\n");
    }
    section(&mut text, "Opened", '+', changes, |change| (change.opens(), &change.opened));
    section(&mut text, "Closed", '-', changes, |change| (change.closes(), &change.closed));
    let _ = writeln!(text, "Profile: {}", changes.profile);
    text
}

fn section(
    text: &mut String,
    title: &str,
    sign: char,
    changes: &Changes,
    pick: fn(&Change) -> (bool, &String),
) {
    let picked: Vec<&Change> = changes.changes.iter().filter(|change| pick(change).0).collect();
    if picked.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}:");
    for change in picked {
        let (_, ports) = pick(change);
        let ports = if ports == "all" { "all ports" } else { ports };
        let doubt = if change.uncertain { "  (the files leave open a part of it)" } else { "" };
        let both = if change.opens() && change.closes() {
            format!("  (before {}, after {})", change.before, change.after)
        } else {
            String::new()
        };
        let _ =
            writeln!(text, "  {sign} {} -> {}: {ports}{both}{doubt}", change.from_text(), change.to_text());
        for names in [&change.from, &change.to] {
            if names.len() > 2 {
                let _ = writeln!(text, "      {}", names.join(", "));
            }
        }
    }
}
