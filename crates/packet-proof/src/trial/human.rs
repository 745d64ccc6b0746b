//! A proof for people.

use std::fmt::Write as _;

use super::{Proof, Row};

/// The table, workload by workload, and the conclusion.
#[must_use]
pub fn human(proof: &Proof) -> String {
    let mut text = String::new();
    let mut last: &[String] = &[];
    for row in &proof.rows {
        if row.workloads != last {
            if !last.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{}", row.workloads.join(", "));
            let _ = writeln!(text, "  {:<34} {:<4} {:<8} {:<9} TO", "NEED", "VIA", "ENGINE", "KERNEL");
            last = &row.workloads;
        }
        write_row(&mut text, row);
    }
    if !proof.not_compiled.is_empty() {
        text.push_str("\nNot in the kernel rules:\n");
        for part in &proof.not_compiled {
            let _ = writeln!(text, "  {part}");
        }
    }
    let compared = proof.rows.iter().filter(|row| row.agrees.is_some()).count();
    let _ = writeln!(
        text,
        "\n{} connections tried, {compared} compared with the engine (profile {}).",
        proof.rows.iter().map(|row| row.attempts.len()).sum::<usize>(),
        proof.profile
    );
    if proof.rows.iter().any(|row| row.one_of_several) {
        text.push_str(
            "?: the files do not show the host; it was tried in every place it may be, and one suffices.\n",
        );
    }
    if proof.mismatches > 0 {
        let _ = writeln!(
            text,
            "MISMATCH: kernel and engine disagree in {} rows, marked !! above. One of the two is wrong: please report it \
             with the manifests.",
            proof.mismatches
        );
    } else {
        text.push_str("Kernel and engine agree.\n");
    }
    if proof.blocked > 0 {
        let _ = writeln!(
            text,
            "{} needs are blocked; netpol explain says why, netpol fix what to do.",
            proof.blocked
        );
    }
    text
}

fn write_row(text: &mut String, row: &Row) {
    let mark = match (row.agrees, row.needed) {
        (Some(false), _) => "!!",
        (_, true) if row.one_of_several => " ?",
        (_, true) => "  ",
        // Tried for comparison only.
        (_, false) => " ~",
    };
    let _ = writeln!(
        text,
        "{mark}{:<34} {:<4} {:<8} {:<9} {}",
        row.need, row.protocol, row.engine, row.kernel, row.to
    );
    if row.agrees == Some(false) || row.kernel == "some" || row.kernel == "not tried" {
        for attempt in &row.attempts {
            let _ = writeln!(text, "      {attempt}");
        }
    }
}
