//! Fetching from the archive.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kline::Millis;
use reqwest::header::{ACCEPT_ENCODING, AGE, CONTENT_RANGE, DATE, ETAG, IF_RANGE, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

use super::cache::Cache;
use super::pick::Buffers;
use super::spool::Spool;
use super::unzip::most_bytes;
use super::{ArchiveError, ArchiveFile, CacheConfig, Opened};
use crate::error::excerpt;
use crate::rest::classify::{self, Failed};
use crate::rest::http::{Http, host_of};
use crate::rest::retry::{Attempts, Next};
use crate::{ClientConfig, FetchError};

/// A CHECKSUM is one short line.
const MOST_CHECKSUM: usize = 4096;
/// Error bodies are small.
const MOST_ERROR: usize = 64 * 1024;
/// A download may take long as long as bytes keep coming.
const WHOLE: Duration = Duration::from_secs(3600);
/// After an outage the archive is left alone for so long.
const REST: Duration = Duration::from_secs(300);

/// Settings of an [`Archive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// Where files are, without `/data` at the end.
    pub url: String,
    /// Where the bucket lists what it has.
    pub listing_url: String,
    /// Longest wait for the next bytes of an answer, name resolution included.
    pub timeout: Duration,
    /// Most attempts per request.
    pub attempts: u32,
    /// First pause before a retry; doubled each time.
    pub backoff: Duration,
    /// Files fetched at once.
    pub downloads: usize,
    /// Files whose rows are in memory at once, up to 13 MiB each.
    pub parsers: usize,
    /// Where large files wait until they are verified; `None` for the system's folder for temporary files.
    pub temporary: Option<PathBuf>,
    /// Files kept for the next time, or `None` to keep none.
    pub cache: Option<CacheConfig>,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            url: "https://data.binance.vision".to_owned(),
            listing_url: "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision".to_owned(),
            timeout: Duration::from_secs(15),
            attempts: 4,
            backoff: Duration::from_millis(400),
            downloads: 4,
            parsers: 2,
            temporary: None,
            cache: None,
        }
    }
}

/// The public archive. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    config: ArchiveConfig,
    /// The retry rules of the REST client, with fewer attempts: there is always another source to ask.
    retry: ClientConfig,
    url: Url,
    listing_url: Url,
    http: Http,
    downloads: Semaphore,
    parsers: Arc<Semaphore>,
    buffers: Buffers,
    cache: Option<Cache>,
    clock: OnceCell<(Instant, Millis)>,
    outage: Mutex<Option<(Instant, ArchiveError)>>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("url", &self.0.config.url).finish_non_exhaustive()
    }
}

/// Where a body goes.
pub(super) enum Sink<'a> {
    Memory(&'a mut Vec<u8>, usize),
    Spool(&'a mut Spool, u64, &'a ArchiveFile),
}

impl Archive {
    /// Makes a client; nothing is sent or looked up yet.
    ///
    /// # Errors
    /// [`FetchError::Usage`] when a URL is no `http` or `https` URL.
    pub fn new(config: ArchiveConfig) -> Result<Self, FetchError> {
        let retry = ClientConfig {
            timeout: config.timeout,
            attempts: config.attempts.max(1),
            backoff: config.backoff,
            patience: Duration::from_secs(60),
            in_flight: config.downloads,
            ..ClientConfig::default()
        };
        Ok(Self(Arc::new(Inner {
            url: base(&config.url)?,
            listing_url: base(&config.listing_url)?,
            http: Http::new(&retry),
            downloads: Semaphore::new(config.downloads.max(1)),
            parsers: Arc::new(Semaphore::new(config.parsers.max(1))),
            buffers: Buffers::default(),
            cache: config.cache.clone().map(Cache),
            clock: OnceCell::new(),
            outage: Mutex::new(None),
            retry,
            config,
        })))
    }

    /// Settings it was made with.
    pub fn config(&self) -> &ArchiveConfig {
        &self.0.config
    }

