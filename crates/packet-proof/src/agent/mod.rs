//! The process inside one namespace: runs the servers of its node and tries what it is told to.
//!
//! It reads one line with the [`Node`], answers `ready`, and then answers each line with a list of [`Order`]s by
//! one line with a list of [`Outcome`]s. It ends when its input ends, so that it never outlives the world.

mod dns;
mod probe;
mod sctp;
mod serve;

use std::io::{BufRead, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::plan::{Node, Outcome, Probe};

/// Most attempts at the same time.
const PARALLEL: usize = 48;

/// A probe and the local port to try it from. Every attempt of a run has a port of its own: the router remembers
/// flows, and an old one must not let a new attempt through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) probe: Probe,
    pub(crate) local_port: u16,
}

/// Runs until the input ends.
pub(crate) fn run(input: impl BufRead, mut output: impl Write) -> std::io::Result<()> {
    let mut lines = input.lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let node: Node = serde_json::from_str(&first?)?;
    serve::start(&node)?;
    writeln!(output, "ready")?;
    output.flush()?;
    for line in lines {
        let orders: Vec<Order> = serde_json::from_str(&line?)?;
        serde_json::to_writer(&mut output, &attempt_all(&node, &orders))?;
        writeln!(output)?;
        output.flush()?;
    }
    Ok(())
}

fn attempt_all(node: &Node, orders: &[Order]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![None; orders.len()]);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(orders.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(order) = orders.get(index) else { return };
                    let outcome = probe::attempt(node, order);
                    if let Ok(mut done) = done.lock() {
                        done[index] = Some(outcome);
                    }
                }
            });
        }
    });
    let lost = || Outcome::Failed { reason: "the attempt was lost".to_owned() };
    let done = done.into_inner().unwrap_or_default();
    done.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()
}
