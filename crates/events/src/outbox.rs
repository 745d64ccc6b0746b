//! The way of messages from the outbox to the server.

use std::collections::HashSet;
use std::time::Duration;

use store::{KlineStore, PendingMessage, StoreResult};
use tokio::time::{Instant, timeout_at};

use crate::error::EventsError;
use crate::publisher::{Publisher, Sent};
use crate::settings::NatsSettings;

/// Messages read, sent and marked together. A crash repeats this many at most.
const PAGE: usize = 100;
/// How far [`Delivery::left`] counts.
const COUNTED: usize = 10_000;
/// Part of the deadline that is kept for marking what was sent.
const MARKING: Duration = Duration::from_secs(1);
/// Pause between attempts on a connection that does not answer.
const PAUSE: Duration = Duration::from_millis(100);

/// Where messages wait. Every [`KlineStore`] is one.
#[allow(async_fn_in_trait)] // called here only, with types whose futures are Send
pub trait Outbox {
    /// Messages not yet delivered, oldest first.
    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>>;

    /// Marks messages as delivered.
    async fn delivered(&self, ids: &[i64]) -> StoreResult<()>;
}

impl<S: KlineStore> Outbox for S {
    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        KlineStore::pending(self, limit).await
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        KlineStore::delivered(self, ids).await
    }
}

/// What a delivery achieved. An error here is no error of the job: what is left goes out with the next run.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Messages that the server has confirmed.
    pub sent: u64,
    /// Messages still in the outbox; counted up to 10,000.
    pub left: u64,
    /// Why some are left.
    pub error: Option<EventsError>,
}

impl Delivery {
    /// Whether the outbox is empty.
    pub fn is_complete(&self) -> bool {
        self.left == 0 && self.error.is_none()
    }
}

/// Connects if anything waits in the outbox, delivers it, and disconnects; all within the deadline of the settings.
/// Does nothing at all when NATS is off ([`NatsSettings::is_on`]): `left` is 0 then, whatever the outbox holds.
pub async fn deliver_outbox<O: Outbox>(outbox: &O, settings: &NatsSettings) -> Delivery {
    if !settings.is_on() {
        return Delivery::default();
    }
    let began = Instant::now();
    let until = began + settings.deadline;
    let mut delivery = Delivery::default();
    match timely(outbox.pending(1), began, until).await {
        Ok(first) if first.is_empty() => return delivery,
        Ok(_) => {}
        Err(error) => {
            delivery.error = Some(error);
            return delivery;
        }
    }
    match Publisher::connect_until(settings, sending_ends(began, until)).await {
        Ok(publisher) => deliver(outbox, &publisher, until.saturating_duration_since(Instant::now())).await,
        Err(error) => {
            delivery.error = Some(error);
            delivery.left = left(outbox, began, until).await;
            delivery
        }
    }
}

/// Sends what waits in the outbox, oldest first, and marks what the server has confirmed. Returns within `deadline`.
///
/// A message that can never be sent (too large, not permitted, no subject) is passed over and stays; any other failure
/// ends the delivery, so that no message overtakes another of its subject.
pub async fn deliver<O: Outbox>(outbox: &O, publisher: &Publisher, deadline: Duration) -> Delivery {
    let began = Instant::now();
    let until = began + deadline;
    let mut courier = Courier {
        outbox,
        publisher,
        began,
        until,
        sending: sending_ends(began, until),
        skipped: HashSet::new(),
        delivery: Delivery::default(),
    };
    if let Err(error) = courier.run().await {
        courier.delivery.error = Some(error);
    }
    let mut delivery = courier.delivery;
    if delivery.error.is_some() {
        delivery.left = left(outbox, began, until).await;
    }
    delivery
}

/// When sending stops, so that time is left for marking.
fn sending_ends(began: Instant, until: Instant) -> Instant {
    until - MARKING.min((until - began) / 4)
}

