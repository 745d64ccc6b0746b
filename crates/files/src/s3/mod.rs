//! Files in an object store that speaks S3: Amazon's, MinIO, Garage, R2, Ceph.
//!
//! [`S3Place`] is where (`s3://BUCKET/PREFIX`), [`S3Config`] how to get there, [`S3`] puts files. A `PUT` is atomic: an object
//! is there whole, or as it was before.

mod answer;
mod error;
mod put;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use binance::Transport;
use reqwest::Url;
use rusty_s3::{Bucket, Credentials, UrlStyle};

pub use answer::Refusal;
pub use error::S3Error;

/// Where objects go: a bucket, and what their keys begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Place {
    bucket: String,
    prefix: String,
}

impl S3Place {
    /// Whether a text is meant as an address of an object store, well written or not.
    pub fn is_meant(text: &str) -> bool {
        text.get(..3).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3:"))
    }

    /// Reads `s3://BUCKET` or `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// [`S3Error::Usage`]
    pub fn parse(text: &str) -> Result<Self, S3Error> {
        let bad = |why: &str| S3Error::Usage {
            message: format!("`{text}` {why}"),
            hint: Some("write s3://BUCKET/PREFIX, for example s3://my-klines/binance".to_owned()),
        };
        let rest = text.strip_prefix("s3://").ok_or_else(|| bad("is no address of an object store"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let named = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        if !bucket.starts_with(|c: char| c.is_ascii_alphanumeric()) || !bucket.chars().all(named) {
            return Err(bad("names no bucket: their names have letters, digits, dots and hyphens"));
        }
        let prefix = prefix.trim_end_matches('/');
        // In an address `..` means the folder above, so that a key with such a part would be another key.
        let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(char::is_control);
        if !prefix.is_empty() && prefix.split('/').any(odd) {
            return Err(bad("has an empty part, `.` or `..` in its prefix"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The key of a file below the prefix.
    fn key(&self, file: &Path) -> String {
        let parts = file.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
        let prefix = (!self.prefix.is_empty()).then(|| self.prefix.clone());
        prefix.into_iter().chain(parts).collect::<Vec<_>>().join("/")
    }

    /// The address of a key.
    fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

impl fmt::Display for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// Who asks. `Debug` shows the key's name and nothing that opens doors.
#[derive(Debug, Clone)]
pub struct S3Keys(Credentials);

impl S3Keys {
    /// An access key, its secret, and the token of temporary credentials.
    pub fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        Self(match token {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        })
    }

    /// A text without the secret and the token, should a server repeat them.
    fn masked(&self, text: &str) -> String {
        let secrets = [Some(self.0.secret()), self.0.token()].into_iter().flatten();
        secrets.filter(|s| !s.is_empty()).fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

/// How to talk to an object store.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Who asks.
    pub keys: S3Keys,
    /// The bucket's region, as the server names it.
    pub region: String,
    /// The server; `None` for Amazon's. One that is named is asked in path style: `https://HOST/BUCKET/KEY`.
    pub endpoint: Option<Url>,
    /// Longest time in which nothing moves. As long as bytes go out, an upload may take what it takes.
    pub patience: Duration,
    /// Most attempts per request.
    pub attempts: u32,
    /// First pause before a retry; doubled each time.
    pub backoff: Duration,
}

impl S3Config {
    /// With the usual patience.
    pub fn new(keys: S3Keys, region: &str, endpoint: Option<Url>) -> Self {
        Self {
            keys,
            region: region.to_owned(),
            endpoint,
            patience: Duration::from_secs(60),
            attempts: 6,
            backoff: Duration::from_millis(500),
        }
    }

    /// Address of a bucket.
    fn bucket(&self, name: &str) -> Result<Bucket, S3Error> {
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.region.is_empty() || !self.region.chars().all(usable) {
            return Err(S3Error::Usage {
                message: format!("`{}` is not the name of a region", self.region),
                hint: Some("AWS_REGION is like eu-west-1; of other stores see their configuration".into()),
            });
        }
        let (endpoint, style) = match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => {
                // A certificate for *.s3.REGION.amazonaws.com covers one label, and host names have no capitals.
                let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                let style = if name.chars().all(is_label) { UrlStyle::VirtualHost } else { UrlStyle::Path };
                let china = if self.region.starts_with("cn-") { ".cn" } else { "" };
                let url = format!("https://s3.{}.amazonaws.com{china}", self.region.to_ascii_lowercase());
                (url.parse().map_err(|error| unusable(&error))?, style)
            }
        };
        Bucket::new(endpoint, style, name.to_owned(), self.region.clone()).map_err(|error| unusable(&error))
    }
}

fn unusable(error: &dyn fmt::Display) -> S3Error {
    S3Error::Usage {
        message: format!("the address of the object store cannot be used: {error}"),
        hint: Some("AWS_ENDPOINT_URL is like https://minio.example.org:9000".into()),
    }
}

/// An object store.
#[derive(Debug)]
pub struct S3 {
    place: S3Place,
    bucket: Bucket,
    config: S3Config,
    transport: Transport,
}

/// An object that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// `s3://BUCKET/KEY`
    pub address: String,
    /// Its size.
    pub bytes: u64,
}

impl S3 {
    /// Makes a client; nothing is sent or looked up yet.
    ///
    /// # Errors
    /// [`S3Error::Usage`]
    pub fn new(place: S3Place, config: S3Config) -> Result<Self, S3Error> {
        let bucket = config.bucket(&place.bucket)?;
        let transport = Transport::new(config.patience);
        Ok(Self { place, bucket, config, transport })
    }

    /// Where objects go.
    pub fn place(&self) -> &S3Place {
        &self.place
    }
}
