//! How long `netpol check` takes on 1,000 manifests: reading, every rule, and the report. `cargo bench -p netpol --bench check`.
//! The figure is the best of several rounds, on the clock: reading and judging use all processors.
//! `-- --write DIR` writes the manifests out instead, to measure `netpol check DIR` as a process.

#[path = "scale/generator.rs"]
#[allow(dead_code, reason = "the other benchmark uses the rest")]
mod generator;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use netpol::findings::Severity;
use netpol::needs::NeedsFile;
use netpol::rules::{self, CheckOptions};
use netpol::{Input, Model, Options, SourceFile, render};

fn main() -> io::Result<()> {
    let files = generator::repository(1_000);
    let mut arguments = std::env::args().skip_while(|argument| argument != "--write").skip(1);
    if let Some(folder) = arguments.next() {
        return write_files(&files, Path::new(&folder));
    }
    let (options, check, needs) = (Options::default(), CheckOptions::default(), NeedsFile::default());
    let mut least = [Duration::MAX; 3];
    let mut findings = 0;
    for _ in 0..20 {
        let copy = files.clone();
        let start = now();
        let input = Input::parse(copy);
        let read = now();
        let model = Model::new(&input, &options);
        let report = rules::check(&model, &needs, &check);
        let checked = now();
        let least_shown = Severity::Info;
        let context = render::Context {
            input: &input,
            options: &options,
            report: &report,
            checked_files: files.len(),
            evidence: false,
            least: least_shown,
        };
        let text = render::human(&context, false);
        let end = now();
        findings = report.findings.len();
        std::hint::black_box(text.len());
        for (best, took) in least.iter_mut().zip([read - start, checked - read, end - checked]) {
            *best = (*best).min(took);
        }
    }
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let all: Duration = least.iter().sum();
    writeln!(
        io::stdout().lock(),
        "1,000 manifests: read {:.1} ms, {} rules {:.1} ms ({findings} findings), report {:.1} ms; together {:.1} ms",
        millis(least[0]),
        rules::ALL.len(),
        millis(least[1]),
        millis(least[2]),
        millis(all),
    )
}

/// Writes the manifests out, for measuring the program as a process.
fn write_files(files: &[SourceFile], folder: &Path) -> io::Result<()> {
    for file in files {
        let path = folder.join(file.name());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, file.text())?;
    }
    writeln!(io::stdout().lock(), "{} manifests in {}", files.len(), folder.display())
}

/// Time since the first call.
fn now() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}
