//! Settings that say whether something is used at all: `NATS_ENABLED`, `ENABLE_OTEL`, `DB_ADAPTER`.

use super::env::{Value, Variable};
use super::service::{self, Service};

/// A setting made by a flag (`--db-adapter=mysql`) counts as a variable `DB_ADAPTER`.
pub(super) struct Settings<'a> {
    pub(super) variables: &'a [Variable<'a>],
    pub(super) flags: &'a [(String, String)],
}

/// What an adapter setting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adapter {
    /// There is none.
    Absent,
    /// There is one, its value is not known.
    Hidden,
    /// This service is used; `None` for one that needs no network.
    Chosen(Option<&'static Service>),
}

impl Settings<'_> {
    fn known(&self, name: &str) -> Option<&str> {
        let flag = self.flags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        flag.or_else(|| {
            self.variables.iter().find(|variable| variable.name == name).and_then(|variable| match &variable
                .value
            {
                Value::Known(value) => Some(value.as_str()),
                _ => None,
            })
        })
    }

    /// Whether a setting switches off what a variable is for: `NATS_ENABLED=false` and `ENABLE_NATS=0` switch off
    /// `NATS_URL`.
    pub(super) fn switched_off(&self, key: &str) -> bool {
        let words: Vec<&str> = key.split('_').collect();
        for count in 1..words.len() {
            let prefix = words.get(..count).unwrap_or_default().join("_");
            let names = [
                format!("{prefix}_ENABLED"),
                format!("{prefix}_ENABLE"),
                format!("ENABLE_{prefix}"),
                format!("USE_{prefix}"),
            ];
            if names.iter().any(|name| self.known(name).is_some_and(is_false)) {
                return true;
            }
            if self.known(&format!("{prefix}_DISABLED")).is_some_and(is_true) {
                return true;
            }
        }
        key.starts_with("OTEL_")
            && (self.known("OTEL_SDK_DISABLED").is_some_and(is_true)
                || ["TRACES", "METRICS", "LOGS"]
                    .iter()
                    .all(|signal| self.known(&format!("OTEL_{signal}_EXPORTER")) == Some("none")))
    }

    /// The adapter setting.
    pub(super) fn adapter(&self) -> Adapter {
        const NAMES: [&str; 8] = [
            "DB_ADAPTER",
            "DATABASE_ADAPTER",
            "DB_TYPE",
            "DATABASE_TYPE",
            "DB_ENGINE",
            "DB_DRIVER",
            "DB_BACKEND",
            "STORAGE_BACKEND",
        ];
        for name in NAMES {
            if let Some(value) = self.known(name)
                && !super::env::is_partial(value)
            {
                let chosen = service::by_adapter(value);
                let local = value.to_ascii_lowercase().starts_with("sqlite");
                return if chosen.is_some() || local { Adapter::Chosen(chosen) } else { Adapter::Hidden };
            }
            if self.variables.iter().any(|variable| variable.name == name) {
                return Adapter::Hidden;
            }
        }
        Adapter::Absent
    }

    /// The port that a sibling variable names: `REDIS_PORT` for `REDIS_HOST`.
    pub(super) fn sibling_port(&self, key: &str) -> Option<u16> {
        let stem = ["HOSTNAME", "HOST", "ADDRESS", "ADDR", "SERVER", "ENDPOINT", "SERVICE"]
            .iter()
            .find_map(|suffix| key.strip_suffix(suffix))?;
        self.known(&format!("{stem}PORT"))?.trim().parse().ok().filter(|port| *port != 0)
    }

    /// The port of OTLP by the protocol that is set: 4318 for HTTP, else 4317.
    pub(super) fn otlp_port(&self, key: &str) -> u16 {
        let signal = key.strip_suffix("ENDPOINT").unwrap_or(key);
        let protocol = self
            .known(&format!("{signal}PROTOCOL"))
            .or_else(|| self.known("OTEL_EXPORTER_OTLP_PROTOCOL"))
            .unwrap_or("grpc");
        if protocol.starts_with("http") { 4318 } else { 4317 }
    }
}

fn is_false(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "false" | "0" | "no" | "off" | "disabled")
}

fn is_true(value: &str) -> bool {
    matches!(value.trim().to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
}
