//! What goes wrong between this program and an API server, in words that name the likeliest cause.

use std::error::Error as StdError;

/// What kind of trouble it was, for decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The configuration names no usable cluster.
    Config,
    /// The credentials could not be obtained, or the server does not accept them (401).
    Credentials,
    /// The server knows who asks and refuses (403).
    Refused,
    /// There is no such object, or no such kind of object (404).
    NotFound,
    /// What was asked for is too old for the server to know (410).
    Expired,
    /// The name of the server cannot be resolved, or nothing answers there.
    Unreachable,
    /// The certificate of the server is not trusted.
    Untrusted,
    /// The server took too long.
    TimedOut,
    /// The server failed, or has too much to do: it may work in a moment.
    Server,
    /// The server does not accept what was sent.
    Rejected,
    /// The answer cannot be understood.
    Answer,
}

/// A request that did not work: what was tried, where, why, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ClusterError {
    /// What kind of trouble.
    pub kind: ErrorKind,
    /// What failed, on what, and why.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl ClusterError {
    /// An error with its words.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether every further request to this server would end the same way.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Config | ErrorKind::Credentials | ErrorKind::Unreachable | ErrorKind::Untrusted
        )
    }
}

/// What was being done, for the words of an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doing<'a> {
    /// `list cronjobs.batch in namespace apps`.
    pub(crate) action: &'a str,
    /// Address of the API server.
    pub(crate) server: &'a str,
}

impl Doing<'_> {
    /// The error in words.
    pub(crate) fn failed(self, error: &kube::Error) -> ClusterError {
        match error {
            kube::Error::Api(status) => self.status(status.code, &status.message),
            kube::Error::Auth(cause) => ClusterError::new(
                ErrorKind::Credentials,
                format!("cannot obtain credentials for {}: {}", self.server, chain(cause)),
            )
            .with_hint(
                "the kubeconfig names how: try the same with kubectl, and log in again if it fails as well",
            ),
            kube::Error::SerdeError(cause) => self.not_understood(&chain(cause)),
            kube::Error::FromUtf8(cause) => self.not_understood(&chain(cause)),
            other => self.transport(other),
        }
    }

    /// An answer that is no JSON, or not the expected one.
    pub(crate) fn not_understood(self, detail: &str) -> ClusterError {
        ClusterError::new(
            ErrorKind::Answer,
            format!("cannot {}: {} answered something else than the API: {detail}", self.action, self.server),
        )
        .with_hint("is the address of the cluster that of a Kubernetes API server, or is a proxy in between?")
    }

    /// No answer in time.
    pub(crate) fn timed_out(self, seconds: u64) -> ClusterError {
        ClusterError::new(
            ErrorKind::TimedOut,
            format!("cannot {}: no answer from {} within {seconds} s", self.action, self.server),
        )
        .with_hint("the server is overloaded or the connection is broken: try again")
    }

    /// An answer of the server.
    pub(crate) fn status(self, code: u16, message: &str) -> ClusterError {
        let Self { action, server } = self;
        let said = if message.is_empty() { String::new() } else { format!(": {}", message.trim()) };
        match code {
            401 => ClusterError::new(
                ErrorKind::Credentials,
                format!("{server} does not accept the credentials (401){said}"),
            )
            .with_hint("the token or certificate has expired or belongs to another cluster: log in again, or choose another --context"),
            403 => ClusterError::new(ErrorKind::Refused, format!("not allowed to {action} (403){said}"))
                .with_hint("grant the right with a Role or ClusterRole: docs/live-cluster.md has the manifests"),
            404 => ClusterError::new(ErrorKind::NotFound, format!("cannot {action}: not found{said}")),
            410 => ClusterError::new(ErrorKind::Expired, format!("cannot {action}: the list has expired{said}")),
            429 | 500..=599 => {
                ClusterError::new(ErrorKind::Server, format!("cannot {action}: {server} failed ({code}){said}"))
                    .with_hint("the trouble is the server's: try again, then ask who runs the cluster")
            }
            _ => ClusterError::new(ErrorKind::Rejected, format!("cannot {action} ({code}){said}")),
        }
    }

    fn transport(self, error: &(dyn StdError + 'static)) -> ClusterError {
        let Self { action, server } = self;
        let text = chain(error);
        let lower = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if has(&["certificate", "unknownissuer", "handshake"]) {
            return ClusterError::new(
                ErrorKind::Untrusted,
                format!("the certificate of {server} is not trusted: {}", last(error)),
            )
            .with_hint(
                "certificate-authority-data of the kubeconfig must hold the authority that signed it, and the address must be a \
                 name of the certificate",
            );
        }
        if has(&["dns error", "failed to lookup", "name resolution", "name or service not known"]) {
            return ClusterError::new(
                ErrorKind::Unreachable,
                format!("cannot resolve the name of the API server {server}: {}", last(error)),
            )
            .with_hint("check the network (VPN?) and the address in the kubeconfig");
        }
        if has(&["connection refused", "unreachable", "no route"]) {
            return ClusterError::new(
                ErrorKind::Unreachable,
                format!("nothing answers at {server}: {}", last(error)),
            )
            .with_hint("is the cluster running, and is it the right --context?");
        }
        if has(&["deadline has elapsed", "timed out", "timeout"]) {
            return ClusterError::new(
                ErrorKind::Unreachable,
                format!("no answer from {server} in time: {}", last(error)),
            )
            .with_hint("check the network (VPN? firewall?) and the address in the kubeconfig");
        }
        ClusterError::new(ErrorKind::Unreachable, format!("cannot {action} at {server}: {text}"))
            .with_hint("the connection broke: try again")
    }
}

/// The innermost cause.
fn last(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// The error and its causes, each said once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}
