//! Completion messages: from the store's outbox to NATS.
