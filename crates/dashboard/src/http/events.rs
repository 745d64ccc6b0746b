//! Live state as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use tokio_util::sync::CancellationToken;

use super::App;
use super::error::ApiError;
use crate::live;

/// One event `state` at once, and one whenever the state has changed.
pub(super) async fn stream(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let receiver = app.live.subscribe().ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too many readers of live state")
            .hint("close some of the dashboard's pages")
    })?;
    let start = Reader { receiver, stop: app.stop.clone(), said: String::new(), first: true };
    let events = futures_util::stream::unfold(start, |mut reader| async move {
        let data = reader.next().await?;
        Some((Ok(Event::default().event("state").data(data)), reader))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

struct Reader {
    receiver: tokio::sync::watch::Receiver<std::sync::Arc<live::State>>,
    stop: CancellationToken,
    said: String,
    first: bool,
}

impl Reader {
    /// The next state that differs from the last; `None` when the server stops.
    async fn next(&mut self) -> Option<String> {
        loop {
            tokio::select! {
                changed = self.receiver.changed() => changed.ok()?,
                () = self.stop.cancelled() => return None,
            }
            let state = self.receiver.borrow_and_update().clone();
            let text = serde_json::to_string(&*state).unwrap_or_default();
            if self.first || text != self.said {
                self.first = false;
                self.said.clone_from(&text);
                return Some(text);
            }
        }
    }
}