    /// Where the bucket lists what it has.
    pub(super) fn listing_url(&self) -> &Url {
        &self.0.listing_url
    }

    /// Fetches a file and compares its SHA-256 with the CHECKSUM; `None` when the archive does not have it (yet).
    ///
    /// A file that does not fit its CHECKSUM is fetched once more, with its CHECKSUM: it may have been replaced in between.
    ///
    /// # Errors
    /// [`ArchiveError`]. After one that [is an outage](ArchiveError::is_outage) the same error comes at once for five
    /// minutes, for whatever file.
    pub async fn open(&self, file: &ArchiveFile) -> Result<Option<Opened>, ArchiveError> {
        if let Some(error) = self.outage() {
            return Err(error);
        }
        let opened = match self.attempt(file).await {
            Err(ArchiveError::WrongChecksum { .. }) => self.attempt(file).await,
            other => other,
        };
        if let Err(error) = &opened
            && error.is_outage()
        {
            *self.0.outage.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), error.clone()));
        }
        opened
    }

    /// The error that took the archive out of use lately.
    pub fn outage(&self) -> Option<ArchiveError> {
        let outage = self.0.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.as_ref().filter(|(at, _)| at.elapsed() < REST).map(|(_, error)| error.clone())
    }

    /// The archive's clock, for those who cannot ask the exchange: read once, then advanced by a monotonic clock. Behind by
    /// up to a second and the way of one answer, never ahead.
    ///
    /// # Errors
    /// [`FetchError`] when the archive cannot be reached or does not tell the time.
    pub async fn now(&self) -> Result<Millis, FetchError> {
        let read = async || {
            let what = "time of the archive";
            // Any answer tells it, also that there is no such file.
            let url = self.url_of("data/spot/monthly/klines/");
            let mut attempts = Attempts::default();
            loop {
                let error = match self.send(&url, what, 0, None).await {
                    Ok(response) => match date(&response) {
                        Some(time) => return Ok((Instant::now(), time)),
                        None => FetchError::Malformed {
                            what: what.to_owned(),
                            detail: "no Date header".to_owned(),
                            received: format!("HTTP {}", response.status().as_u16()),
                        },
                    },
                    Err(error) => error,
                };
                self.pause(&mut attempts, what, error).await?;
            }
        };
        let (taken, time) = *self.0.clock.get_or_try_init(read).await?;
        Ok(time.plus(i64::try_from(taken.elapsed().as_millis()).unwrap_or(0)))
    }

    async fn attempt(&self, file: &ArchiveFile) -> Result<Option<Opened>, ArchiveError> {
        let inner = &self.0;
        let _permit = inner.downloads.acquire().await.map_err(|_| shut_down())?;
        let key = file.key();
        let Some(expected) = self.checksum(&key).await? else { return Ok(None) };
        if let Some(spool) = self.kept(file, &expected).await {
            return Ok(Some(self.ready(file, spool, expected, true)));
        }
        let temporary = || inner.config.temporary.clone().unwrap_or_else(std::env::temp_dir);
        let part = match &inner.cache {
            Some(cache) => cache.begin(file)?,
            None => None,
        };
        let cached = part.is_some();
        let mut spool = part.unwrap_or_else(|| Spool::temporary(temporary()));
        let url = self.url_of(&key);
        let what = format!("archive file {key}");
        let limit = most_bytes(file);
        if !self.fetch(&url, &what, &mut Sink::Spool(&mut spool, limit, file)).await? {
            return Ok(None);
        }
        let got = spool.sha256();
        if got != expected {
            // What was gone on with may have been the beginning of another file.
            if let Err(error) = spool.clear() {
                tracing::debug!(%file, %error, "cannot clear what was fetched");
            }
            return Err(ArchiveError::WrongChecksum { file: key, expected, got });
        }
        if let (true, Some(cache)) = (cached, &inner.cache) {
            cache.keep(file)?;
        }
        Ok(Some(self.ready(file, spool, expected, false)))
    }

    /// A kept file, if it is what the checksum says.
    async fn kept(&self, file: &ArchiveFile, sha256: &str) -> Option<Spool> {
        self.0.cache.as_ref()?;
        let (archive, file, sha256) = (self.clone(), file.clone(), sha256.to_owned());
        let find = move || archive.0.cache.as_ref().and_then(|cache| cache.find(&file, &sha256));
        tokio::task::spawn_blocking(find).await.ok().flatten()
    }

    fn ready(&self, file: &ArchiveFile, spool: Spool, sha256: String, cached: bool) -> Opened {
        Opened {
            file: file.clone(),
            spool,
            sha256,
            cached,
            permits: self.0.parsers.clone(),
            buffers: self.0.buffers.clone(),
        }
    }

    /// The SHA-256 of a file by its CHECKSUM; `None` when there is none (yet).
    async fn checksum(&self, key: &str) -> Result<Option<String>, ArchiveError> {
        let url = self.url_of(&format!("{key}.CHECKSUM"));
        let mut body = Vec::new();
        let what = format!("archive file {key}.CHECKSUM");
        if !self.fetch(&url, &what, &mut Sink::Memory(&mut body, MOST_CHECKSUM)).await? {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&body);
        let sum = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Some(sum));
        }
        Err(ArchiveError::BadChecksum { file: key.to_owned(), received: excerpt(&body) })
    }

    /// Percent-encodes: some symbols are not ASCII.
    fn url_of(&self, key: &str) -> Url {
        let mut url = self.0.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(key.split('/'));
        }
        url
    }
}

