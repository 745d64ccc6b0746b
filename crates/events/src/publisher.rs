//! A connection that messages go out by, and how it is known that they arrived.

use std::collections::HashMap;
use std::error::Error as _;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, context::GetStreamByNameErrorKind, context::PublishErrorKind};
use async_nats::{Client, HeaderMap, HeaderValue};
use futures_util::StreamExt;
use store::Message;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connect::{connect, server_name};
use crate::error::EventsError;
use crate::settings::NatsSettings;
use crate::signals::Signals;

/// How long one answer of a server that is there may take.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait for an acknowledgement when it is not known whether a stream will give one.
const DOUBTFUL_ANSWER: Duration = Duration::from_millis(500);
/// Time for a refusal that arrived before a confirmation to be handed on by the client's own task.
const REFUSAL_GRACE: Duration = Duration::from_millis(10);
/// Where the client asks for the stream of a subject.
const STREAM_NAMES: &str = "$JS.API.STREAM.NAMES";

/// Whether a stream keeps the messages of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// A JetStream stream does: every message is acknowledged.
    Stream,
    /// None does: whoever listens at that moment gets the message.
    Nobody,
    /// The server does not let this user ask. Acknowledged or not, a message is confirmed.
    Unknown,
}

/// What [`Publisher::facts`] found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Server or servers as given in the settings, without credentials.
    pub server: String,
    /// Version of the server.
    pub version: String,
    /// Whether the server has JetStream.
    pub jetstream: bool,
    /// Whether it demands TLS.
    pub tls_required: bool,
    /// Largest message, bytes.
    pub max_payload: usize,
    /// Time from a message to its own echo.
    pub round_trip: Duration,
}

/// A connection to NATS. It reconnects by itself; every method has a deadline of its own.
pub struct Publisher {
    client: Client,
    jetstream: jetstream::Context,
    signals: Arc<Signals>,
    server: String,
    echo: Mutex<Echo>,
    coverage: Mutex<HashMap<String, Coverage>>,
}

/// The inbox that this client hears itself by.
struct Echo {
    subject: String,
    messages: async_nats::Subscriber,
}

/// What became of one message.
pub(crate) enum Sent {
    /// The stream has it.
    Acknowledged,
    /// On its way; [`Publisher::confirm`] tells whether it arrived.
    Unconfirmed,
}

impl Publisher {
    /// Connects, within the deadline of the settings.
    ///
    /// # Errors
    /// [`EventsError`] of why not; [`EventsError::Settings`] when the settings are off ([`NatsSettings::is_on`]).
    pub async fn connect(settings: &NatsSettings) -> Result<Self, EventsError> {
        Self::connect_until(settings, Instant::now() + settings.deadline).await
    }

    pub(crate) async fn connect_until(settings: &NatsSettings, until: Instant) -> Result<Self, EventsError> {
        if !settings.is_on() {
            return Err(EventsError::Settings("NATS is switched off, or NATS_URL is not set".into()));
        }
        let signals = Arc::new(Signals::default());
        let client = connect(settings, &signals, until).await?;
        let subject = client.new_inbox();
        let messages = client.subscribe(subject.clone()).await.map_err(|source| EventsError::Connect {
            server: server_name(settings),
            source: source.into(),
        })?;
        Ok(Self {
            jetstream: jetstream::new(client.clone()),
            server: server_name(settings),
            echo: Mutex::new(Echo { subject, messages }),
            coverage: Mutex::new(HashMap::new()),
            client,
            signals,
        })
    }

    /// Tries the connection out without leaving a trace.
    ///
    /// # Errors
    /// [`EventsError::Unconfirmed`] when the server does not echo within `limit`.
    pub async fn facts(&self, limit: Duration) -> Result<ServerFacts, EventsError> {
        let began = Instant::now();
        self.confirm(began + limit).await?;
        let info = self.client.server_info();
        Ok(ServerFacts {
            server: self.server.clone(),
            version: info.version,
            jetstream: info.jetstream,
            tls_required: info.tls_required,
            max_payload: info.max_payload,
            round_trip: began.elapsed(),
        })
    }

