//! Leases, by the server's clock.
//!
//! `$$NOW` is that clock; times are compared as numbers.

use std::time::Duration;

use ::mongodb::bson::{Bson, DateTime, Document, doc};

use super::doc::{Fields, key};
use super::fail::Step;
use super::pool::Tx;
use crate::{Lease, StoreError};

const LEASES: &str = "kline_leases";

/// Without transactions, nobody takes a lease over for so long after its holder began to write. A commit asks again
/// before half of it is over.
pub(super) const GUARD: Duration = Duration::from_secs(60);

pub(super) fn token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

fn now_plus(duration: Duration) -> Document {
    doc! { "$add": [{ "$toLong": "$$NOW" }, ms(duration)] }
}

/// Takes the lease unless one is running; that of the owner `dead`, and that of `wanted` itself (taken by an earlier try)
/// do not count.
pub(super) async fn acquire(tx: &mut Tx, wanted: &Lease, dead: Option<&str>, ttl: Duration) -> Step<()> {
    let never = DateTime::from_millis(0);
    let mut free = vec![
        doc! { "$lte": [{ "$toLong": { "$ifNull": ["$expires", never] } }, { "$toLong": "$$NOW" }] },
        doc! { "$eq": ["$token", &wanted.token] },
    ];
    free.extend(dead.map(|dead| doc! { "$eq": ["$owner", { "$literal": dead }] }));
    let free = doc! { "$or": free };
    let choose = |new: Bson, old: &str| doc! { "$cond": [free.clone(), new, old] };
    let update = vec![doc! { "$set": {
        "owner": choose(doc! { "$literal": &wanted.owner }.into(), "$owner"),
        "token": choose(wanted.token.clone().into(), "$token"),
        "expires": choose(doc! { "$toDate": now_plus(ttl) }.into(), "$expires"),
    } }];
    let held = tx.upsert_alone(LEASES, doc! { "_id": key(&wanted.series) }, update).await?;
    let held = Fields(LEASES, &held);
    if held.text("token")? == wanted.token {
        return Ok(());
    }
    let (series, owner, until) = (wanted.series.clone(), held.text("owner")?.to_owned(), held.at("expires")?);
    Err(StoreError::Leased { series, owner, until }.into())
}

/// Extends the lease, however long it ran.
pub(super) async fn renew(tx: &mut Tx, lease: &Lease, ttl: Duration) -> Step<()> {
    let update = vec![doc! { "$set": { "expires": { "$toDate": now_plus(ttl) } } }];
    found(tx.update_one(LEASES, mine(lease), update).await?, lease)
}

pub(super) async fn release(tx: &mut Tx, lease: &Lease) -> Step<()> {
    tx.delete(LEASES, vec![mine(lease)]).await
}

/// Refuses to go on when somebody took the lease over, or it was given back. In a transaction, whoever takes it over from
/// now on makes the transaction fail, or waits for its end; without, nobody takes it over for [`GUARD`].
pub(super) async fn verify(tx: &mut Tx, lease: &Lease) -> Step<()> {
    let is_held = if tx.is_transactional() {
        tx.update_one(LEASES, mine(lease), doc! { "$set": { "written": token() } }).await?
    } else {
        let later = doc! { "$max": [{ "$toLong": "$expires" }, now_plus(GUARD)] };
        tx.update_one(LEASES, mine(lease), vec![doc! { "$set": { "expires": { "$toDate": later } } }]).await?
    };
    found(is_held, lease)
}

fn mine(lease: &Lease) -> Document {
    doc! { "_id": key(&lease.series), "token": &lease.token }
}

fn found(is_held: bool, lease: &Lease) -> Step<()> {
    if is_held { Ok(()) } else { Err(StoreError::LeaseLost { series: lease.series.clone() }.into()) }
}
