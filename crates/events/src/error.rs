//! What can go wrong between the outbox and NATS, in words a person can act on.

use std::path::PathBuf;
use std::time::Duration;

use store::StoreError;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why messages could not be sent. `Display` says what failed on what, [`EventsError::hint`] what to do next; neither
/// ever holds a password, a token or a seed. Whatever it is, the messages are still in the outbox.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The settings make no sense; nothing was tried.
    #[error("{0}")]
    Settings(String),
    /// A file of the settings cannot be used.
    #[error("cannot use the {what} in {path}")]
    File {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Cause,
    },
    /// No server's name could be resolved.
    #[error("cannot resolve {host}")]
    Resolve {
        /// The first name.
        host: String,
        /// Why.
        #[source]
        source: Cause,
        /// Whether this runs in a pod.
        in_cluster: bool,
    },
    /// Nothing listens there.
    #[error("{server} refused the connection")]
    Refused {
        /// Server or servers.
        server: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// No answer.
    #[error("{server} did not answer within {} ms", after.as_millis())]
    Silent {
        /// Server or servers.
        server: String,
        /// How long was waited.
        after: Duration,
        /// Whether this runs in a pod.
        in_cluster: bool,
    },
    /// TLS failed.
    #[error("no TLS connection to {server}")]
    Tls {
        /// Server or servers.
        server: String,
        /// Why.
        #[source]
        source: Cause,
        /// What to do.
        advice: &'static str,
    },
    /// The server does not let this client in.
    #[error("{server} does not accept {credentials}")]
    LoginRefused {
        /// Server or servers.
        server: String,
        /// What was presented, without secrets.
        credentials: String,
    },
    /// The connection failed in another way.
    #[error("cannot connect to {server}")]
    Connect {
        /// Server or servers.
        server: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// This user may not publish to a subject.
    #[error("the server does not let this user publish to {subject}")]
    NotPermitted {
        /// The subject.
        subject: String,
    },
    /// A message no server of this configuration takes.
    #[error("the message to {subject} has {size} bytes, the server takes {max} at most")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Size of the body.
        size: usize,
        /// The server's `max_payload`.
        max: usize,
    },
    /// A message that cannot be put on the wire at all.
    #[error("the message to `{subject}` cannot be published: {why}")]
    Malformed {
        /// The subject.
        subject: String,
        /// Why.
        why: String,
    },
    /// The stream does not take the message.
    #[error("the stream of {subject} did not take the message")]
    StreamRefused {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Published, but the server did not confirm.
    #[error("{server} did not confirm within {} ms that it has the messages", after.as_millis())]
    Unconfirmed {
        /// Server or servers.
        server: String,
        /// How long was waited.
        after: Duration,
        /// What the server said against the subscription that answers come by, if it did.
        refused: Option<String>,
    },
    /// The outbox cannot be read or marked.
    #[error(transparent)]
    Outbox(StoreError),
    /// The outbox did not answer in time.
    #[error("the store did not answer within {} ms", after.as_millis())]
    OutboxSilent {
        /// How long was waited.
        after: Duration,
    },
}

impl EventsError {
    /// What to do next, where there is advice.
    pub fn hint(&self) -> Option<String> {
        const POLICY: &str = "a network policy may be in the way: the pod needs egress to";
        Some(match self {
            Self::Resolve { in_cluster: true, .. } => {
                format!("{POLICY} port 53, UDP and TCP; otherwise check the host in NATS_URL")
            }
            Self::Resolve { .. } => "check the host in NATS_URL and the resolver of this machine".into(),
            Self::Silent { in_cluster: true, .. } => {
                format!("{POLICY} TCP 4222 of NATS, and NATS' own policy must let it in; `klines doctor` tries again")
            }
            Self::Silent { .. } => "something drops the packets on the way (a firewall), or the server hangs".into(),
            Self::Refused { .. } => "start NATS, or correct the port in NATS_URL; messages wait in the outbox".into(),
            Self::Tls { advice, .. } => (*advice).into(),
            Self::LoginRefused { .. } => {
                "check NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY or NATS_CREDS, or the credentials in NATS_URL"
                    .into()
            }
            Self::NotPermitted { subject } => {
                format!("allow the user to publish to {subject}, or change the subject prefix")
            }
            Self::TooLarge { .. } => "raise max_payload of the NATS server; the message stays in the outbox".into(),
            Self::StreamRefused { .. } => "check limits and storage of the stream (nats stream info)".into(),
            Self::Unconfirmed { refused: Some(_), .. } => {
                "allow the user to subscribe to _INBOX.>: the server's answers come by it".into()
            }
            Self::Unconfirmed { .. } => "the connection was lost on the way; the next run sends them again".into(),
            Self::File { .. } => "check the path, and that this user may read the file".into(),
            Self::Outbox(error) => return error.hint(),
            Self::Settings(_) | Self::Connect { .. } | Self::Malformed { .. } | Self::OutboxSilent { .. } => {
                return None;
            }
        })
    }

    /// Whether the settings are at fault (exit code 2 where NATS is what the command is about) rather than the world.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::File { .. })
    }

    /// Whether only this message cannot be sent, and others may.
    pub(crate) fn is_of_one_message(&self) -> bool {
        matches!(self, Self::NotPermitted { .. } | Self::TooLarge { .. } | Self::Malformed { .. })
    }
}
