//! Connections, and transactions that are tried again when what stopped them passes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, TimeoutType};

use super::engine::{Begin, Engine, Session};
use super::fail::{Class, Fault, Step};
use super::url::Server;
use crate::{StoreError, StoreResult};

/// First and longest pause before a transaction is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// Conflicts with other transactions that are borne without looking at the time; they cost no pause to speak of.
const CONFLICTS: u32 = 20;

/// Makes and keeps the connections of one store.
#[derive(Debug)]
pub(crate) struct Manager<E>(pub(crate) E);

impl<E: Engine> managed::Manager for Manager<E> {
    type Type = E::Session;
    type Error = Fault;

    async fn create(&self) -> Result<E::Session, Fault> {
        self.0.connect().await
    }

    async fn recycle(&self, session: &mut E::Session, _: &Metrics) -> RecycleResult<Fault> {
        if session.is_idle() { Ok(()) } else { Err(RecycleError::message("broken or in mid-transaction")) }
    }
}

/// A connection on loan. One that is dropped in the middle of something (an error, a cancelled call) does not go back to
/// the pool but is closed, so that the server undoes what was begun and frees its locks.
struct Loan<E: Engine>(Option<Object<Manager<E>>>);

impl<E: Engine> Drop for Loan<E> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take_if(|o| !o.is_idle()) {
            drop(Object::take(object));
        }
    }
}

/// The pool of one store.
pub(crate) struct Pool<E: Engine> {
    connections: managed::Pool<Manager<E>>,
    server: Arc<Server>,
    read_only: bool,
}

impl<E: Engine> Pool<E> {
    pub(crate) fn new(engine: E, server: Arc<Server>, read_only: bool) -> StoreResult<Self> {
        let wait = Some(server.connect_timeout);
        let connections = managed::Pool::builder(Manager(engine))
            .max_size(server.pool)
            .wait_timeout(wait)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| StoreError::Open { place: server.place(), source: e.into() })?;
        Ok(Self { connections, server, read_only })
    }

    pub(crate) fn engine(&self) -> &E {
        &self.connections.manager().0
    }

    /// Runs `work` on one snapshot of the store.
    pub(crate) async fn read<T>(
        &self,
        doing: &str,
        work: impl AsyncFn(&mut E::Session) -> Step<T>,
    ) -> StoreResult<T> {
        self.run(Begin::Read, doing, work).await
    }

    /// Runs `work` in one transaction, which commits if it succeeds. It runs again, from its beginning, when it met a
    /// passing trouble; after a connection that broke during the commit it may have been committed already.
    pub(crate) async fn write<T>(
        &self,
        doing: &str,
        work: impl AsyncFn(&mut E::Session) -> Step<T>,
    ) -> StoreResult<T> {
        if self.read_only {
            let source = "the store was opened for reading only".into();
            return Err(StoreError::ReadOnly { place: self.server.place(), source });
        }
        self.run(Begin::Write, doing, work).await
    }

    async fn run<T>(
        &self,
        begin: Begin,
        doing: &str,
        work: impl AsyncFn(&mut E::Session) -> Step<T>,
    ) -> StoreResult<T> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            let fault = match self.once(begin, &work).await {
                Ok(value) => return Ok(value),
                Err(fault) => fault,
            };
            let waited = started.elapsed();
            let in_time = waited < self.server.retry;
            let goes_on = match fault.class() {
                Some(Class::Duplicate) => tries < CONFLICTS,
                Some(Class::Conflict) => tries < CONFLICTS || in_time,
                _ => in_time,
            };
            if !fault.is_passing() || !goes_on {
                return Err(fault.explain(&self.server.place(), doing, begin == Begin::Write, waited));
            }
            tracing::debug!(place = self.server.place(), doing, tries, ?fault, "trying again");
            // A connection that had gone stale in the pool is replaced at once.
            if tries > 0 {
                tokio::time::sleep(pause(tries)).await;
            }
            tries += 1;
        }
    }

    async fn once<T>(&self, begin: Begin, work: impl AsyncFn(&mut E::Session) -> Step<T>) -> Step<T> {
        let mut loan = self.loan().await?;
        let Some(session) = loan.0.as_deref_mut() else {
            return Err(self.closed());
        };
        session.begin(begin).await?;
        match work(session).await {
            Ok(value) => {
                session.commit().await?;
                Ok(value)
            }
            Err(fault) => {
                // If this fails, the connection is closed, which does the same.
                let _ = session.rollback().await;
                Err(fault)
            }
        }
    }

    async fn loan(&self) -> Step<Loan<E>> {
        let place = || self.server.place();
        match self.connections.get().await {
            Ok(object) => Ok(Loan(Some(object))),
            Err(PoolError::Backend(fault)) => Err(fault),
            Err(PoolError::Closed) => Err(self.closed()),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(Fault::Store(StoreError::Busy {
                place: place(),
                connections: self.server.pool,
                waited_ms: u64::try_from(self.server.connect_timeout.as_millis()).unwrap_or(u64::MAX),
            })),
            Err(other) => Err(Fault::Engine(Class::Other, format!("{other:?}").into())),
        }
    }

    fn closed(&self) -> Fault {
        Fault::Store(StoreError::Closed { place: self.server.place() })
    }

    /// Gives out no more connections and waits until all are back.
    pub(crate) async fn close(&self) {
        self.connections.close();
        let patience = Instant::now() + self.server.statement_timeout;
        while self.connections.status().size > 0 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Twice as long each time, with a part of it by chance, so that rivals do not meet again.
fn pause(tries: u32) -> Duration {
    let full = PAUSE.0.saturating_mul(1 << tries.min(10)).min(PAUSE.1);
    let chance = u32::from(uuid::Uuid::now_v7().as_bytes()[15]);
    full / 2 + full * chance / 512
}
