//! SIGINT and SIGTERM: the first one lets the chunk in hand finish, a second one ends at once.
//!
//! Some senders (`timeout`, a terminal) signal a process and its group, so one wish arrives twice: a second signal within a
//! second is taken for an echo.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::CliError;

/// A second signal within this time is an echo of the first.
const ECHO: Duration = Duration::from_secs(1);

/// Tells commands to stop, and remembers why.
#[derive(Clone)]
pub struct Stop {
    /// Cancelled by the first signal.
    pub token: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Stop {
    /// Starts listening.
    pub fn listen() -> Result<Self, CliError> {
        let stop = Self { token: CancellationToken::new(), code: Arc::new(AtomicU8::new(0)) };
        let listen =
            |kind| signal(kind).map_err(|source| CliError::Io { doing: "listen for signals".into(), source });
        let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let told = stop.clone();
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            loop {
                let code = tokio::select! {
                    _ = int.recv() => 130,
                    _ = term.recv() => 143,
                };
                match first {
                    None => first = Some(Instant::now()),
                    Some(at) if at.elapsed() < ECHO => continue,
                    Some(_) => std::process::exit(i32::from(code)),
                }
                told.code.store(code, Ordering::Relaxed);
                told.token.cancel();
            }
        });
        Ok(stop)
    }

    /// The exit code of the signal that came, if one did.
    pub fn exit_code(&self) -> Option<u8> {
        match self.code.load(Ordering::Relaxed) {
            0 => None,
            code => Some(code),
        }
    }
}
