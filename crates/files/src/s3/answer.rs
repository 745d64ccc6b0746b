//! What a server says when it refuses.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use super::S3Keys;

/// Longest pause a server may ask for, seconds.
const LONGEST: u64 = 30;
/// Characters of a server's words that are shown.
const SHOWN: usize = 200;

/// An answer other than success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// S3's word for it, `NoSuchBucket`; empty when the answer is none of S3's.
    pub code: String,
    /// The server's words, or the beginning of what it sent.
    pub message: String,
    /// The region that the bucket is in, when the server says so.
    pub region: Option<String>,
    /// The pause it asks for.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Xml {
    code: String,
    message: String,
    region: Option<String>,
}

impl Refusal {
    /// Reads an answer. Whatever it repeats of the secrets is masked.
    pub(super) fn of(status: u16, headers: &HeaderMap, body: &[u8], keys: &S3Keys) -> Self {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let told: Option<Xml> =
            quick_xml::de::from_reader(body).ok().filter(|xml: &Xml| !xml.code.is_empty());
        let is_s3 = told.is_some();
        let told = told.unwrap_or_default();
        let words = if is_s3 { told.message } else { String::from_utf8_lossy(body).into_owned() };
        let seconds = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse::<u64>().ok());
        let line = |text: &str| one_line(&keys.masked(text));
        Self {
            status,
            code: line(&told.code),
            message: line(&words),
            region: header("x-amz-bucket-region").or(told.region).map(|region| line(&region)),
            retry_after: seconds.map(|s| Duration::from_secs(s.min(LONGEST))),
        }
    }

    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        let passing = [
            "RequestTimeout",
            "SlowDown",
            "InternalError",
            "OperationAborted",
            "BadDigest",
            "XAmzContentChecksumMismatch",
        ];
        let server = self.status >= 500 && self.status != 501;
        server || matches!(self.status, 408 | 429) || passing.contains(&self.code.as_str())
    }

    /// Whether it is about the credentials, the bucket or its place, so that every other request fails as well.
    pub(super) fn is_about_everything(&self) -> bool {
        self.is_elsewhere()
            || matches!(
                self.code.as_str(),
                "SignatureDoesNotMatch"
                    | "InvalidAccessKeyId"
                    | "NotSignedUp"
                    | "ExpiredToken"
                    | "InvalidToken"
                    | "RequestTimeTooSkewed"
                    | "NoSuchBucket"
                    | "InvalidBucketName"
            )
    }

    /// Whether the bucket is in another region than was said.
    pub(super) fn is_elsewhere(&self) -> bool {
        let words = ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"];
        let moved = matches!(self.status, 301 | 307 | 308);
        // Amazon names the bucket's region in many answers; only these say that it is the wrong one.
        moved
            || words.contains(&self.code.as_str())
            || (self.status == 400 && self.region.is_some() && self.code.starts_with("Authorization"))
    }

    /// Code and words, as far as there are any.
    pub(super) fn words(&self) -> String {
        match (self.code.as_str(), self.message.as_str()) {
            ("", "") => String::new(),
            ("", message) => format!("; received: {message}"),
            (code, "") => format!(" {code}"),
            (code, message) => format!(" {code}: {message}"),
        }
    }
}

/// The beginning of a text in one printable line.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let printable = |c: char| if c.is_control() { '?' } else { c };
    let short: String = line.chars().take(SHOWN).map(printable).collect();
    if line.chars().count() > SHOWN { format!("{short}…") } else { short }
}