/// Plumbing.
impl Archive {
    /// Fetches a body, and goes on where it broke off. `false` for 404.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        what: &str,
        sink: &mut Sink<'_>,
    ) -> Result<bool, ArchiveError> {
        let mut attempts = Attempts::default();
        let mut etag = None;
        loop {
            let error = match self.body(url, what, sink, &mut etag).await {
                Ok(found) => return Ok(found),
                Err(ArchiveError::Fetch(error)) => error,
                Err(other) => return Err(other),
            };
            self.pause(&mut attempts, what, error.as_ref().clone()).await?;
        }
    }

    async fn pause(&self, attempts: &mut Attempts, what: &str, error: FetchError) -> Result<(), FetchError> {
        // The archive has no firewall that relents after a minute; REST is the better use of that time.
        if matches!(error, FetchError::Forbidden { .. }) {
            return Err(error);
        }
        match attempts.after(&error, Millis(0), &self.0.retry) {
            Next::GiveUp => Err(error),
            Next::Pause(pause) => {
                tracing::debug!(what, ?pause, %error, "retrying");
                tokio::time::sleep(pause).await;
                Ok(())
            }
        }
    }

    async fn send(
        &self,
        url: &Url,
        what: &str,
        from: u64,
        etag: Option<&str>,
    ) -> Result<Response, FetchError> {
        let timeout = self.0.config.timeout;
        let client = self.0.http.client(url).as_ref().map_err(Clone::clone)?;
        // A zip that is compressed once more on the way would make nonsense of ranges.
        let mut request = client.get(url.clone()).timeout(WHOLE).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            if let Some(etag) = etag {
                request = request.header(IF_RANGE, etag);
            }
        }
        let late = |_| FetchError::Timeout { what: what.to_owned(), after: timeout };
        let sent = tokio::time::timeout(timeout, request.send()).await.map_err(late)?;
        sent.map_err(|error| classify::of_transport(what, &host_of(url), timeout, &error))
    }

    async fn body(
        &self,
        url: &Url,
        what: &str,
        sink: &mut Sink<'_>,
        etag: &mut Option<String>,
    ) -> Result<bool, ArchiveError> {
        let timeout = self.0.config.timeout;
        let have = sink.len();
        let mut response = self.send(url, what, have, etag.as_deref()).await?;
        let interrupted = |detail: String| FetchError::Interrupted { what: what.to_owned(), detail };
        match response.status() {
            StatusCode::OK => sink.clear()?,
            StatusCode::PARTIAL_CONTENT if continues(&response, have) => {}
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                sink.clear()?;
                return Err(interrupted("it could not be gone on with".to_owned()).into());
            }
            StatusCode::NOT_FOUND => return Ok(false),
            _ => return Err(refusal(what, response).await.into()),
        }
        *etag = text(&response, ETAG).map(str::to_owned);
        loop {
            let late = |_| FetchError::Timeout { what: what.to_owned(), after: timeout };
            let chunk = tokio::time::timeout(timeout, response.chunk()).await.map_err(late)?;
            let chunk =
                chunk.map_err(|error| classify::of_transport(what, &host_of(url), timeout, &error))?;
            match chunk {
                Some(bytes) => sink.push(what, &bytes)?,
                None => return Ok(true),
            }
        }
    }
}

