//! What was checked, and what came of it.

use std::time::{Duration, Instant};

/// What went wrong, why most likely and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub error: String,
    pub hint: Option<String>,
}

impl Trouble {
    pub fn new(error: impl Into<String>, hint: Option<String>) -> Self {
        Self { error: error.into(), hint }
    }
}

/// One step of one target.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was tried to be reached, without secrets.
    pub target: String,
    /// `dns`, `exchange`, `archive`, `store`, `nats`, `otlp`.
    pub kind: &'static str,
    /// `udp`, `tcp`, `resolve`, `connect`, `tls`, or what was done.
    pub step: &'static str,
    /// Whether jobs cannot do without.
    pub required: bool,
    /// How long it took.
    pub took: Duration,
    /// What was found out, or what is wrong.
    pub result: Result<String, Trouble>,
}

impl Check {
    /// Whether it failed and is required, or everything counts.
    pub fn counts(&self, strict: bool) -> bool {
        self.result.is_err() && (self.required || strict)
    }

    pub fn error(&self) -> Option<&str> {
        self.result.as_ref().err().map(|trouble| trouble.error.as_str())
    }
}

/// Collects the checks of one target.
#[derive(Debug)]
pub struct Log {
    pub target: String,
    pub kind: &'static str,
    pub required: bool,
    pub checks: Vec<Check>,
}

impl Log {
    pub fn new(kind: &'static str, target: impl Into<String>, required: bool) -> Self {
        Self { target: target.into(), kind, required, checks: Vec::new() }
    }

    /// Notes what came of a step that began at `began`; says whether it went well.
    pub fn note(&mut self, step: &'static str, began: Instant, result: Result<String, Trouble>) -> bool {
        let is_ok = result.is_ok();
        self.checks.push(Check {
            target: self.target.clone(),
            kind: self.kind,
            step,
            required: self.required,
            took: began.elapsed(),
            result,
        });
        is_ok
    }
}
