//! How the exports of a signal go, in words for people.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::settings::{Settings, Signal, mask_url};

/// Telemetry that did not reach its collector. Never an error of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was lost, at least in part.
    pub signals: Vec<Signal>,
    /// The collector it should have gone to, without credentials.
    pub target: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.signals.iter().map(|signal| signal.as_str()).collect();
        write!(f, "{} were not delivered to {}: {}", names.join(", "), self.target, self.why)
    }
}

/// Joins problems that have the same cause: a collector that is away is one problem and not three.
pub(crate) fn joined(problems: impl IntoIterator<Item = Problem>) -> Vec<Problem> {
    let mut joined: Vec<Problem> = Vec::new();
    for problem in problems {
        match joined.iter_mut().find(|known| known.target == problem.target && known.why == problem.why) {
            Some(known) => known.signals.extend(problem.signals),
            None => joined.push(problem),
        }
    }
    joined
}

/// What happened to the exports of one signal.
#[derive(Debug)]
pub(crate) struct Health {
    secrets: Vec<String>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failure: Option<String>,
    cause: Option<String>,
}

impl Health {
    pub(crate) fn new(secrets: Vec<String>) -> Self {
        Self { secrets, state: Mutex::default() }
    }

    /// Notes that an export failed. The last failure is the one that is told.
    pub(crate) fn failed(&self, why: &str) {
        let why = self.scrub(why);
        self.lock().failure = Some(why);
    }

    /// Notes why a request failed: the exporter's own error says only that it did.
    pub(crate) fn caused_by(&self, error: &(dyn std::error::Error + 'static)) {
        let cause = self.scrub(&innermost(error));
        self.lock().cause = Some(cause);
    }

    /// The failure in words, if there was one.
    fn failure(&self) -> Option<String> {
        let state = self.lock();
        let failure = state.failure.as_ref()?;
        // The exporters hide the cause of a network error; everything else they say themselves.
        let hidden = failure.contains("network error");
        Some(state.cause.as_ref().filter(|_| hidden).unwrap_or(failure).clone())
    }

    fn scrub(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The problem to tell, if there is one.
    pub(crate) fn problem(&self, signal: Signal, settings: &Settings, timed_out: bool) -> Option<Problem> {
        let failure = self.failure();
        let why = match (failure, timed_out) {
            (Some(failure), _) => failure,
            (None, true) => "the collector did not answer in time".to_owned(),
            (None, false) => return None,
        };
        let why = plain(&why);
        let url = settings.target(signal).map(|target| mask_url(&target.url)).unwrap_or_default();
        let target = url.trim_end_matches(&format!("/v1/{}", signal.as_str())).to_owned();
        let hint = hint(&why, settings.in_cluster);
        Some(Problem { signals: vec![signal], target, why, hint })
    }
}

/// An exporter's words without the names of its types and without what it says twice.
fn plain(why: &str) -> String {
    let why = why.strip_prefix("Operation failed: ").unwrap_or(why);
    let why = why.split_once("gRPC code: ").map_or(why, |(_, rest)| rest);
    let mut parts: Vec<&str> = why.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

/// The end of a chain of errors: the cause.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut current = error;
    while let Some(next) = current.source() {
        current = next;
    }
    current.to_string()
}

fn hint(why: &str, in_cluster: bool) -> Option<String> {
    let why = why.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let hint = if has(&["resolve", "dns", "lookup address", "name or service"]) {
        if in_cluster {
            "a network policy may be in the way: the pod needs egress to port 53, UDP and TCP; otherwise check the host"
        } else {
            "check the host in OTEL_EXPORTER_OTLP_ENDPOINT"
        }
    } else if has(&["status code: 401", "status code: 403", "unauthenticated", "permissiondenied"]) {
        "check OTEL_EXPORTER_OTLP_HEADERS"
    } else if has(&["status code: 404", "status code: 405", "status code: 415", "unimplemented"]) {
        "no OTLP is spoken there: check the path, and OTEL_EXPORTER_OTLP_PROTOCOL (http/protobuf on 4318, grpc on 4317)"
    } else if has(&["timed out", "timeout", "deadline", "in time", "cancelled"]) {
        if in_cluster {
            "a network policy may be in the way: the pod needs egress to TCP 4317 and 4318, and the collector must let it in"
        } else {
            "the collector, or a firewall before it, does not answer"
        }
    } else if has(&["refused"]) {
        "start the collector, or correct the port: http/protobuf is on 4318 by custom, grpc on 4317"
    } else if has(&["certificate", "tls", "unknownissuer"]) {
        "name the authority's PEM file in OTEL_EXPORTER_OTLP_CERTIFICATE"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_out_of_every_text() {
        let health = Health::new(vec!["k3y".into()]);
        health.failed("the header k3y was refused");
        let settings = Settings::default();
        assert_eq!(health.problem(Signal::Logs, &settings, false).unwrap().why, "the header *** was refused");
    }

    #[test]
    fn a_hidden_network_error_is_told_by_its_cause() {
        let health = Health::new(Vec::new());
        health.caused_by(&std::io::Error::other("connection refused"));
        assert!(health.problem(Signal::Logs, &Settings::default(), false).is_none());
        health.failed("HTTP export failed: network error");
        let problem = health.problem(Signal::Logs, &Settings::default(), true).unwrap();
        assert_eq!(problem.why, "connection refused");
        assert!(problem.hint.unwrap().contains("4318"));
    }

    #[test]
    fn one_cause_is_one_problem() {
        let settings = Settings::from_env(|name| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://joe:pw@c:4318".to_owned())
        });
        let of = |signal| {
            let health = Health::new(Vec::new());
            health.failed(
                "Operation failed: TonicTracesClient export failed with gRPC code: Unavailable: dns: dns: no",
            );
            health.problem(signal, &settings, false)
        };
        let problems = joined(Signal::ALL.into_iter().filter_map(of));
        assert_eq!(problems.len(), 1);
        let told = "traces, metrics, logs were not delivered to http://c:4318: Unavailable: dns: no";
        assert_eq!(problems[0].to_string(), told);
    }

    #[test]
    fn in_a_pod_silence_points_at_the_policies() {
        let settings = Settings { in_cluster: true, ..Settings::default() };
        let problem = Health::new(Vec::new()).problem(Signal::Traces, &settings, true).unwrap();
        assert!(problem.hint.unwrap().contains("network policy"));
    }
}
