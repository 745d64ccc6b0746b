//! Work units on a JetStream work queue: put there once, taken by whoever is free, gone when done.
//!
//! The stream `KLINES_WORK` keeps every unit until a worker says that it is done. A worker that dies, or says nothing for
//! [`ACK_WAIT`], loses its unit to another one; one at work on a long unit says so from time to time. A unit that comes twice
//! does no harm: what the first try committed is found and not fetched again.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{self, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::connect::{connect, server_name};
use crate::error::EventsError;
use crate::settings::NatsSettings;
use crate::signals::Signals;

/// The stream.
pub const STREAM: &str = "KLINES_WORK";
/// First part of the subjects.
pub const SUBJECT: &str = "klines.work";
/// The consumer that all workers share.
const CONSUMER: &str = "klines-workers";
/// After so long without a word of its worker a unit is given to another.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// A unit of the same identifier is not taken twice within this time.
const SAME: Duration = Duration::from_secs(3600);

/// A connection to the work queue.
pub struct WorkQueue {
    // Kept for as long as the queue is in use.
    client: Client,
    jetstream: jetstream::Context,
    stream: Stream,
    workers: PullConsumer,
    server: String,
}

/// One unit of work, in the hands of this worker.
pub struct Unit {
    message: jetstream::Message,
    server: String,
}

impl WorkQueue {
    /// Connects, and makes the stream and its consumer where they do not exist yet.
    ///
    /// # Errors
    /// [`EventsError`]; `Settings` without NATS, `StreamRefused` where the server has no JetStream or the user may not make
    /// the stream.
    pub async fn open(settings: &NatsSettings) -> Result<Self, EventsError> {
        if !settings.is_on() {
            return Err(EventsError::Settings(
                "work is shared over NATS JetStream: set NATS_URL (and not NATS_ENABLED=false)".into(),
            ));
        }
        let signals = std::sync::Arc::new(Signals::default());
        let client = connect(settings, &signals, Instant::now() + settings.deadline).await?;
        let jetstream = jetstream::new(client.clone());
        let refused = |source: async_nats::Error| EventsError::StreamRefused {
            subject: format!("{SUBJECT}.>"),
            source,
        };
        let stream = jetstream
            .get_or_create_stream(stream::Config {
                name: STREAM.into(),
                description: Some("ranges of klines to be filled".into()),
                subjects: vec![format!("{SUBJECT}.>")],
                retention: RetentionPolicy::WorkQueue,
                storage: StorageType::File,
                duplicate_window: SAME,
                ..stream::Config::default()
            })
            .await
            .map_err(|error| refused(error.into()))?;
        let workers = stream
            .get_or_create_consumer(
                CONSUMER,
                pull::Config {
                    durable_name: Some(CONSUMER.into()),
                    ack_policy: AckPolicy::Explicit,
                    ack_wait: ACK_WAIT,
                    max_ack_pending: 10_000,
                    ..pull::Config::default()
                },
            )
            .await
            .map_err(|error| refused(error.into()))?;
        Ok(Self { client, jetstream, stream, workers, server: server_name(settings) })
    }

    /// Server or servers, without credentials.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Puts a unit on the queue; `false` when one of the same identifier was put there within the last hour.
    ///
    /// # Errors
    /// [`EventsError`] when the stream does not confirm that it has it.
    pub async fn put(&self, id: &str, topic: &str, payload: String) -> Result<bool, EventsError> {
        let subject = format!("{SUBJECT}.{topic}");
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let refused =
            |source: async_nats::Error| EventsError::StreamRefused { subject: subject.clone(), source };
        let sent = self
            .jetstream
            .publish_with_headers(subject.clone(), headers, payload.into())
            .await
            .map_err(|error| refused(error.into()))?;
        let ack = sent.await.map_err(|error| refused(error.into()))?;
        Ok(!ack.duplicate)
    }

    /// The next unit, or `None` when none was free for so long.
    ///
    /// # Errors
    /// [`EventsError`] when the server does not answer.
    pub async fn take(&self, patience: Duration) -> Result<Option<Unit>, EventsError> {
        let lost = |source: async_nats::Error| EventsError::Connect { server: self.server.clone(), source };
        let mut batch = self
            .workers
            .batch()
            .max_messages(1)
            .expires(patience)
            .messages()
            .await
            .map_err(|error| lost(error.into()))?;
        match batch.next().await {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(Unit { message, server: self.server.clone() })),
            Some(Err(error)) => Err(lost(error)),
        }
    }

    /// Units that are not done yet, those at work included.
    ///
    /// # Errors
    /// [`EventsError`] when the server does not answer.
    pub async fn left(&mut self) -> Result<u64, EventsError> {
        let lost = |source: async_nats::Error| EventsError::Connect { server: self.server.clone(), source };
        let info = self.stream.info().await.map_err(|error| lost(error.into()))?;
        Ok(info.state.messages)
    }

    /// Sends what is on its way.
    pub async fn close(self) {
        // What the server has not confirmed is given to another worker.
        if let Err(error) = self.client.flush().await {
            tracing::debug!(%error, "flushing the connection to NATS");
        }
    }
}

impl Unit {
    /// What was put on the queue.
    pub fn payload(&self) -> &[u8] {
        &self.message.payload
    }

    /// How many times it was handed out, this time included.
    pub fn tries(&self) -> u64 {
        self.message.info().map_or(1, |info| u64::try_from(info.delivered).unwrap_or(1))
    }

    /// Says that the work goes on.
    ///
    /// # Errors
    /// [`EventsError`] when it cannot be said; the unit may then be given to another worker.
    pub async fn working(&self) -> Result<(), EventsError> {
        self.say(AckKind::Progress).await
    }

    /// Says that the work is done, and waits until the queue knows.
    ///
    /// # Errors
    /// [`EventsError`] when the queue does not answer: the unit comes again, and finds nothing to do.
    pub async fn done(&self) -> Result<(), EventsError> {
        self.message.double_ack().await.map_err(|source| self.lost(source))
    }

    /// Gives the unit back, to be taken by anybody after a pause.
    ///
    /// # Errors
    /// [`EventsError`] when it cannot be said; the unit comes back by itself.
    pub async fn give_back(&self, pause: Duration) -> Result<(), EventsError> {
        self.say(AckKind::Nak(Some(pause))).await
    }

    /// Takes the unit off the queue for good, because it can never be done.
    ///
    /// # Errors
    /// [`EventsError`] when it cannot be said; the unit comes again.
    pub async fn refuse(&self) -> Result<(), EventsError> {
        self.say(AckKind::Term).await
    }

    async fn say(&self, kind: AckKind) -> Result<(), EventsError> {
        self.message.ack_with(kind).await.map_err(|source| self.lost(source))
    }

    fn lost(&self, source: async_nats::Error) -> EventsError {
        EventsError::Connect { server: self.server.clone(), source }
    }
}
