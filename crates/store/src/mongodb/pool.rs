//! The client, and operations that are tried again when what stopped them passes.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::mongodb::bson::raw::RawDocumentBuf;
use ::mongodb::bson::{Bson, Document, doc};
use ::mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;
use ::mongodb::options::{FindOptions, Hint, ReadConcern, ReturnDocument, UpdateModifications};
use ::mongodb::{Client, ClientSession, Collection, Database};

use super::fail::{Class, Fault, Step};
use super::url::Deployment;
use crate::{StoreError, StoreResult};

/// How long an operation is tried again while the server is away.
const RETRY: Duration = Duration::from_secs(60);
/// How long one try may take: a server that hangs is as good as away.
const TRY: Duration = Duration::from_secs(120);
/// How long the end waits for running operations.
const END: Duration = Duration::from_secs(10);
/// First and longest pause before an operation is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// Conflicts with other transactions that are borne without looking at the time.
const CONFLICTS: u32 = 20;
/// Statements of one command; a server takes a hundred times as many.
const STATEMENTS: usize = 1000;

/// How an operation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Changes nothing.
    Read,
    /// Changes documents one by one.
    Write,
    /// In one transaction, where the deployment has them; otherwise as [`How::Write`].
    Transaction,
}

/// The client of one store.
#[derive(Debug)]
pub(super) struct Pool {
    client: Client,
    database: String,
    place: String,
    read_only: bool,
    transactions: bool,
    closed: AtomicBool,
}

impl Pool {
    /// Connects, and finds out what the deployment can.
    pub(super) async fn connect(to: Deployment, read_only: bool) -> StoreResult<Self> {
        let Deployment { place, database, options } = to;
        let started = Instant::now();
        let hello = async {
            let client = Client::with_options(options)?;
            let hello = client.database(&database).run_command(doc! { "hello": 1 }).await?;
            Ok::<_, ::mongodb::error::Error>((client, hello))
        };
        let (client, hello) = hello.await.map_err(|error| match Fault::from(error) {
            Fault::Mongo(Class::Lost, source) => StoreError::Open { place: place.clone(), source },
            other => other.explain(&place, "connecting", false, started.elapsed()),
        })?;
        let transactions =
            hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        tracing::debug!(place, transactions, "connected");
        Ok(Self { client, database, place, read_only, transactions, closed: AtomicBool::new(false) })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Whether a chunk commits in a transaction.
    pub(super) fn has_transactions(&self) -> bool {
        self.transactions
    }

    /// The tries of one operation. `doing` completes "… failed".
    pub(super) fn tries<'a>(&'a self, how: How, doing: &'a str) -> Tries<'a> {
        Tries { pool: self, how, doing, started: Instant::now(), failed: 0 }
    }

    /// Ends the client. Later calls fail.
    pub(super) async fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            let _ = tokio::time::timeout(END, self.client.clone().shutdown()).await;
        }
    }
}

/// Does work, again from its beginning when it met a passing trouble: it must be harmless to repeat, also after a try that
/// was committed and only the answer got lost.
///
/// `tx` in the work is the try; the work is an expression of type [`Step`]. (A function that takes the work as an
/// asynchronous closure would be nicer, but the compiler cannot yet see that its future is `Send`.)
macro_rules! operation {
    ($pool:expr, $how:ident, $doing:expr, $tx:ident => $work:expr) => {{
        let mut tries = $pool.tries($crate::mongodb::pool::How::$how, $doing);
        loop {
            let one = async {
                let mut tx = tries.begin().await?;
                let $tx = &mut tx;
                let result = $work;
                tx.end(result).await
            };
            let result = $crate::mongodb::pool::in_time(one).await;
            if let Some(result) = tries.judge(result).await {
                break result;
            }
        }
    }};
}
pub(super) use operation;

/// One try, for as long as one may take.
pub(super) async fn in_time<T>(one: impl Future<Output = Step<T>>) -> Step<T> {
    match tokio::time::timeout(TRY, one).await {
        Ok(result) => result,
        Err(_) => Err(Fault::Mongo(Class::Lost, format!("no answer for {} s", TRY.as_secs()).into())),
    }
}

