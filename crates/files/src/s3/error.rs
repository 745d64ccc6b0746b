//! Why an object could not be put, why most likely, and what to do.

use std::io;
use std::time::Duration;

use binance::{FetchError, Retry};

use super::Refusal;

/// An object store that was not usable, after the retries that made sense. `Display` says what failed and on what;
/// [`hint`](Self::hint) says why most likely and what to do. Secrets are in neither.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// An address or a setting makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// How it should be.
        hint: Option<String>,
    },
    /// No connection came about.
    #[error("cannot {doing}: {source}")]
    Connection {
        /// `write s3://…`
        doing: String,
        /// Why not.
        source: FetchError,
    },
    /// The connection broke.
    #[error("cannot {doing}: the connection broke: {detail}")]
    Broken {
        /// `write s3://…`
        doing: String,
        /// How.
        detail: String,
    },
    /// Nothing moved any more.
    #[error("cannot {doing}: nothing moved for {} s", .after.as_secs_f32())]
    Stalled {
        /// `write s3://…`
        doing: String,
        /// For so long.
        after: Duration,
    },
    /// The server refused.
    #[error("cannot {doing}: HTTP {}{}", .refusal.status, .refusal.words())]
    Refused {
        /// `write s3://…`
        doing: String,
        /// Its words.
        refusal: Refusal,
    },
    /// The server has something else than was sent.
    #[error("cannot {doing}: SHA-256 is {sent} (base64) of what was sent, and {kept} of what arrived")]
    Differs {
        /// `write s3://…`
        doing: String,
        /// Of the file.
        sent: String,
        /// By the server.
        kept: String,
    },
    /// The file that was to be sent cannot be read.
    #[error("cannot read what is to be written to {address}: {source}")]
    Io {
        /// `s3://…`
        address: String,
        /// Why not.
        source: io::Error,
    },
}

impl S3Error {
    /// Whether the command line or the settings are to blame.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Usage { .. })
    }

    /// Most attempts that make sense.
    pub(super) fn attempts(&self) -> u32 {
        match self {
            Self::Usage { .. } | Self::Io { .. } => 1,
            Self::Connection { source, .. } => match source.retry() {
                Retry::Never => 1,
                Retry::Backoff { at_most } => at_most,
                Retry::Slowly | Retry::At(_) => u32::MAX,
            },
            Self::Broken { .. } => u32::MAX,
            Self::Stalled { .. } | Self::Differs { .. } => 3,
            Self::Refused { refusal, .. } if refusal.may_pass() => u32::MAX,
            Self::Refused { .. } => 1,
        }
    }

    /// The pause that the server asks for.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Refused { refusal, .. } => refusal.retry_after,
            _ => None,
        }
    }

    /// The likeliest cause and what to do, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Usage { hint, .. } => return hint.clone(),
            Self::Connection { source: FetchError::Connect { .. }, .. } => {
                "is AWS_ENDPOINT_URL right, with its port, and open from here? Inside Kubernetes, check that a network policy \
                 allows this pod egress to it"
            }
            Self::Connection { source, .. } => return source.hint(),
            Self::Broken { .. } => {
                "an unstable line or proxy, or a server that refuses before it has heard all: may AWS_ACCESS_KEY_ID write there \
                 (s3:PutObject), and is there a limit to sizes? Objects written before are whole, run again"
            }
            Self::Stalled { .. } => {
                "the line may be down, or packets are dropped on the way; objects written before are whole, run again"
            }
            Self::Refused { refusal, .. } => return Some(of_refusal(refusal)),
            Self::Differs { .. } => {
                "something on the way changes what is sent, or the server's disk does: the object is not to be trusted, run again"
            }
            Self::Io { .. } => {
                "temporary files are in TMPDIR, by default /tmp: is there space for the largest month?"
            }
        };
        Some(text.to_owned())
    }
}

fn of_refusal(refusal: &Refusal) -> String {
    if refusal.is_elsewhere() {
        return match &refusal.region {
            Some(region) => format!("the bucket is in another region: set AWS_REGION={region}"),
            None => "the bucket is in another region, or at another address: check AWS_REGION and AWS_ENDPOINT_URL".into(),
        };
    }
    let text = match refusal.code.as_str() {
        "SignatureDoesNotMatch" => {
            "AWS_SECRET_ACCESS_KEY is not the one of AWS_ACCESS_KEY_ID (cut short in copying?); if it is, a proxy changes \
             requests on their way, or the server goes by another name than AWS_ENDPOINT_URL"
        }
        "InvalidAccessKeyId" => {
            "this server does not know AWS_ACCESS_KEY_ID: is it of another account, or meant for another AWS_ENDPOINT_URL? \
             Temporary keys (ASIA…) need AWS_SESSION_TOKEN"
        }
        "ExpiredToken" | "InvalidToken" => {
            "the temporary credentials are over, or AWS_SESSION_TOKEN is of others: get new ones; permanent keys have no token"
        }
        "RequestTimeTooSkewed" => "the clock of this machine is wrong: set it",
        "NoSuchBucket" | "InvalidBucketName" => {
            "is the bucket's name right, and is it on this server (AWS_ENDPOINT_URL, AWS_REGION)? klines makes no buckets"
        }
        _ => return of_status(refusal.status).to_owned(),
    };
    text.to_owned()
}

fn of_status(status: u16) -> &'static str {
    match status {
        401 | 403 => {
            "AWS_ACCESS_KEY_ID may not write there: it needs s3:PutObject on the bucket and prefix, and a bucket policy or \
             encryption key must not forbid it"
        }
        404 | 405 => {
            "nothing like S3 answers there: is AWS_ENDPOINT_URL the address of the store's API, not of its console?"
        }
        413 => "the server, or a proxy before it, takes no objects of this size",
        500.. => "the server has trouble; objects written before are whole, run again later",
        _ => "the server does not take the request: check AWS_ENDPOINT_URL and AWS_REGION",
    }
}
