//! Broken bodies.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

/// The page that a firewall in front of the exchange answers with.
pub(crate) fn forbidden_page() -> &'static str {
    "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01 Transitional//EN\">\n<html><head>\
     <title>ERROR: The request could not be satisfied</title></head>\n<body><h1>403 ERROR</h1>\n\
     <h2>The request could not be satisfied.</h2>\n<p>Request blocked.</p>\n</body></html>\n"
}

/// A body that promises its whole length, sends half of it and then breaks the connection.
pub(crate) fn cut_body(body: impl Into<Bytes>) -> Body {
    let whole = body.into();
    let half = whole.slice(..whole.len() / 2);
    Body::new(Cut { promised: whole.len() as u64, step: Step::Send(half) })
}

struct Cut {
    promised: u64,
    step: Step,
}

enum Step {
    Send(Bytes),
    /// Lets the connection flush what it has, since breaking at once would drop it.
    Flush,
    Break,
}

impl axum::body::HttpBody for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match std::mem::replace(&mut self.step, Step::Break) {
            Step::Send(half) if !half.is_empty() => {
                self.step = Step::Flush;
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            Step::Send(_) | Step::Flush => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::Break => Poll::Ready(Some(Err(std::io::Error::other("cut on purpose")))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}