/// The tries of one operation.
pub(super) struct Tries<'a> {
    pool: &'a Pool,
    how: How,
    doing: &'a str,
    started: Instant,
    failed: u32,
}

impl Tries<'_> {
    /// Begins a try.
    pub(super) async fn begin(&self) -> Step<Tx> {
        let pool = self.pool;
        if pool.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed { place: pool.place.clone() }.into());
        }
        if pool.read_only && self.how != How::Read {
            let source = "the store was opened for reading only".into();
            return Err(StoreError::ReadOnly { place: pool.place.clone(), source }.into());
        }
        let mut session = pool.client.start_session().await?;
        let transactional = pool.transactions && self.how == How::Transaction;
        if transactional {
            session.start_transaction().read_concern(ReadConcern::snapshot()).await?;
        }
        Ok(Tx { database: pool.client.database(&pool.database), session, transactional })
    }

    /// What the operation came to, or `None` after a pause when it is to be tried again.
    pub(super) async fn judge<T>(&mut self, result: Step<T>) -> Option<StoreResult<T>> {
        let fault = match result {
            Ok(value) => return Some(Ok(value)),
            Err(fault) => fault,
        };
        let (pool, waited) = (self.pool, self.started.elapsed());
        let goes_on = match fault.class() {
            Some(Class::Duplicate) => self.failed < CONFLICTS,
            Some(Class::Conflict) => self.failed < CONFLICTS || waited < RETRY,
            _ => waited < RETRY,
        };
        if !fault.is_passing() || !goes_on {
            return Some(Err(fault.explain(&pool.place, self.doing, self.how != How::Read, waited)));
        }
        tracing::debug!(place = pool.place, doing = self.doing, failed = self.failed, ?fault, "trying again");
        tokio::time::sleep(pause(self.failed)).await;
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

/// One try of an operation: a session, perhaps in a transaction.
pub(super) struct Tx {
    database: Database,
    session: ClientSession,
    transactional: bool,
}

impl Tx {
    /// Whether everything so far can still be undone.
    pub(super) fn is_transactional(&self) -> bool {
        self.transactional
    }

    fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }

    /// Makes a try that succeeded last, and undoes one that did not.
    pub(super) async fn end<T>(mut self, result: Step<T>) -> Step<T> {
        if self.transactional {
            match &result {
                Ok(_) => self.commit().await?,
                // If this fails, the server does so by itself.
                Err(_) => drop(self.session.abort_transaction().await),
            }
        }
        result
    }

    async fn commit(&mut self) -> Step<()> {
        let mut tries = 0;
        loop {
            match self.session.commit_transaction().await {
                Ok(()) => return Ok(()),
                // To ask again is safe: the server knows the transaction by its number.
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && tries < 3 => {
                    tries += 1
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Documents that match.
    pub(super) async fn find(
        &mut self,
        name: &str,
        filter: Document,
        options: impl Into<Option<FindOptions>>,
    ) -> Step<Vec<RawDocumentBuf>> {
        let find = self.collection::<RawDocumentBuf>(name);
        let mut cursor = find.find(filter).with_options(options).session(&mut self.session).await?;
        let mut found = Vec::new();
        while cursor.advance(&mut self.session).await? {
            found.push(cursor.current().to_owned());
        }
        Ok(found)
    }

    /// As [`find`](Self::find), for small documents of the store's own.
    pub(super) async fn documents(
        &mut self,
        name: &str,
        filter: Document,
        options: impl Into<Option<FindOptions>>,
    ) -> Step<Vec<Document>> {
        let found = self.find(name, filter, options).await?;
        found.iter().map(|raw| Document::try_from(&**raw).map_err(|e| super::doc::corrupt(name, e))).collect()
    }

    /// The first document that matches.
    pub(super) async fn first(
        &mut self,
        name: &str,
        filter: Document,
        options: FindOptions,
    ) -> Step<Option<Document>> {
        let mut options = options;
        options.limit = Some(1);
        Ok(self.documents(name, filter, options).await?.into_iter().next())
    }

    pub(super) async fn aggregate(
        &mut self,
        name: &str,
        pipeline: Vec<Document>,
        hint: Option<&str>,
    ) -> Step<Vec<Document>> {
        let hint = hint.map(|name| Hint::Name(name.to_owned()));
        let from = self.collection::<Document>(name);
        let mut aggregate = from.aggregate(pipeline);
        if let Some(hint) = hint {
            aggregate = aggregate.hint(hint);
        }
        let mut cursor = aggregate.session(&mut self.session).await?;
        let mut found = Vec::new();
        while let Some(document) = cursor.next(&mut self.session).await {
            found.push(document?);
        }
        Ok(found)
    }

    /// Documents of a whole collection by the server's own statistics. Not for transactions.
    pub(super) async fn estimate(&mut self, name: &str) -> Step<u64> {
        Ok(self.collection::<Document>(name).estimated_document_count().await?)
    }

    pub(super) async fn insert(&mut self, name: &str, documents: &[RawDocumentBuf]) -> Step<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let to = self.collection::<RawDocumentBuf>(name);
        to.insert_many(documents).ordered(false).session(&mut self.session).await?;
        Ok(())
    }

    /// Update statements (`q`, `u`, `upsert`) of one collection, in as few commands as they fit.
    pub(super) async fn update(&mut self, name: &str, statements: Vec<Document>) -> Step<()> {
        self.batches("update", "updates", name, statements).await
    }

    /// Deletes what matches any of the filters.
    pub(super) async fn delete(&mut self, name: &str, filters: Vec<Document>) -> Step<()> {
        let statements = filters.into_iter().map(|q| doc! { "q": q, "limit": 0 }).collect();
        self.batches("delete", "deletes", name, statements).await
    }

    async fn batches(
        &mut self,
        command: &str,
        field: &str,
        name: &str,
        statements: Vec<Document>,
    ) -> Step<()> {
        for batch in statements.chunks(STATEMENTS) {
            let mut command = doc! { command: name, field: batch, "ordered": true };
            if !self.transactional
                && let Some(concern) = self.database.write_concern()
                && let Ok(concern) = ::mongodb::bson::serialize_to_bson(concern)
            {
                command.insert("writeConcern", concern);
            }
            let answer = self.database.run_command(command).session(&mut self.session).await?;
            let told = answer.get_array("writeErrors").ok().and_then(|errors| errors.first());
            let told = told.or_else(|| answer.get("writeConcernError")).and_then(Bson::as_document);
            if let Some(error) = told {
                return Err(Fault::coded(
                    error.get_i32("code").unwrap_or_default(),
                    error.get_str("errmsg").unwrap_or("a write was refused"),
                ));
            }
        }
        Ok(())
    }

    /// Updates one document and says whether it was found.
    pub(super) async fn update_one(
        &mut self,
        name: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Step<bool> {
        let to = self.collection::<Document>(name);
        let done = to.update_one(filter, update).session(&mut self.session).await?;
        Ok(done.matched_count > 0)
    }

    /// Makes or changes a document in one step outside of any transaction, and gives it back.
    pub(super) async fn upsert_alone(
        &mut self,
        name: &str,
        filter: Document,
        update: impl Into<UpdateModifications>,
    ) -> Step<Document> {
        let to = self.collection::<Document>(name);
        let action =
            to.find_one_and_update(filter, update).upsert(true).return_document(ReturnDocument::After);
        action
            .await?
            .ok_or_else(|| super::doc::corrupt(name, "a document that is gone as soon as it was made"))
    }

    /// The next number of a sequence. Numbers may be left out, but grow.
    pub(super) async fn next(&mut self, sequence: &str) -> Step<i64> {
        let update = doc! { "$inc": { "last": 1_i64 } };
        let document = self.upsert_alone("kline_sequences", doc! { "_id": sequence }, update).await?;
        super::doc::Fields("kline_sequences", &document).int("last")
    }

    /// Runs a command of the database outside of any transaction.
    pub(super) async fn command(&mut self, command: Document) -> Step<Document> {
        Ok(self.database.run_command(command).await?)
    }
}
