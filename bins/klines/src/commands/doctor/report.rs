//! What the checks found, for people and for programs.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::check::Check;
use super::dns::SYSTEM;
use super::pod::Pod;
use crate::ui::Style;
use crate::ui::table::{Align, render};

/// `{"ok", "checks": [{"target", "kind", "step", "ok", "ms", "error", "hint", "detail", "required"}], "pod"}`.
pub fn json(checks: &[Check], ok: bool, pod: Option<&Pod>) -> Value {
    let check = |check: &Check| {
        let trouble = check.result.as_ref().err();
        json!({
            "target": check.target,
            "kind": check.kind,
            "step": check.step,
            "ok": check.result.is_ok(),
            "required": check.required,
            "ms": ms(check),
            "detail": check.result.as_ref().ok(),
            "error": trouble.map(|t| &t.error),
            "hint": trouble.and_then(|t| t.hint.as_ref()),
        })
    };
    let pod = pod.map(|pod| json!({"name": pod.name, "namespace": pod.namespace, "labels": pod.labels}));
    json!({ "ok": ok, "checks": checks.iter().map(check).collect::<Vec<_>>(), "pod": pod })
}

fn ms(check: &Check) -> u64 {
    u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX)
}

/// A table of all steps, and under it what to do about those that failed.
pub fn human(checks: &[Check], ok: bool, pod: Option<&Pod>, servers: &[SocketAddr], style: Style) -> String {
    let header = [
        ("what", Align::Left),
        ("target", Align::Left),
        ("step", Align::Left),
        ("ms", Align::Right),
        ("result", Align::Left),
    ];
    let row = |check: &Check| {
        let result = match (&check.result, check.required) {
            (Ok(detail), _) => format!("ok: {detail}"),
            (Err(_), true) => "FAILED".to_owned(),
            (Err(_), false) => "failed (optional)".to_owned(),
        };
        vec![check.kind.into(), check.target.clone(), check.step.into(), ms(check).to_string(), result]
    };
    let mut out = render(&header, &checks.iter().map(row).collect::<Vec<_>>());
    out.push_str(&troubles(checks, style));
    out.push('\n');
    let servers: Vec<_> = servers.iter().map(|server| server.ip().to_string()).collect();
    let servers = if servers.is_empty() { "no name server".to_owned() } else { servers.join(", ") };
    out.push_str(&format!("names are resolved by {SYSTEM}: {servers}\n"));
    if let Some(pod) = pod {
        let namespace = pod.namespace.as_deref().unwrap_or("namespace unknown");
        let labels = if pod.labels.is_empty() { "labels unknown".to_owned() } else { pod.labels.join(", ") };
        out.push_str(&format!("this is pod {namespace}/{} ({labels})\n", pod.name));
    }
    out.push_str(&verdict(checks, ok, style));
    out
}

/// What failed, why, and what to do; a cause that several have in common is told once.
fn troubles(checks: &[Check], style: Style) -> String {
    let mut out = String::new();
    let mut told = Vec::new();
    for check in checks {
        let Err(trouble) = &check.result else { continue };
        let title = format!("{} {}: {} failed", check.kind, check.target, check.step);
        let title = if check.required { style.red(&title) } else { style.yellow(&title) };
        let cause = cause(check, &trouble.error);
        if told.contains(&cause) {
            out.push_str(&format!("{title}, as above\n"));
            continue;
        }
        told.push(cause);
        out.push_str(&format!("\n{title}\n  why:  {}\n", trouble.error));
        if let Some(hint) = &trouble.hint {
            out.push_str(&format!("  next: {hint}\n"));
        }
    }
    out
}

/// What failures of the same cause have in common: how names fail to resolve, whatever the name; how a name server fails to
/// answer, over whatever protocol.
fn cause<'a>(check: &'a Check, error: &'a str) -> (&'a str, &'a str) {
    match (check.step, error.split_once("': ")) {
        ("resolve", Some((_, reason))) => ("resolve", reason),
        ("udp" | "tcp", _) => (&check.target, error),
        // Of everything else each has its own.
        _ => (&check.target, check.step),
    }
}

fn verdict(checks: &[Check], ok: bool, style: Style) -> String {
    let optional = checks.iter().any(|check| check.result.is_err());
    match (ok, optional) {
        (true, false) => format!("{}\n", style.green("everything can be reached")),
        (true, true) => format!(
            "{}\n",
            style.green("everything that is required can be reached; what is optional and failed is above")
        ),
        (false, _) => format!("{}\n", style.red("not everything can be reached")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::check::Trouble;
    use super::*;

    fn check(required: bool, result: Result<String, Trouble>) -> Check {
        Check {
            target: "https://x".into(),
            kind: "exchange",
            step: "connect",
            required,
            took: Duration::from_millis(12),
            result,
        }
    }

    #[test]
    fn names_that_fail_for_one_reason_are_explained_once() {
        let failed = |target: &str, name: &str| Check {
            step: "resolve",
            target: target.into(),
            ..check(
                true,
                Err(Trouble::new(format!("failed to resolve '{name}': no answer"), Some("ask".into()))),
            )
        };
        let text = troubles(&[failed("a", "x"), failed("b", "y")], Style::plain());
        assert!(text.ends_with("next: ask\nexchange b: resolve failed, as above\n"), "{text}");
        assert_eq!(text.matches("next:").count(), 1, "{text}");
    }

    #[test]
    fn what_failed_comes_with_its_cause_and_the_next_step() {
        let trouble = Trouble::new("refused", Some("start it".into()));
        let checks = [check(true, Ok("1.2.3.4:443".into())), check(false, Err(trouble))];
        let text = human(&checks, true, None, &[], Style::plain());
        for part in [
            "exchange  https://x  connect  12  ok: 1.2.3.4:443",
            "failed (optional)",
            "exchange https://x: connect failed\n  why:  refused\n  next: start it",
            "everything that is required can be reached",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let json = json(&checks, true, None);
        assert_eq!(json["checks"][1]["hint"], "start it");
        assert_eq!(
            (json["checks"][0]["ok"].clone(), json["checks"][0]["ms"].clone()),
            (true.into(), 12.into())
        );
    }
}