impl Sink<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes, _) => bytes.len() as u64,
            Self::Spool(spool, ..) => spool.len(),
        }
    }

    fn clear(&mut self) -> Result<(), ArchiveError> {
        match self {
            Self::Memory(bytes, _) => bytes.clear(),
            Self::Spool(spool, ..) => spool.clear().map_err(|error| spooling(&error))?,
        }
        Ok(())
    }

    fn push(&mut self, what: &str, chunk: &[u8]) -> Result<(), ArchiveError> {
        match self {
            Self::Memory(bytes, limit) if bytes.len() + chunk.len() > *limit => {
                Err(FetchError::TooLarge { what: what.to_owned(), limit: *limit }.into())
            }
            Self::Memory(bytes, _) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
            Self::Spool(spool, limit, file) if spool.len() + chunk.len() as u64 > *limit => {
                let slots = file.slots().len();
                Err(ArchiveError::TooLarge { file: file.key(), what: "the zip", limit: *limit, slots })
            }
            Self::Spool(spool, ..) => spool.push(chunk).map_err(|error| spooling(&error)),
        }
    }
}

fn spooling(error: &std::io::Error) -> ArchiveError {
    ArchiveError::Local { doing: "write a temporary file".to_owned(), detail: error.to_string() }
}

fn shut_down() -> ArchiveError {
    FetchError::Usage("the client was shut down".to_owned()).into()
}

fn text(response: &Response, name: reqwest::header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Whether a part of a body begins where the bytes at hand end: `Content-Range: bytes 100-199/200`.
fn continues(response: &Response, have: u64) -> bool {
    let start = text(response, CONTENT_RANGE)
        .and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
    start == Some(have)
}

/// When an answer was made, and how long it lay in caches since.
fn date(response: &Response) -> Option<Millis> {
    let made = jiff::fmt::rfc2822::parse(text(response, DATE)?).ok()?.timestamp().as_millisecond();
    let age: i64 = text(response, AGE).and_then(|age| age.trim().parse().ok()).unwrap_or(0);
    // An age of more than a month is nonsense; without it the clock is behind, which is safe.
    let age = if (0..=2_678_400).contains(&age) { age } else { 0 };
    Some(Millis(made).plus(age * 1000))
}

async fn refusal(what: &str, mut response: Response) -> FetchError {
    let status = response.status().as_u16();
    let retry_after =
        text(&response, RETRY_AFTER).and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
    let location = text(&response, reqwest::header::LOCATION).map(str::to_owned);
    let mut body = Vec::new();
    // The status already says what matters; a body that breaks off changes nothing.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_ERROR {
            break;
        }
    }
    let location = location.as_deref();
    classify::of_answer(&Failed { what, status, retry_after, location, body: &body, now: Millis(0) })
}

fn base(text: &str) -> Result<Url, FetchError> {
    let bad = |why: &str| FetchError::Usage(format!("archive URL `{text}`: {why}"));
    let url = Url::parse(text).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("must begin with http:// or https:// and name a host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not have a query or fragment"));
    }
    Ok(url)
}
