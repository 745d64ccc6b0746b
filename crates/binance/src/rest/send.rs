//! How one request is sent: when the budget lets it, watched, told of, and tried again.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kline::{Market, Millis};
use reqwest::Url;
use tracing::Instrument;

use super::classify;
use super::client::{Client, index};
use super::event::Event;
use super::http::{Asked, Attempt, Decode};
use super::pool::{Pool, until};
use super::retry::{Attempts, Next};
use crate::FetchError;
use crate::budget::{Admission, Ticket, Wait};

/// One request.
pub(super) struct Call {
    pub(super) market: Market,
    pub(super) url: Url,
    pub(super) what: String,
    pub(super) weight: u32,
}

/// What was received, and what it took.
pub(super) struct Fetched<T> {
    pub(super) value: T,
    pub(super) requests: u32,
    pub(super) weight: u32,
    pub(super) sent_at: Millis,
}

impl Client {
    pub(super) fn call(
        &self,
        market: Market,
        path: &str,
        query: &[(&str, String)],
        weight: u32,
        what: String,
    ) -> Call {
        let mut url = self.0.bases[index(market)].clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        if !query.is_empty() {
            // Percent-encodes: some symbols are not ASCII.
            url.query_pairs_mut().extend_pairs(query);
        }
        Call { market, url, what, weight }
    }

    /// Sends a request until it succeeds or there is no point in going on.
    pub(super) async fn fetch<D: Decode>(&self, call: &Call) -> Result<Fetched<D::Out>, FetchError> {
        let (inner, pool) = (&self.0, self.pool(call.market));
        let mut attempts = Attempts::default();
        let mut requests = 0;
        loop {
            let (result, sent_at) = self.attempt::<D>(call, requests).await?;
            requests += 1;
            let error = match result {
                Ok(value) => return Ok(Fetched { value, requests, weight: call.weight * requests, sent_at }),
                Err(error) => error,
            };
            let now = pool.with(|_, now| now);
            let next = attempts.after(&error, now, &inner.config);
            self.react(call, &error, now, &next);
            let Next::Pause(pause) = next else { return Err(error) };
            tracing::debug!(what = call.what, class = error.class(), ?pause, %error, "retrying");
            if !matches!(error, FetchError::Throttled { .. }) {
                inner.listeners.tell(&Event::Retrying {
                    what: call.what.clone(),
                    attempt: attempts.failed(),
                    wait: pause,
                    why: error.to_string(),
                    class: error.class(),
                });
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// One attempt, once the pool lets it through. The outer error means that it was not made.
    async fn attempt<D: Decode>(
        &self,
        call: &Call,
        resend: u32,
    ) -> Result<(Result<D::Out, FetchError>, Millis), FetchError> {
        let pool = self.pool(call.market);
        let closed = |_| FetchError::Usage("the client was shut down".to_owned());
        let _permit = pool.permits.acquire().await.map_err(closed)?;
        let ticket = loop {
            let (admission, now) = pool.with(|budget, now| (budget.ask(now, call.weight), now));
            match admission {
                Admission::Go(ticket) => break Lent { pool, ticket: Some(ticket) },
                Admission::Wait { until, why: Wait::Banned } => return Err(FetchError::Banned { until }),
                Admission::Wait { until: end, .. } if until(now, end) > self.0.config.patience => {
                    return Err(FetchError::Throttled { what: call.what.clone(), until: end });
                }
                Admission::Wait { until: end, why } => {
                    self.tell_wait(call.market, why, end, until(now, end));
                    tokio::time::sleep(until(now, end)).await;
                }
            }
        };
        let sent_at = self.clock(call.market).now();
        let asked = Asked { what: &call.what, url: &call.url };
        let span = request_span(&call.url, resend);
        let started = tokio::time::Instant::now();
        let attempt = self.0.http.attempt::<D>(asked, pool.clock()).instrument(span.clone()).await;
        self.tell_answer(call, &attempt, started.elapsed(), &span);
        let unsent = attempt.result.as_ref().err().is_some_and(classify::never_sent);
        ticket.settle(unsent, attempt.reported);
        if !unsent {
            self.1.requests.fetch_add(1, Ordering::Relaxed);
            self.1.weight.fetch_add(u64::from(call.weight), Ordering::Relaxed);
        }
        attempt.took.into_iter().for_each(|took| pool.answered_in(took));
        Ok((attempt.result, sent_at))
    }

    fn tell_answer<T>(&self, call: &Call, attempt: &Attempt<T>, took: Duration, span: &tracing::Span) {
        let class = attempt.result.as_ref().err().map(FetchError::class);
        if let Some(status) = attempt.status {
            span.record("http.response.status_code", i64::from(status));
        }
        if let Some(class) = class {
            span.record("error.type", class);
        }
        self.0.listeners.tell(&Event::Answered {
            market: call.market,
            host: call.url.host_str().unwrap_or_default().to_owned(),
            status: attempt.status,
            class,
            took,
        });
    }

    /// Lets the whole pool feel what one of its requests was told: the next attempt of a throttled request, too, waits
    /// for nothing but the pool.
    fn react(&self, call: &Call, error: &FetchError, now: Millis, next: &Next) {
        let (until, why) = match (error, next) {
            (FetchError::Throttled { .. }, Next::Pause(pause)) => {
                (now.plus(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)), Wait::Throttled)
            }
            (FetchError::Throttled { until, .. }, Next::GiveUp) => (*until, Wait::Throttled),
            (FetchError::Banned { until }, _) => (*until, Wait::Banned),
            _ => return,
        };
        self.pool(call.market).with(|budget, _| budget.block(until, why));
    }

    fn tell_wait(&self, market: Market, why: Wait, until: Millis, wait: Duration) {
        if !self.pool(market).is_news(until) {
            return;
        }
        self.0.listeners.tell(&match why {
            Wait::Spent => Event::BudgetSpent { market, until, wait },
            Wait::Throttled | Wait::Banned => Event::Throttled { market, until, wait },
        });
    }
}

/// The span of one HTTP request, by OpenTelemetry's semantic conventions.
fn request_span(url: &Url, resend: u32) -> tracing::Span {
    let shown = without_credentials(url);
    tracing::info_span!(
        "GET",
        otel.kind = "client",
        http.request.method = "GET",
        url.full = %shown,
        server.address = url.host_str().unwrap_or_default(),
        server.port = url.port_or_known_default().map(i64::from),
        http.request.resend_count = (resend > 0).then_some(i64::from(resend)),
        http.response.status_code = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
    )
}

/// A base URL may name a proxy with a password; nobody needs to see that.
fn without_credentials(url: &Url) -> Url {
    let mut shown = url.clone();
    // Fails for URLs that cannot have credentials, and those have none.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown
}

/// Granted weight that is given back even when the request is dropped half-way, as on shutdown.
struct Lent<'a> {
    pool: &'a Pool,
    ticket: Option<Ticket>,
}

impl Lent<'_> {
    fn settle(mut self, unsent: bool, reported: Option<u32>) {
        let Some(ticket) = self.ticket.take() else { return };
        self.pool.with(|budget, now| match unsent {
            true => budget.unsent(now, ticket),
            false => budget.answered(now, ticket, reported),
        });
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.pool.with(|budget, now| budget.answered(now, ticket, None));
        }
    }
}
