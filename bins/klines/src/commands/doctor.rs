//! `klines doctor`: can everything that the configuration names be reached, and if not, why most likely?
//!
//! [`plan`] says what there is to check, [`round`] checks all of it once: names and connections ([`net`], [`dns`]), then
//! one harmless operation each ([`operations`]). What comes out is a list of [`Check`]s, which [`report`] shows.

mod check;
mod dns;
mod net;
mod operations;
mod plan;
mod pod;
mod report;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use self::check::Check;
use self::plan::Plan;
use self::pod::Pod;
use crate::args::{DoctorArgs, OutputFormat};
use crate::error::{CliError, exit};
use crate::settings::{Settings, parse_duration};
use crate::ui;

/// Pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);

/// Checks everything, again and again while it may wait, and tells what the last round found.
pub async fn run(settings: &Settings, args: &DoctorArgs) -> Result<ExitCode, CliError> {
    let output = settings.output()?;
    let plan = Plan::of(settings)?;
    let pod = Pod::of_this_process();
    let wait = match args.wait.as_deref().map(parse_duration).transpose() {
        Ok(wait) => wait.unwrap_or_default(),
        Err(why) => return Err(CliError::usage(format!("--wait: {why}"))),
    };
    let until = Instant::now() + wait;
    let mut told = String::new();
    let checks = loop {
        let checks = round(&plan, &pod).await;
        let Some(failed) = checks.iter().find(|check| check.counts(args.strict)) else {
            break checks;
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break checks;
        }
        let now = format!("waiting for {}: {}", failed.target, failed.error().unwrap_or_default());
        if now != told {
            ui::note(&now);
            told = now;
        }
        tokio::time::sleep(PAUSE.min(left)).await;
    };
    let ok = !checks.iter().any(|check| check.counts(args.strict));
    match output {
        OutputFormat::Json => ui::out(&format!("{:#}\n", report::json(&checks, ok, pod.as_ref())))?,
        OutputFormat::Human => {
            ui::out(&report::human(&checks, ok, pod.as_ref(), &dns::system_servers(), ui::Style::stdout()))?;
        }
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

/// Checks everything once; the kinds side by side, so that one that hangs does not hold up the others.
async fn round(plan: &Plan, pod: &Option<Pod>) -> Vec<Check> {
    let pod = pod.as_ref();
    let all = tokio::join!(
        dns::check(plan.name_to_ask(), dns::system_servers(), pod),
        operations::exchange::check(plan, pod),
        operations::store::check(plan, pod),
        operations::nats::check(plan, pod),
        operations::otlp::check(plan, pod),
    );
    [all.0, all.1, all.2, all.3, all.4].concat()
}
