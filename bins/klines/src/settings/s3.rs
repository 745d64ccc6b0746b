//! How to get to an object store: the names that every S3 tool reads.

use files::{S3Config, S3Keys};
use url::Url;

use super::{Settings, keys};
use crate::error::CliError;

/// Setting, and the environment variable to name when it is missing.
const NEEDED: [(&str, &str); 3] = [
    (keys::S3_KEY, "AWS_ACCESS_KEY_ID"),
    (keys::S3_SECRET, "AWS_SECRET_ACCESS_KEY"),
    (keys::S3_REGION, "AWS_REGION"),
];

impl Settings {
    /// Credentials, region and server of object stores.
    pub fn s3(&self) -> Result<S3Config, CliError> {
        let text = |key: &str| self.text(key).map(str::trim).filter(|text| !text.is_empty());
        let missing: Vec<_> =
            NEEDED.iter().filter(|(key, _)| text(key).is_none()).map(|(_, name)| *name).collect();
        let (Some(id), Some(secret), Some(region)) =
            (text(keys::S3_KEY), text(keys::S3_SECRET), text(keys::S3_REGION))
        else {
            return Err(not_set(&missing));
        };
        let endpoint = text(keys::S3_ENDPOINT).map(|text| self.endpoint(text)).transpose()?;
        Ok(S3Config::new(S3Keys::new(id, secret, text(keys::S3_TOKEN)), region, endpoint))
    }

    fn endpoint(&self, text: &str) -> Result<Url, CliError> {
        let usable = |url: &Url| {
            let plain = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && plain && url.query().is_none()
        };
        // The text is not repeated: it may hold a password.
        let origin = self.get(keys::S3_ENDPOINT).map(|value| value.origin.to_string()).unwrap_or_default();
        text.parse().ok().filter(usable).ok_or_else(|| CliError::Usage {
            message: format!("{origin}: not the address of a server"),
            hint: Some(
                "write https://HOST or http://HOST:PORT, without bucket, user and password; \
                 leave it out for Amazon's own"
                    .into(),
            ),
        })
    }
}

fn not_set(names: &[&str]) -> CliError {
    let is = if names.len() == 1 { "is" } else { "are" };
    let mut hint = format!("set {}, or write them into klines.toml (table s3)", names.join(", "));
    if names.contains(&"AWS_REGION") {
        hint.push_str(
            "; the region of a bucket is like eu-west-1, of MinIO us-east-1, of Garage garage, of R2 auto",
        );
    }
    CliError::Usage {
        message: format!("{} {is} not set, so the object store cannot be used", names.join(", ")),
        hint: Some(hint),
    }
}