    /// Whether a stream keeps the messages of `subject`. Asked once per subject and connection.
    ///
    /// # Errors
    /// [`EventsError::Unconfirmed`] when the server does not answer.
    pub async fn coverage(&self, subject: &str) -> Result<Coverage, EventsError> {
        if let Some(known) = self.known_coverage(subject).await {
            return Ok(known);
        }
        let began = Instant::now();
        let answer = tokio::select! {
            answer = timeout(ANSWER, self.jetstream.stream_by_subject(subject)) => answer,
            _ = self.signals.wait_refused(STREAM_NAMES) => {
                self.coverage.lock().await.insert(String::new(), Coverage::Unknown);
                return Ok(Coverage::Unknown);
            }
        };
        let (key, found) = match answer {
            Ok(Ok(_)) => (subject, Coverage::Stream),
            // Publishing will say what is wrong with the subject.
            Ok(Err(error)) if error.kind() == GetStreamByNameErrorKind::InvalidSubject => {
                (subject, Coverage::Nobody)
            }
            Ok(Err(error)) if error.kind() == GetStreamByNameErrorKind::NotFound => {
                (subject, Coverage::Nobody)
            }
            Ok(Err(error)) if no_jetstream(&error) => ("", Coverage::Nobody),
            // A stream may be there, and lose what it does not acknowledge: rather try again later.
            Ok(Err(error)) => {
                return Err(EventsError::StreamRefused { subject: subject.to_owned(), source: error.into() });
            }
            // Nobody answers because this user hears no answers, or because the server has no JetStream and somebody
            // who listens to everything keeps it from saying so.
            Err(_)
                if self.signals.refused_subscription().is_some() || !self.client.server_info().jetstream =>
            {
                ("", Coverage::Nobody)
            }
            Err(_) => return Err(self.unconfirmed(began.elapsed())),
        };
        tracing::debug!(subject, ?found, "looked for a stream");
        self.coverage.lock().await.insert(key.to_owned(), found);
        Ok(found)
    }

    /// What is known of a subject; the entry of the empty subject holds for all.
    async fn known_coverage(&self, subject: &str) -> Option<Coverage> {
        let coverage = self.coverage.lock().await;
        coverage.get(subject).or_else(|| coverage.get("")).copied()
    }

    /// Publishes one message; with an acknowledgement where there may be one.
    pub(crate) async fn publish(&self, message: &Message, until: Instant) -> Result<Sent, EventsError> {
        match self.coverage(&message.subject).await? {
            Coverage::Nobody => self.publish_plain(message, until).await.map(|()| Sent::Unconfirmed),
            Coverage::Stream => self.publish_acknowledged(message, until, ANSWER).await,
            Coverage::Unknown => match self.publish_acknowledged(message, until, DOUBTFUL_ANSWER).await {
                // Published all the same. Nobody acknowledges here: do not wait for it with every message.
                Err(EventsError::Unconfirmed { .. }) => {
                    self.coverage.lock().await.insert(String::new(), Coverage::Nobody);
                    Ok(Sent::Unconfirmed)
                }
                other => other,
            },
        }
    }

