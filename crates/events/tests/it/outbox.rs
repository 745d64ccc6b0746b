//! An outbox in memory that can fail where a test wants it to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use events::Outbox;
use kline::Millis;
use store::{Message, PendingMessage, StoreError, StoreResult};

#[derive(Default)]
pub struct Memory {
    waiting: Mutex<Vec<PendingMessage>>,
    /// Whether marking fails, as when the process is killed between the answer and the mark.
    pub forgetful: AtomicBool,
    /// Called with the number of messages marked so far, after each marking.
    pub on_marked: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Memory {
    pub fn with(messages: Vec<Message>) -> Self {
        let outbox = Self::default();
        for message in messages {
            outbox.put(message);
        }
        outbox
    }

    pub fn put(&self, message: Message) {
        let mut waiting = self.waiting.lock().unwrap();
        let position = waiting.last().map_or(1, |last| last.position + 1);
        waiting.push(PendingMessage { position, message, created: Millis(0) });
    }

    pub fn ids(&self) -> Vec<String> {
        self.waiting.lock().unwrap().iter().map(|entry| entry.message.id.clone()).collect()
    }
}

impl Outbox for Memory {
    async fn pending(&self, limit: usize) -> StoreResult<Vec<PendingMessage>> {
        Ok(self.waiting.lock().unwrap().iter().take(limit).cloned().collect())
    }

    async fn delivered(&self, ids: &[i64]) -> StoreResult<()> {
        if self.forgetful.load(Ordering::Relaxed) {
            return Err(StoreError::Closed { place: "memory".into() });
        }
        self.waiting.lock().unwrap().retain(|entry| !ids.contains(&entry.position));
        if let Some(hook) = &self.on_marked {
            hook();
        }
        Ok(())
    }
}

pub fn message(id: &str, subject: &str, payload: &str) -> Message {
    Message { id: id.into(), subject: subject.into(), payload: payload.into(), traceparent: None }
}

/// `n` messages to one subject, with ids and bodies `m0`, `m1`, …
pub fn numbered(n: usize, subject: &str) -> Vec<Message> {
    (0..n).map(|i| message(&format!("m{i}"), subject, &format!("m{i}"))).collect()
}
