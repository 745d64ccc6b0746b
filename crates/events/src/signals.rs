//! What the server says out of turn.
//!
//! NATS does not answer a publish. When it refuses one, it says so at some later moment, in a line that names the
//! subject: `Permissions Violation for Publish to "the.subject"`. The client hands such lines to a callback; they are
//! kept here, for whoever published to that subject.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Lines kept. A server repeats one line per refused message; more than this many different ones help nobody.
const KEPT: usize = 256;

/// Errors that the server sent on a connection.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    lines: Mutex<Vec<String>>,
    news: Notify,
}

impl Signals {
    /// Keeps a line.
    pub(crate) fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < KEPT && !lines.contains(&line) {
            lines.push(line);
        }
        drop(lines);
        self.news.notify_waiters();
    }

    /// The line in which the server refused to take messages for `subject`, if it did.
    pub(crate) fn refused(&self, subject: &str) -> Option<String> {
        let subject = format!("\"{subject}\"").to_lowercase();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| refuses_publish(line, &subject)).cloned()
    }

    /// The line in which the server refused a subscription, if it did.
    pub(crate) fn refused_subscription(&self) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.to_lowercase().contains("violation for subscription")).cloned()
    }

    /// Waits until the server refuses to take messages for `subject`.
    pub(crate) async fn wait_refused(&self, subject: &str) -> String {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // Listen first, look second: a line that arrives in between is not missed.
            news.as_mut().enable();
            if let Some(line) = self.refused(subject) {
                return line;
            }
            news.await;
        }
    }
}

fn refuses_publish(line: &str, quoted_subject: &str) -> bool {
    let line = line.to_lowercase();
    line.contains("violation for publish") && line.contains(quoted_subject)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_by_its_subject_alone() {
        let signals = Signals::default();
        signals.push("Permissions Violation for Publish to \"a.b\"".into());
        assert!(signals.refused("a.b").is_some());
        assert!(signals.refused("a").is_none());
        assert!(signals.refused_subscription().is_none());
    }
}