struct Courier<'a, O> {
    outbox: &'a O,
    publisher: &'a Publisher,
    began: Instant,
    until: Instant,
    sending: Instant,
    /// Messages that were passed over.
    skipped: HashSet<i64>,
    delivery: Delivery,
}

impl<O: Outbox> Courier<'_, O> {
    async fn run(&mut self) -> Result<(), EventsError> {
        loop {
            let limit = PAGE + self.skipped.len();
            let mut page = timely(self.outbox.pending(limit), self.began, self.until).await?;
            page.retain(|entry| !self.skipped.contains(&entry.position));
            if page.is_empty() {
                return Ok(());
            }
            let mut confirmed = Vec::with_capacity(page.len());
            let result = self.send(&page, &mut confirmed).await;
            if !confirmed.is_empty() {
                timely(self.outbox.delivered(&confirmed), self.began, self.until).await?;
                self.delivery.sent += confirmed.len() as u64;
            }
            result?;
        }
    }

    /// Sends a page and puts the positions of what the server has into `confirmed`, also when it fails on the way.
    async fn send(&mut self, page: &[PendingMessage], confirmed: &mut Vec<i64>) -> Result<(), EventsError> {
        let mut unconfirmed = Vec::new();
        let mut failure = None;
        for entry in page {
            match self.send_one(entry).await {
                Ok(Sent::Acknowledged) => confirmed.push(entry.position),
                Ok(Sent::Unconfirmed) => unconfirmed.push(entry),
                Err(error) if error.is_of_one_message() => self.pass_over(entry, error),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        let arrived = self.confirm(&unconfirmed).await;
        if arrived.is_ok() {
            for entry in unconfirmed {
                match self.publisher.refusal(&entry.message) {
                    Some(error) => self.pass_over(entry, error),
                    None => confirmed.push(entry.position),
                }
            }
        }
        failure.map_or(arrived, Err)
    }

    /// Sends one message, again and again while the server does not answer and there is time: it may be restarting.
    async fn send_one(&self, entry: &PendingMessage) -> Result<Sent, EventsError> {
        loop {
            match self.publisher.publish(&entry.message, self.sending).await {
                Err(EventsError::Unconfirmed { .. }) if self.has_time() => tokio::time::sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    /// Waits for the server to confirm what was published without an acknowledgement. What was on its way when a
    /// connection broke is lost with it: it is published again on the new one.
    async fn confirm(&self, unconfirmed: &[&PendingMessage]) -> Result<(), EventsError> {
        if unconfirmed.is_empty() {
            return Ok(());
        }
        loop {
            match self.publisher.confirm(self.sending).await {
                Err(EventsError::Unconfirmed { .. }) if self.has_time() => {}
                other => return other,
            }
            tokio::time::sleep(PAUSE).await;
            for entry in unconfirmed {
                self.publisher.publish(&entry.message, self.sending).await?;
            }
        }
    }

    fn has_time(&self) -> bool {
        Instant::now() + PAUSE < self.sending
    }

    fn pass_over(&mut self, entry: &PendingMessage, error: EventsError) {
        tracing::warn!(id = entry.message.id, subject = entry.message.subject, %error, "message passed over");
        self.skipped.insert(entry.position);
        self.delivery.error.get_or_insert(error);
    }
}

/// Waits for the store, at the latest until `until`.
async fn timely<T>(
    call: impl Future<Output = StoreResult<T>>,
    began: Instant,
    until: Instant,
) -> Result<T, EventsError> {
    match timeout_at(until, call).await {
        Ok(result) => result.map_err(EventsError::Outbox),
        Err(_) => Err(EventsError::OutboxSilent { after: until - began }),
    }
}

/// How many messages wait. When the store cannot say, at least the one that could not be sent.
async fn left<O: Outbox>(outbox: &O, began: Instant, until: Instant) -> u64 {
    // The store has just answered: grant it a moment even when the server used up the time.
    let until = until.max(Instant::now() + MARKING / 4);
    timely(outbox.pending(COUNTED), began, until).await.map_or(1, |waiting| waiting.len() as u64)
}