    async fn publish_plain(&self, message: &Message, until: Instant) -> Result<(), EventsError> {
        let headers = headers(message)?;
        let began = Instant::now();
        let payload = message.payload.clone().into();
        match timeout_at(until, self.client.publish_with_headers(message.subject.clone(), headers, payload))
            .await
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(match error.kind() {
                async_nats::client::PublishErrorKind::MaxPayloadExceeded => self.too_large(message),
                async_nats::client::PublishErrorKind::InvalidSubject => {
                    malformed(message, "not a valid subject")
                }
                async_nats::client::PublishErrorKind::Send => self.unconfirmed(began.elapsed()),
            }),
            Err(_) => Err(self.unconfirmed(began.elapsed())),
        }
    }

    async fn publish_acknowledged(
        &self,
        message: &Message,
        until: Instant,
        patience: Duration,
    ) -> Result<Sent, EventsError> {
        let began = Instant::now();
        let until = until.min(began + patience);
        let headers = headers(message)?;
        let publish = async {
            let payload = message.payload.clone().into();
            self.jetstream.publish_with_headers(message.subject.clone(), headers, payload).await?.await
        };
        let answer = tokio::select! {
            answer = timeout_at(until, publish) => answer,
            _ = self.signals.wait_refused(&message.subject) => return Err(not_permitted(message)),
        };
        match answer {
            Ok(Ok(ack)) => {
                tracing::debug!(
                    stream = ack.stream,
                    sequence = ack.sequence,
                    repeat = ack.duplicate,
                    "acknowledged"
                );
                Ok(Sent::Acknowledged)
            }
            Ok(Err(error)) => match error.kind() {
                // The answer of a server without a taker: it had the message, nobody listened.
                PublishErrorKind::StreamNotFound => {
                    self.coverage.lock().await.insert(message.subject.clone(), Coverage::Nobody);
                    Ok(Sent::Unconfirmed)
                }
                PublishErrorKind::MaxPayloadExceeded => Err(self.too_large(message)),
                PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => {
                    Err(self.unconfirmed(began.elapsed()))
                }
                _ if is_invalid_subject(&error) => Err(malformed(message, "not a valid subject")),
                _ => {
                    Err(EventsError::StreamRefused { subject: message.subject.clone(), source: error.into() })
                }
            },
            Err(_) => Err(self.unconfirmed(began.elapsed())),
        }
    }

    /// Waits until the server has worked off everything published on this connection so far.
    ///
    /// The client's own `flush` only hands the bytes to the kernel. A message to our own inbox comes back after the
    /// server has read what was sent before it; a server that does not let us publish there says that, also in turn.
    pub(crate) async fn confirm(&self, until: Instant) -> Result<(), EventsError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let began = Instant::now();
        let until = until.min(began + ANSWER);
        let mark = COUNTER.fetch_add(1, Ordering::Relaxed).to_string();
        let mut echo = self.echo.lock().await;
        let Echo { subject, messages } = &mut *echo;
        let round_trip = async {
            self.client.publish(subject.clone(), mark.clone().into()).await.ok()?;
            while let Some(message) = messages.next().await {
                if message.payload == mark.as_bytes() {
                    return Some(());
                }
            }
            None
        };
        let answer = tokio::select! {
            answer = timeout_at(until, round_trip) => answer.ok().flatten(),
            _ = self.signals.wait_refused(subject) => Some(()),
        };
        match answer {
            Some(()) => {
                tokio::time::sleep(REFUSAL_GRACE).await;
                Ok(())
            }
            None => Err(self.unconfirmed(began.elapsed())),
        }
    }

    /// The error when the server has said that it does not take this message.
    pub(crate) fn refusal(&self, message: &Message) -> Option<EventsError> {
        self.signals.refused(&message.subject).map(|_| not_permitted(message))
    }

    fn unconfirmed(&self, after: Duration) -> EventsError {
        let refused = self.signals.refused_subscription();
        EventsError::Unconfirmed { server: self.server.clone(), after, refused }
    }

    fn too_large(&self, message: &Message) -> EventsError {
        let max = self.client.server_info().max_payload;
        EventsError::TooLarge { subject: message.subject.clone(), size: message.payload.len(), max }
    }
}

/// Whether the server, or this user's account, has no JetStream at all.
fn no_jetstream(error: &(dyn std::error::Error + 'static)) -> bool {
    use jetstream::ErrorCode;
    use jetstream::context::{RequestError, RequestErrorKind};
    let mut next = Some(error);
    while let Some(current) = next {
        let nobody_there = current
            .downcast_ref::<RequestError>()
            .is_some_and(|request| request.kind() == RequestErrorKind::NoResponders);
        let switched_off = current.downcast_ref::<jetstream::Error>().is_some_and(|answer| {
            let codes = [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];
            codes.contains(&answer.error_code())
        });
        if nobody_there || switched_off {
            return true;
        }
        next = current.source();
    }
    false
}

fn is_invalid_subject(error: &jetstream::context::PublishError) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<async_nats::client::PublishError>())
        .is_some_and(|inner| inner.kind() == async_nats::client::PublishErrorKind::InvalidSubject)
}

fn not_permitted(message: &Message) -> EventsError {
    EventsError::NotPermitted { subject: message.subject.clone() }
}

fn malformed(message: &Message, why: &str) -> EventsError {
    EventsError::Malformed { subject: message.subject.clone(), why: why.into() }
}

fn headers(message: &Message) -> Result<HeaderMap, EventsError> {
    let value = |name: &str, text: &str| {
        HeaderValue::from_str(text).map_err(|_| malformed(message, &format!("its {name} holds a line break")))
    };
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", value("id", &message.id)?);
    if let Some(traceparent) = &message.traceparent {
        headers.insert("traceparent", value("traceparent", traceparent)?);
    }
    Ok(headers)
}
