//! NATS: does it echo?

use std::time::{Duration, Instant};

use events::{EventsError, Publisher};
use pipeline::error::chain;

use crate::commands::doctor::check::{Check, Log, Trouble};
use crate::commands::doctor::net;
use crate::commands::doctor::plan::{Plan, nats_places};
use crate::commands::doctor::pod::Pod;

/// How long the echo of a message is waited for.
const ECHO: Duration = Duration::from_secs(5);

/// Checks NATS, if messages are wanted.
pub async fn check(plan: &Plan, pod: Option<&Pod>) -> Vec<Check> {
    if !plan.nats.is_on() {
        return Vec::new();
    }
    // Messages wait in the store when NATS is away, so jobs can do without.
    let mut log = Log::new("nats", plan.nats.names(), false);
    let mut is_reached = false;
    for place in nats_places(&plan.nats) {
        is_reached |= net::reach(&mut log, &place, pod).await.is_some();
    }
    if is_reached {
        let began = Instant::now();
        match echo(plan).await {
            Ok(found) => log.note("echo", began, Ok(found)),
            Err(error) => log.note(step_of(&error), began, Err(Trouble::new(chain(&error), error.hint()))),
        };
    }
    log.checks
}

async fn echo(plan: &Plan) -> Result<String, EventsError> {
    let publisher = Publisher::connect(&plan.nats).await?;
    let facts = publisher.facts(ECHO).await?;
    let jetstream = if facts.jetstream { "with" } else { "without" };
    Ok(format!("NATS {} {jetstream} JetStream", facts.version))
}

fn step_of(error: &EventsError) -> &'static str {
    match error {
        EventsError::Tls { .. } | EventsError::File { .. } => "tls",
        EventsError::LoginRefused { .. } => "login",
        EventsError::Unconfirmed { .. } => "echo",
        _ => "connect",
    }
}
