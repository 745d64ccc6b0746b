//! Completion messages: from the store's outbox to NATS.
//!
//! A job never talks to NATS. It puts its messages into the outbox of the store, in the transaction of the rows they
//! speak of; when it is done, [`deliver_outbox`] (or [`deliver`], on a connection that exists) sends what waits there:
//!
//! ```text
//! outbox, oldest first ─► publish ─► NATS answers ─► marked as delivered
//! ```
//!
//! The promises:
//!
//! 1. A message leaves the outbox only after the server has said that it has it: the stream's acknowledgement where a
//!    JetStream stream covers the subject, an answer to a later message on the same connection elsewhere.
//! 2. Messages of one subject are published in the order of the outbox.
//! 3. A crash between the answer and the mark repeats the message under the same `Nats-Msg-Id`: a stream drops the
//!    repeat inside its duplicate window, and so does any consumer that looks at the header.
//! 4. NATS being away is not an error of the job: what could not be sent stays, and the next run sends it. Every call has
//!    a deadline of its own.
//! 5. Switched off, or without a URL, nothing connects.
//!
//! The library prints nothing and reads no environment: [`NatsSettings::from_lookup`] asks the caller.

mod connect;
mod error;
mod outbox;
mod publisher;
mod secret;
mod settings;
mod signals;
mod work;

pub use error::EventsError;
pub use outbox::{Delivery, Outbox, deliver, deliver_outbox};
pub use publisher::{Coverage, Publisher, ServerFacts};
pub use secret::Secret;
pub use settings::{Auth, NatsSettings, Tls, VARIABLES};
pub use work::{ACK_WAIT, STREAM, SUBJECT, Unit, WorkQueue};
