//! Requests: signed, watched, tried again.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use binance::FetchError;
use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Body, RequestBuilder, Url};
use rusty_s3::S3Action;
use rusty_s3::actions::{GetObject, PutObject};
use sha2::{Digest, Sha256};

use super::{Refusal, S3, S3Error, Stored};

/// A request must arrive within this time; how long its body takes after that does not count.
const VALID: Duration = Duration::from_secs(900);
/// The client's own limit, which is for small answers, is put out of the way of uploads: what is watched is that they move.
const FOREVER: Duration = Duration::from_secs(7 * 86_400);
/// Read and handed over at once.
const PART: u64 = 128 * 1024;
/// Answers are small; of a larger one the beginning is enough.
const MOST_ANSWER: usize = 64 * 1024;
/// Longest pause between attempts.
const LONGEST: Duration = Duration::from_secs(10);
/// The server compares what arrives with it, and keeps it with the object.
const CHECKSUM: &str = "x-amz-checksum-sha256";

impl S3 {
    /// Asks for the first name below the prefix: whoever has wrong credentials or a wrong bucket learns it before there is
    /// anything to send. Credentials that may write but not list are fine.
    ///
    /// # Errors
    /// [`S3Error`]
    pub async fn check(&self) -> Result<(), S3Error> {
        let doing = format!("use {}", self.place);
        let ask = async || {
            // The key "" is the bucket itself.
            let mut action = GetObject::new(&self.bucket, Some(&self.config.keys.0), "");
            action.query_mut().insert("list-type", "2");
            action.query_mut().insert("max-keys", "1");
            action.query_mut().insert("prefix", self.place.prefix.as_str());
            let url = action.sign(VALID);
            let client = self.client(&url, &doing)?;
            self.send(client.get(url.clone()), &url, &doing, &AtomicU64::new(0)).await
        };
        match self.with_retries(ask).await {
            Err(S3Error::Refused { refusal, .. }) if !refusal.is_about_everything() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Puts a file in its place below the prefix, over what may be there: whole, or not at all.
    ///
    /// # Errors
    /// [`S3Error`]
    pub async fn put(&self, name: &Path, file: File, media: &str) -> Result<Stored, S3Error> {
        let key = self.place.key(name);
        let address = self.place.address(&key);
        let failed = |source| S3Error::Io { address: address.clone(), source };
        let file = Arc::new(Mutex::new(file));
        let measured = {
            let file = file.clone();
            blocking(move || measure(&file)).await
        };
        let (bytes, sum) = measured.map_err(failed)?;
        let doing = format!("write {address}");
        let send = async || {
            let mut action = PutObject::new(&self.bucket, Some(&self.config.keys.0), &key);
            action.headers_mut().insert(CHECKSUM, sum.as_str());
            let url = action.sign(VALID);
            let moved = Arc::new(AtomicU64::new(0));
            let request = self
                .client(&url, &doing)?
                .put(url.clone())
                .header(CHECKSUM, &sum)
                .header(CONTENT_TYPE, media)
                .header(CONTENT_LENGTH, bytes)
                .body(body(file.clone(), bytes, moved.clone()));
            let headers = self.send(request, &url, &doing, &moved).await?;
            match headers.get(CHECKSUM).and_then(|kept| kept.to_str().ok()) {
                Some(kept) if kept != sum => {
                    Err(S3Error::Differs { doing: doing.clone(), sent: sum.clone(), kept: kept.to_owned() })
                }
                _ => Ok(()),
            }
        };
        self.with_retries(send).await?;
        Ok(Stored { address, bytes })
    }

    fn client(&self, url: &Url, doing: &str) -> Result<&reqwest::Client, S3Error> {
        let failed = |source| S3Error::Connection { doing: doing.to_owned(), source };
        self.transport.client(url).map_err(failed)
    }

    /// Sends a request and reads the answer; gives the headers of a success.
    async fn send(
        &self,
        request: RequestBuilder,
        url: &Url,
        doing: &str,
        moved: &AtomicU64,
    ) -> Result<HeaderMap, S3Error> {
        let exchange = async {
            let mut answer = request.timeout(FOREVER).send().await?;
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut text = Vec::new();
            if !status.is_success() {
                while let Some(part) = answer.chunk().await?
                    && text.len() < MOST_ANSWER
                {
                    text.extend_from_slice(&part);
                }
            }
            Ok::<_, reqwest::Error>((status, headers, text))
        };
        let doing = doing.to_owned();
        let patience = self.config.patience;
        let Some(done) = watched(exchange, moved, patience).await else {
            return Err(S3Error::Stalled { doing, after: patience });
        };
        let (status, headers, text) = done.map_err(|error| match self.transport.failure("", url, error) {
            FetchError::Interrupted { detail, .. } => S3Error::Broken { doing: doing.clone(), detail },
            FetchError::Timeout { after, .. } => S3Error::Stalled { doing: doing.clone(), after },
            source => S3Error::Connection { doing: doing.clone(), source },
        })?;
        if status.is_success() {
            return Ok(headers);
        }
        let refusal = Refusal::of(status.as_u16(), &headers, &text, &self.config.keys);
        Err(S3Error::Refused { doing, refusal })
    }

    async fn with_retries<T>(&self, attempt: impl AsyncFn() -> Result<T, S3Error>) -> Result<T, S3Error> {
        let mut failed = 0;
        loop {
            let error = match attempt().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failed += 1;
            if failed >= self.config.attempts.min(error.attempts()) {
                return Err(error);
            }
            let doubled = self.config.backoff.saturating_mul(2u32.saturating_pow(failed - 1)).min(LONGEST);
            let pause = error.pause().unwrap_or(doubled).max(doubled);
            tracing::warn!("{error}; trying again in {} ms", pause.as_millis());
            tokio::time::sleep(pause).await;
        }
    }
}

/// Waits as long as something moves; `None` when nothing did for a while.
async fn watched<T>(work: impl Future<Output = T>, moved: &AtomicU64, patience: Duration) -> Option<T> {
    let mut work = pin!(work);
    let mut seen = 0;
    loop {
        if let Ok(done) = tokio::time::timeout(patience, &mut work).await {
            return Some(done);
        }
        let now = moved.load(Ordering::Relaxed);
        if now == seen {
            return None;
        }
        seen = now;
    }
}

/// A file as the body of a request. Each part says where it is, under a lock: the body of an attempt that broke off may be
/// held a little longer, and must not move the cursor of the next one.
fn body(file: Arc<Mutex<File>>, bytes: u64, moved: Arc<AtomicU64>) -> Body {
    let part = move |at: u64| {
        let (file, moved) = (file.clone(), moved.clone());
        async move {
            if at == bytes {
                return Ok::<_, io::Error>(None);
            }
            let part = blocking(move || read(&file, at, bytes)).await?;
            let next = at + part.len() as u64;
            moved.store(next, Ordering::Relaxed);
            Ok(Some((Bytes::from(part), next)))
        }
    };
    Body::wrap_stream(stream::try_unfold(0, part))
}

fn read(file: &Mutex<File>, at: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut part = vec![0; usize::try_from(PART.min(end - at)).unwrap_or(0)];
    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut part)?;
    Ok(part)
}

/// Size and SHA-256 of a file.
fn measure(file: &Mutex<File>) -> io::Result<(u64, String)> {
    let bytes = file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?.len();
    let mut sum = Sha256::new();
    let mut at = 0;
    while at < bytes {
        let part = read(file, at, bytes)?;
        at += part.len() as u64;
        sum.update(&part);
    }
    Ok((bytes, BASE64.encode(&sum.finalize())))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
