//! Leases.

use std::time::Duration;

use kline::{Millis, Series};
use rusqlite::{Connection, OptionalExtension};

use super::fail::Step;
use super::read::key;
use crate::leases::{expiry, may_take_over};
use crate::{Lease, StoreError};

/// Takes the lease unless one is running; that of the owner `dead` does not count.
pub(super) fn acquire(
    conn: &Connection,
    series: Series,
    owner: String,
    dead: Option<&str>,
    ttl: Duration,
    now: Millis,
) -> Step<Lease> {
    let (market, symbol, interval) = key(&series);
    let held: Option<(String, i64)> = conn
        .prepare_cached(
            "SELECT owner, expires FROM kline_leases WHERE market = ?1 AND symbol = ?2 AND interval = ?3",
        )?
        .query_row((market, symbol, interval), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((owner, until)) = held
        && dead != Some(owner.as_str())
        && !may_take_over(Millis(until), now)
    {
        return Err(StoreError::Leased { series, owner, until: Millis(until) }.into());
    }
    let token: String = conn
        .prepare_cached(
            "INSERT OR REPLACE INTO kline_leases (market, symbol, interval, owner, token, expires) \
             VALUES (?1, ?2, ?3, ?4, lower(hex(randomblob(16))), ?5) RETURNING token",
        )?
        .query_row((market, symbol, interval, &owner, expiry(now, ttl).0), |row| row.get(0))?;
    Ok(Lease { series, owner, token })
}

pub(super) fn renew(conn: &Connection, lease: &Lease, ttl: Duration, now: Millis) -> Step<()> {
    let (market, symbol, interval) = key(&lease.series);
    let changed = conn
        .prepare_cached(
            "UPDATE kline_leases SET expires = ?5 \
             WHERE market = ?1 AND symbol = ?2 AND interval = ?3 AND token = ?4",
        )?
        .execute((market, symbol, interval, &lease.token, expiry(now, ttl).0))?;
    if changed == 0 { Err(lost(lease).into()) } else { Ok(()) }
}

pub(super) fn release(conn: &Connection, lease: &Lease) -> Step<()> {
    let (market, symbol, interval) = key(&lease.series);
    conn.prepare_cached(
        "DELETE FROM kline_leases WHERE market = ?1 AND symbol = ?2 AND interval = ?3 AND token = ?4",
    )?
    .execute((market, symbol, interval, &lease.token))?;
    Ok(())
}

/// Refuses to go on when somebody took the lease over, or gave it back. To be called inside the transaction that
/// writes.
pub(super) fn verify(conn: &Connection, lease: &Lease) -> Step<()> {
    let (market, symbol, interval) = key(&lease.series);
    let held = conn
        .prepare_cached(
            "SELECT 1 FROM kline_leases WHERE market = ?1 AND symbol = ?2 AND interval = ?3 AND token = ?4",
        )?
        .exists((market, symbol, interval, &lease.token))?;
    if held { Ok(()) } else { Err(lost(lease).into()) }
}

fn lost(lease: &Lease) -> StoreError {
    StoreError::LeaseLost { series: lease.series.clone() }
}
