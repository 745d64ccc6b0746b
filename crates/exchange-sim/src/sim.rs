//! Starting and stopping the exchange, and holding its strings.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::{Clock, Now};
use crate::conn::{Peer, SimListener};
use crate::data::{Catalog, DataError, DataSource};
use crate::faults::{FaultError, Faults};
use crate::locked;
use crate::state::Shared;
use crate::stats::{RequestRecord, Stats};
use crate::weight::Limits;
use crate::{archive, control, push, serve};

/// How an exchange is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: String,
    /// What there is to show.
    pub data: Vec<DataSource>,
    /// The exchange's clock.
    pub now: Now,
    /// Added to the clock, in milliseconds.
    pub clock_offset_ms: i64,
    /// Request weight and bans.
    pub limits: Limits,
    /// What goes wrong from the start.
    pub faults: Faults,
    /// How many requests the log remembers.
    pub request_log: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            data: Vec::new(),
            now: Now::Real,
            clock_offset_ms: 0,
            limits: Limits::default(),
            faults: Faults::default(),
            request_log: 20_000,
        }
    }
}

/// Why an exchange cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, not ours, or none at all.
    #[error(
        "cannot listen on {address}: {source}; is another exchange-sim running, or is the address not this machine's?"
    )]
    Listen {
        /// The address asked for.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A data source cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The faults make no sense.
    #[error(transparent)]
    Faults(#[from] FaultError),
}

/// A running exchange. It stops when it is dropped; [`Sim::shutdown`] also waits for it.
#[derive(Debug)]
pub struct Sim {
    address: SocketAddr,
    control: Control,
    task: JoinHandle<()>,
}

/// Everything that can be asked of and done to a running exchange; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Sim {
    /// Starts an exchange on the running tokio runtime.
    ///
    /// # Errors
    /// [`StartError`] when the address, the data or the faults cannot be used.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        config.faults.check()?;
        let listen_error = |source| StartError::Listen { address: config.listen.clone(), source };
        let listener = TcpListener::bind(&config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let catalog = Catalog::open(config.data)?;
        let clock = Clock::new(config.now, config.clock_offset_ms);
        let shared = Arc::new(Shared::new(catalog, clock, &config.limits, config.faults, config.request_log));
        let router: Router = control::routes()
            .merge(archive::routes())
            .merge(push::routes())
            .fallback(serve::handle)
            .with_state(Arc::clone(&shared));
        let closing = Arc::clone(&shared);
        let server = axum::serve(SimListener(listener), router.into_make_service_with_connect_info::<Peer>())
            .with_graceful_shutdown(async move { closing.closed().await });
        let task = tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the exchange stopped");
            }
        });
        tracing::info!(%address, "exchange is up");
        Ok(Self { address, control: Control { shared }, task })
    }

    /// `http://address:port`, the base of all three markets.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The strings of this exchange.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.control.stats()
    }

    /// Stops the exchange and waits until its connections are gone, at most a second.
    pub async fn shutdown(mut self) {
        self.control.close();
        if tokio::time::timeout(Duration::from_secs(1), &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.control.close();
    }
}

impl Control {
    /// The faults in force.
    pub fn faults(&self) -> Faults {
        Faults::clone(&self.shared.faults())
    }

    /// Replaces the faults; the draws start afresh.
    ///
    /// # Errors
    /// [`FaultError`] when they make no sense; the old ones then stay.
    pub fn set_faults(&self, faults: Faults) -> Result<(), FaultError> {
        faults.check()?;
        self.shared.set_faults(faults);
        Ok(())
    }

    /// Sets the exchange's clock.
    pub fn set_now(&self, now: Now) {
        self.shared.clock.set(now);
    }

    /// The time by the exchange's clock.
    pub fn now(&self) -> kline::Millis {
        self.shared.clock.now()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Counts from zero again; weight windows and bans go on.
    pub fn reset_stats(&self) {
        self.shared.reset_stats();
    }

    /// The requests remembered, oldest first, whose number is above `after`.
    pub fn requests(&self, after: u64) -> Vec<RequestRecord> {
        locked(&self.shared.book).requests(after)
    }

    fn close(&self) {
        self.shared.closing.send_replace(true);
    }
}
