//! Who is at work on a series.
//!
//! A lease keeps two jobs from trampling each other. It expires by itself, but waiting for that after every crash would
//! be a nuisance, so an owner names its machine and process in a form that another process on the same machine can
//! check: if that process is gone, its lease is taken over at once.

use std::fs;
use std::time::Duration;

use kline::Series;
use store::{KlineStore, Lease, StoreError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::JobError;
use crate::event::{Event, Observer};

/// How often a busy lease is tried again.
const POLL: Duration = Duration::from_millis(500);

/// Identity of this process: `host pid N (machine.start)`. `machine` tells kernels and PID name spaces apart, `start` is
/// the process's start time, so that a recycled PID is not mistaken for its predecessor.
pub(crate) fn this_owner() -> String {
    let pid = std::process::id();
    let start = start_time(pid).unwrap_or_default();
    format!("{} pid {pid} ({}.{start})", host(), machine())
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into())
}

/// Boot id and PID name space; empty where the system does not tell.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").map(|p| p.display().to_string()).unwrap_or_default();
    let digits: String = space.chars().filter(char::is_ascii_digit).collect();
    match boot.trim().get(..8) {
        Some(boot) if !digits.is_empty() => format!("{boot}-{digits}"),
        _ => String::new(),
    }
}

/// Start time of a process in clock ticks since boot; `None` when it is gone (or the system does not tell).
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold blanks: count from the last bracket.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.to_owned();
    (!matches!(state, "Z" | "X")).then_some(start)
}

/// Whether an owner certainly runs no more: it was on this very machine, and its process is gone.
fn is_dead(owner: &str) -> bool {
    let Some((rest, mark)) = owner.rsplit_once(" (") else { return false };
    let Some((where_, start)) = mark.trim_end_matches(')').rsplit_once('.') else { return false };
    let pid = rest.rsplit_once(" pid ").and_then(|(_, pid)| pid.parse::<u32>().ok());
    let here = machine();
    match pid {
        Some(pid) if !here.is_empty() && where_ == here => start_time(pid).is_none_or(|now| now != start),
        _ => false,
    }
}

/// Takes the lease of a series; waits for another holder up to `wait`, or until told to stop.
pub(crate) async fn acquire<S: KlineStore>(
    store: &S,
    series: &Series,
    owner: &str,
    ttl: Duration,
    wait: Duration,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Lease, JobError> {
    let deadline = Instant::now() + wait;
    let mut told = false;
    loop {
        let busy = match store.acquire(series, owner, ttl).await {
            Err(StoreError::Leased { owner: other, .. }) if is_dead(&other) => {
                store.take_over(series, &other, owner, ttl).await
            }
            result => result,
        };
        match busy {
            Err(StoreError::Leased { owner: other, .. }) if Instant::now() < deadline => {
                if !told {
                    observer.event(&Event::WaitingForLease { series, owner: &other });
                    told = true;
                }
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = stop.cancelled() => return Err(JobError::Interrupted),
                }
            }
            result => return Ok(result?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_is_not_dead_and_a_gone_one_is() {
        let me = this_owner();
        assert!(!is_dead(&me), "{me}");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        let start = start_time(pid).unwrap_or_else(|| "1".into());
        child.wait().unwrap();
        let gone = format!("{} pid {pid} ({}.{start})", host(), machine());
        assert_eq!(is_dead(&gone), !machine().is_empty(), "{gone}");
    }

    #[test]
    fn an_owner_on_another_machine_is_never_called_dead() {
        for owner in ["other pid 4000000 (deadbeef-1.5)", "somebody", "x (y)", ""] {
            assert!(!is_dead(owner), "{owner}");
        }
    }

    #[test]
    fn a_recycled_process_id_does_not_keep_a_dead_lease_alive() {
        let recycled = format!("{} pid {} ({}.0)", host(), std::process::id(), machine());
        assert_eq!(is_dead(&recycled), !machine().is_empty());
    }
}
