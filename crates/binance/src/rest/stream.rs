//! Reading exchangeInfo while it arrives, so that its many megabytes are never in memory at once.

use std::io::{self, Read};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::classify;
use super::decode::{self, ExchangeInfo, Trouble};
use super::http::{Answer, Decode};
use crate::FetchError;

/// Parts of the body under way between network and parser.
const PARTS: usize = 8;
/// Far above any real answer; a source that never ends must not keep us for ever.
const MAX_INFO: u64 = 256 * 1024 * 1024;

pub(super) struct Info;

impl Decode for Info {
    type Out = Arc<ExchangeInfo>;

    async fn decode(mut answer: Answer<'_>) -> Result<Arc<ExchangeInfo>, FetchError> {
        let (send, receive) = mpsc::channel(PARTS);
        let parser = tokio::task::spawn_blocking(move || {
            let parts = Parts { receive, current: Vec::new(), at: 0 };
            decode::exchange_info(parts.take(MAX_INFO))
        });
        let mut head = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if head.len() < 1000 {
                head.extend_from_slice(&chunk[..chunk.len().min(1000)]);
            }
            if send.send(chunk.to_vec()).await.is_err() {
                break; // the parser has met an error and says so below
            }
        }
        drop(send);
        let detail = match parser.await {
            Ok(Ok(info)) => return Ok(info),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let trouble = decode::api_error(&head).unwrap_or(Trouble::Shape(detail));
        Err(classify::of_trouble(answer.asked.what, trouble, &head))
    }
}

/// The parts of a body as one stream for a parser on its own thread.
struct Parts {
    receive: mpsc::Receiver<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Parts {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            match self.receive.blocking_recv() {
                Some(part) => (self.current, self.at) = (part, 0),
                None => return Ok(0),
            }
        }
        let n = out.len().min(self.current.len() - self.at);
        out[..n].copy_from_slice(&self.current[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
