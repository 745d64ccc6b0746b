//! Settings: command line, then environment, then file, then defaults; every value knows where it came from.

mod file;
pub mod keys;
mod s3;
mod typed;

pub use typed::parse_duration;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::args::Global;
use crate::error::CliError;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(String),
    /// An environment variable.
    Env(String),
    /// `FILE:LINE:COLUMN`.
    File(String),
    /// Built in.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Env(name) => write!(f, "{name} (environment)"),
            Self::File(place) => f.write_str(place),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and its origin.
#[derive(Debug, Clone)]
pub struct Value {
    /// As text.
    pub text: String,
    /// Whence.
    pub origin: Origin,
}

/// All settings.
pub struct Settings {
    values: BTreeMap<&'static str, Value>,
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
}

/// What the command line says: key and value.
pub type Flags = Vec<(&'static str, Option<String>)>;

impl Settings {
    /// Merges all layers.
    pub fn load(global: &Global, flags: Flags) -> Result<Self, CliError> {
        Self::load_from(global, flags, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// As [`load`](Self::load), with an environment of the caller's.
    pub fn load_from(
        global: &Global,
        flags: Flags,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let mut values = BTreeMap::new();
        for key in keys::ALL {
            if let Some(default) = key.default {
                values.insert(key.name, Value { text: default.into(), origin: Origin::Default });
            }
        }
        let file = config_path(global, env);
        if let Some(path) = &file {
            values.extend(file::read(path)?);
        }
        for key in keys::ALL {
            if let Some((name, text)) = key.env.iter().find_map(|name| Some((*name, env(name)?))) {
                values.insert(key.name, Value { text, origin: Origin::Env(name.into()) });
            }
        }
        let named = global.store.is_some()
            || matches!(values.get(keys::STORE), Some(Value { origin: Origin::Env(_), .. }));
        if !named && let Some(value) = keys::store_of_adapter(env)? {
            values.insert(keys::STORE, value);
        }
        let of_globals = [
            (keys::STORE, global.store.clone()),
            (keys::OUTPUT, global.output.map(|f| format!("{f:?}").to_lowercase())),
            (keys::LOG_LEVEL, global.log_level.clone()),
            (keys::LOG_FORMAT, global.log_format.clone()),
        ];
        for (name, text) in of_globals.into_iter().chain(flags) {
            if let Some(text) = text {
                values.insert(name, Value { text, origin: Origin::Flag(keys::flag_of(name)) });
            }
        }
        Ok(Self { values, file })
    }

    /// A value, if set anywhere.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Every value, by key.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }
}

fn config_path(global: &Global, env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let named = global.config.clone().or_else(|| env("KLINES_CONFIG").map(PathBuf::from));
    named.or_else(|| Some(PathBuf::from("klines.toml")).filter(|path| Path::exists(path)))
}
