//! Time and memory of the planner on large sets, and its weight beside the lower bound.
//!
//! `cargo bench -p binance`

use std::io::Write;
use std::time::Instant;

use binance::planner::{Prefer, Rules, Windows, lower_bound};
use kline::{Interval, Market, RangeSet, SlotRange};

/// Forgets the peak of memory so far, so that building the input does not hide what planning takes.
fn forget_peak() -> std::io::Result<()> {
    std::fs::write("/proc/self/clear_refs", "5")
}

/// Most memory this process held since then, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap_or("0");
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn scattered(slots: i64, spread: i64) -> RangeSet {
    let mut state = 88_172_645_463_325_252u64;
    let mut at = 0;
    let mut out = RangeSet::new();
    for _ in 0..slots {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        at += 2 + (state % (2 * spread) as u64) as i64;
        out.push_slot(at);
    }
    out
}

fn main() -> std::io::Result<()> {
    let rules = Rules::of(Market::Um, Interval::M1);
    let whole = |n| RangeSet::from(SlotRange::new(0, n));
    let cases = [
        ("10,000 scattered, 1 in 10", scattered(10_000, 8)),
        ("1,000,000 scattered, 1 in 10", scattered(1_000_000, 8)),
        ("1,000,000 scattered, 1 in 100", scattered(1_000_000, 98)),
        ("1,000,000 scattered, 1 in 1,000", scattered(1_000_000, 998)),
        ("10,000,000 in one run", whole(10_000_000)),
        ("10,000,000 scattered, 1 in 4", scattered(10_000_000, 2)),
    ];
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:32} {:>10} {:>12} {:>10} {:>9} {:>12}",
        "missing slots", "ms", "weight", "requests", "of bound", "extra KiB"
    )?;
    for (name, missing) in cases {
        forget_peak()?;
        let before = peak_kib();
        let begin = Instant::now();
        let (mut weight, mut requests) = (0, 0);
        for window in Windows::new(&missing, &rules, Prefer::Weight) {
            weight += u64::from(window.weight);
            requests += 1;
        }
        let (ms, extra) = (begin.elapsed().as_secs_f64() * 1000.0, peak_kib() - before);
        let ratio = weight as f64 / lower_bound(&missing, &rules) as f64;
        writeln!(out, "{name:32} {ms:>10.1} {weight:>12} {requests:>10} {ratio:>9.4} {extra:>12}")?;
    }
    Ok(())
}
