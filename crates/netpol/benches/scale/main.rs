//! How long reading and evaluating takes, and how much memory: `cargo bench -p netpol`.
//!
//! Two inputs, both made up here: a repository of 1,000 manifests, as `netpol check` meets it, and a cluster of
//! 10,000 pods under 5,000 policies, as an audit of a large cluster meets it. Each figure is the best of several
//! rounds, on the clock (files are read on all processors); memory is the peak of the whole process so far.

mod generator;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use netpol::object::Protocol;
use netpol::{Input, Model, Options, Peer, Target, Verdict};

fn main() -> io::Result<()> {
    let out = &mut io::stdout().lock();
    repository(out, 1_000)?;
    for (pods, policies) in [(1_000, 500), (10_000, 5_000)] {
        cluster(out, pods, policies)?;
    }
    Ok(())
}

/// Reads 1,000 files and asks, for every workload, for the resolver and for every Service it names.
fn repository(out: &mut impl Write, count: usize) -> io::Result<()> {
    let files = generator::repository(count);
    let bytes: usize = files.iter().map(|file| file.text().len()).sum();
    let (input, read) = best(10, || Input::parse(files.iter().cloned()));
    let options = Options::default();
    let (answers, judged) = best(10, || {
        let model = Model::new(&input, &options);
        let mut allowed = 0;
        for id in 0..input.workloads.len() {
            let from = Peer::Workload(id);
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                let answer = model.verdict(&from, &Target::Dns, protocol, 53);
                allowed += usize::from(answer.verdict == Verdict::Allowed);
            }
            for service in [id % input.services.len(), (id + 1) % input.services.len()] {
                let answer = model.verdict(&from, &Target::Service(service), Protocol::Tcp, 80);
                allowed += usize::from(answer.verdict == Verdict::Allowed);
            }
        }
        allowed
    });
    let (pairs, reached) = best(10, || Model::new(&input, &options).reach().pairs());
    writeln!(
        out,
        "{count} manifests ({} kB, {} workloads, {} policies, {} problems): read {}, {} questions judged {}, reach {} \
         ({pairs} pairs, {answers} allowed); together {}; peak {} MiB",
        bytes / 1024,
        input.workloads.len(),
        input.policies.len(),
        input.problems.len(),
        millis(read),
        input.workloads.len() * 4,
        millis(judged),
        millis(reached),
        millis(read + judged + reached),
        peak_mib(),
    )
}

/// Reads a whole cluster and computes every allowed connection.
fn cluster(out: &mut impl Write, pods: usize, policies: usize) -> io::Result<()> {
    let text = generator::cluster(pods, policies);
    let kilobytes = text.text().len() / 1024;
    let (input, read) = best(3, || Input::parse([text.clone()]));
    let before = peak_mib();
    let options = Options { complete: true, ..Options::default() };
    let ((classes, pairs), reached) = best(3, || {
        let model = Model::new(&input, &options);
        let reach = model.reach();
        (reach.classes().len(), reach.pairs())
    });
    writeln!(
        out,
        "{} pods x {} policies ({kilobytes} kB): read {}, all connections {} ({classes} classes, {pairs} pairs of \
         them connected); peak {before} MiB after reading, {} MiB at the end",
        input.workloads.len(),
        input.policies.len(),
        millis(read),
        millis(reached),
        peak_mib(),
    )
}

fn best<T>(rounds: u32, mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut least = Duration::MAX;
    let mut last = None;
    for _ in 0..rounds {
        let start = Instant::now();
        let value = std::hint::black_box(run());
        least = least.min(start.elapsed());
        last = Some(value);
    }
    let value = last.unwrap_or_else(run);
    (value, least)
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}

/// Peak resident memory of this process; 0 where the system does not tell.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
