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

/// A connection on loan, in a transaction. One that is dropped in the middle of something (an error, a cancelled call)
/// does not go back to the pool but is closed, so that the server undoes what was begun and frees its locks.
pub(crate) struct Loan<E: Engine>(Option<Object<Manager<E>>>);

impl<E: Engine> Loan<E> {
    /// The connection.
    pub(crate) fn session(&mut self) -> Step<&mut E::Session> {
        self.0.as_deref_mut().ok_or_else(|| Fault::Engine(Class::Lost, "the connection is gone".into()))
    }

    /// Ends the transaction: for good if all went well.
    pub(crate) async fn end<T>(mut self, result: Step<T>) -> Step<T> {
        let session = self.session()?;
        match result {
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
}

impl<E: Engine> Drop for Loan<E> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take_if(|o| !o.is_idle()) {
            drop(Object::take(object));
        }
    }
}

/// Does work in one transaction, again from its beginning when it met a passing trouble. After a connection that broke
/// during the commit, the work may have been committed already.
///
/// `session` in the work is the connection; the work is an expression of type [`Step`]. (A function that takes the work
/// as an asynchronous closure would be nicer, but the compiler cannot yet see that its future is `Send`.)
macro_rules! transaction {
    ($pool:expr, $how:ident, $doing:expr, $session:ident => $work:expr) => {{
        let mut tries = $pool.tries($crate::servers::engine::Begin::$how, $doing);
        loop {
            let result = match tries.begin().await {
                Ok(mut loan) => {
                    let result = match loan.session() {
                        Ok($session) => $work,
                        Err(fault) => Err(fault),
                    };
                    loan.end(result).await
                }
                Err(fault) => Err(fault),
            };
            if let Some(result) = tries.judge(result).await {
                break result;
            }
        }
    }};
}
pub(crate) use transaction;

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

    /// The tries of one transaction. `doing` completes "… failed".
    pub(crate) fn tries<'a>(&'a self, how: Begin, doing: &'a str) -> Tries<'a, E> {
        Tries { pool: self, how, doing, started: Instant::now(), failed: 0 }
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

/// How often a transaction was tried, and whether it is worth another try.
pub(crate) struct Tries<'a, E: Engine> {
    pool: &'a Pool<E>,
    how: Begin,
    doing: &'a str,
    started: Instant,
    failed: u32,
}

impl<E: Engine> Tries<'_, E> {
    /// Begins the transaction.
    pub(crate) async fn begin(&self) -> Step<Loan<E>> {
        if self.pool.read_only && self.how == Begin::Write {
            let source = "the store was opened for reading only".into();
            return Err(StoreError::ReadOnly { place: self.pool.server.place(), source }.into());
        }
        let mut loan = self.pool.loan().await?;
        loan.session()?.begin(self.how).await?;
        Ok(loan)
    }

    /// What is to be handed out; or nothing, after a pause, when the transaction is to be tried again.
    pub(crate) async fn judge<T>(&mut self, result: Step<T>) -> Option<StoreResult<T>> {
        let fault = match result {
            Ok(value) => return Some(Ok(value)),
            Err(fault) => fault,
        };
        let (server, waited) = (&self.pool.server, self.started.elapsed());
        let in_time = waited < server.retry;
        let goes_on = match fault.class() {
            Some(Class::Duplicate) => self.failed < CONFLICTS,
            Some(Class::Conflict) => self.failed < CONFLICTS || in_time,
            _ => in_time,
        };
        if !fault.is_passing() || !goes_on {
            return Some(Err(fault.explain(&server.place(), self.doing, self.how == Begin::Write, waited)));
        }
        tracing::debug!(
            place = server.place(),
            doing = self.doing,
            failed = self.failed,
            ?fault,
            "trying again"
        );
        // A connection that had gone stale in the pool is replaced at once.
        if self.failed > 0 {
            tokio::time::sleep(pause(self.failed)).await;
        }
        self.failed += 1;
        None
    }
}

/// Twice as long each time, with a part of it by chance, so that rivals do not meet again.
fn pause(tries: u32) -> Duration {
    let full = PAUSE.0.saturating_mul(1 << tries.min(10)).min(PAUSE.1);
    let chance = u32::from(uuid::Uuid::now_v7().as_bytes()[15]);
    full / 2 + full * chance / 512
}
