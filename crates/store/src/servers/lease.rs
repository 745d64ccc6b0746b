//! Leases. They go by the clock of the database server, which all jobs share.

use std::time::Duration;

use kline::Millis;

use super::engine::{Session, Upsert};
use super::fail::Step;
use super::read::key;
use super::value::{Cells, Value, values};
use crate::leases::{expiry, may_take_over};
use crate::{Lease, StoreError};

/// A text that is like no other.
pub(super) fn token() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// Takes the lease unless one is running; that of the owner `dead`, and that of `wanted` itself (taken by an earlier
/// try whose answer was lost), do not count.
pub(super) async fn acquire<S: Session>(
    session: &mut S,
    wanted: &Lease,
    dead: Option<&str>,
    ttl: Duration,
) -> Step<()> {
    let (market, symbol, period) = key(&wanted.series);
    // A row to lock, expired from the beginning: of two that come first at the same time one has to wait.
    let seat = S::upsert(&Upsert {
        table: "kline_leases",
        columns: &["market", "symbol", "period", "owner", "token", "chunk", "expires"],
        key: &["market", "symbol", "period"],
        update: &[],
        clear: &[],
        rows: 1,
    });
    session.execute(&seat, values![market, symbol, period, "", "", "", 0]).await?;
    let held = session
        .query_one(
            &format!(
                "SELECT owner, token, expires, {} FROM kline_leases \
                 WHERE market = ? AND symbol = ? AND period = ? FOR UPDATE",
                S::NOW
            ),
            values![market, symbol, period],
        )
        .await?;
    let Some(held) = held else {
        let what = "a lease vanished while it was locked".into();
        return Err(StoreError::Corrupt { place: "table kline_leases".into(), what }.into());
    };
    let (owner, token) = (held.text(0)?, held.text(1)?);
    let (until, now) = (Millis(held.int(2)?), Millis(held.int(3)?));
    if token != wanted.token && dead != Some(owner.as_str()) && !may_take_over(until, now) {
        return Err(StoreError::Leased { series: wanted.series.clone(), owner, until }.into());
    }
    session
        .execute(
            "UPDATE kline_leases SET owner = ?, token = ?, chunk = '', expires = ? \
             WHERE market = ? AND symbol = ? AND period = ?",
            values![&wanted.owner, &wanted.token, expiry(now, ttl).0, market, symbol, period],
        )
        .await?;
    Ok(())
}

pub(super) async fn renew<S: Session>(session: &mut S, lease: &Lease, ttl: Duration) -> Step<()> {
    let (market, symbol, period) = key(&lease.series);
    // The sum is done here, because a clock near the end of time must not overflow there.
    let now = now(session).await?;
    let found = session
        .execute(
            "UPDATE kline_leases SET expires = ? WHERE market = ? AND symbol = ? AND period = ? AND token = ?",
            values![expiry(now, ttl).0, market, symbol, period, &lease.token],
        )
        .await?;
    if found == 0 { Err(lost(lease).into()) } else { Ok(()) }
}

/// The server's clock.
pub(super) async fn now<S: Session>(session: &mut S) -> Step<Millis> {
    let row = session.query_one(&format!("SELECT {}", S::NOW), &[]).await?;
    row.map_or(Ok(Millis(0)), |row| Ok(Millis(row.int(0)?)))
}

pub(super) async fn release<S: Session>(session: &mut S, lease: &Lease) -> Step<()> {
    let (market, symbol, period) = key(&lease.series);
    session
        .execute(
            "DELETE FROM kline_leases WHERE market = ? AND symbol = ? AND period = ? AND token = ?",
            values![market, symbol, period, &lease.token],
        )
        .await?;
    Ok(())
}

/// Refuses to go on when somebody took the lease over, or gave it back; keeps others from doing so until the
/// transaction ends.
pub(super) async fn verify<S: Session>(session: &mut S, lease: &Lease) -> Step<()> {
    held(session, lease).await.map(drop)
}

/// As [`verify`], and notes which chunk is being written, so that a repeat after a lost answer knows whether the first
/// try was committed. Says whether `chunk` was noted already.
pub(super) async fn stamp<S: Session>(session: &mut S, lease: &Lease, chunk: &str) -> Step<bool> {
    if held(session, lease).await? == chunk {
        return Ok(true);
    }
    let (market, symbol, period) = key(&lease.series);
    session
        .execute(
            "UPDATE kline_leases SET chunk = ? WHERE market = ? AND symbol = ? AND period = ?",
            values![chunk, market, symbol, period],
        )
        .await?;
    Ok(false)
}

/// The chunk noted last, if the lease is still held.
async fn held<S: Session>(session: &mut S, lease: &Lease) -> Step<String> {
    let (market, symbol, period) = key(&lease.series);
    let values: &[Value<'_>] = values![market, symbol, period, &lease.token];
    let row = session
        .query_one(
            "SELECT chunk FROM kline_leases WHERE market = ? AND symbol = ? AND period = ? AND token = ? FOR UPDATE",
            values,
        )
        .await?;
    row.ok_or_else(|| lost(lease))?.text(0)
}

fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { series: lease.series.clone() }
}
