//! Every setting by name: its environment variables and its default.

use super::{Origin, Value};
use crate::error::CliError;

/// One setting.
pub struct Key {
    /// Name in `klines.toml` (dots are tables) and in `klines config`.
    pub name: &'static str,
    /// Environment variables, the first that is set counts.
    pub env: &'static [&'static str],
    /// Value when nothing is said.
    pub default: Option<&'static str>,
}

pub const STORE: &str = "store";
pub const MARKET: &str = "market";
pub const SYMBOLS: &str = "symbols";
pub const INTERVALS: &str = "intervals";
pub const SINCE: &str = "since";
pub const UNTIL: &str = "until";
pub const LOOKBACK: &str = "lookback";
pub const OUTPUT: &str = "output";
pub const LOG_LEVEL: &str = "log.level";
pub const LOG_FORMAT: &str = "log.format";
pub const FUTURES_URL: &str = "binance.futures_url";
pub const COIN_URL: &str = "binance.coin_url";
pub const SPOT_URL: &str = "binance.spot_url";
pub const FUTURES_STREAM_URL: &str = "binance.futures_stream_url";
pub const COIN_STREAM_URL: &str = "binance.coin_stream_url";
pub const SPOT_STREAM_URL: &str = "binance.spot_stream_url";
pub const TIMEOUT: &str = "binance.timeout";
pub const IN_FLIGHT: &str = "binance.in_flight";
pub const RESERVE: &str = "binance.reserve";
pub const ARCHIVE_URL: &str = "binance.archive_url";
pub const ARCHIVE_LIST_URL: &str = "binance.archive_list_url";
pub const ARCHIVE_CACHE: &str = "binance.archive_cache";
pub const ARCHIVE_CACHE_SIZE: &str = "binance.archive_cache_size";
pub const SOURCE: &str = "binance.source";
pub const PREFER: &str = "binance.prefer";
pub const SERIES_AT_ONCE: &str = "jobs.series_at_once";
pub const CHUNK: &str = "jobs.chunk";
pub const LEASE_WAIT: &str = "jobs.lease_wait";
pub const NATS_URL: &str = "nats.url";
pub const NATS_ENABLED: &str = "nats.enabled";
pub const NATS_PREFIX_GAP_FILLER: &str = "nats.prefix_gap_filler";
pub const NATS_PREFIX_PRODUCTION: &str = "nats.prefix_production";
pub const S3_KEY: &str = "s3.access_key_id";
pub const S3_SECRET: &str = "s3.secret_access_key";
pub const S3_TOKEN: &str = "s3.session_token";
pub const S3_REGION: &str = "s3.region";
pub const S3_ENDPOINT: &str = "s3.endpoint";
pub const SERVE_LISTEN: &str = "serve.listen";
pub const SERVE_TOKEN: &str = "serve.token";
pub const SERVE_ALLOW_HOST: &str = "serve.allow_host";

const fn key(name: &'static str, env: &'static [&'static str], default: Option<&'static str>) -> Key {
    Key { name, env, default }
}

/// All of them, in the order `klines config` shows.
pub const ALL: &[Key] = &[
    key(STORE, &["KLINES_STORE"], Some("sqlite://klines.db")),
    key(MARKET, &["KLINES_MARKET"], Some("um")),
    key(SYMBOLS, &["KLINES_SYMBOLS"], None),
    key(INTERVALS, &["KLINES_INTERVALS"], None),
    key(SINCE, &["KLINES_SINCE"], None),
    key(UNTIL, &[], None),
    key(LOOKBACK, &["KLINES_LOOKBACK"], None),
    key(FUTURES_URL, &["BINANCE_FUTURES_API_URL"], Some("https://fapi.binance.com")),
    key(COIN_URL, &["BINANCE_COIN_API_URL"], Some("https://dapi.binance.com")),
    key(SPOT_URL, &["BINANCE_API_URL"], Some("https://api.binance.com")),
    key(SOURCE, &["KLINES_SOURCE"], Some("rest")),
    key(ARCHIVE_URL, &["BINANCE_ARCHIVE_URL"], Some("https://data.binance.vision")),
    key(
        ARCHIVE_LIST_URL,
        &["BINANCE_ARCHIVE_LIST_URL"],
        Some("https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"),
    ),
    key(ARCHIVE_CACHE, &["KLINES_ARCHIVE_CACHE"], None),
    key(ARCHIVE_CACHE_SIZE, &["KLINES_ARCHIVE_CACHE_SIZE"], Some("10g")),
    key(FUTURES_STREAM_URL, &["BINANCE_FUTURES_STREAM_URL"], Some("wss://fstream.binance.com/market")),
    key(COIN_STREAM_URL, &["BINANCE_COIN_STREAM_URL"], Some("wss://dstream.binance.com")),
    key(SPOT_STREAM_URL, &["BINANCE_STREAM_URL"], Some("wss://stream.binance.com:9443")),
    key(TIMEOUT, &["BINANCE_TIMEOUT"], Some("10s")),
    key(IN_FLIGHT, &["BINANCE_IN_FLIGHT"], Some("6")),
    key(RESERVE, &["BINANCE_RESERVE"], Some("10")),
    key(PREFER, &["BINANCE_PREFER"], Some("auto")),
    key(SERIES_AT_ONCE, &["KLINES_SERIES_AT_ONCE"], Some("4")),
    key(CHUNK, &["KLINES_CHUNK"], Some("10000")),
    key(LEASE_WAIT, &["KLINES_LEASE_WAIT"], Some("90s")),
    key(NATS_URL, &["NATS_URL"], None),
    key(NATS_ENABLED, &["NATS_ENABLED"], None),
    key(NATS_PREFIX_GAP_FILLER, &["NATS_SUBJECT_PREFIX_GAP_FILLER"], Some("binance.extraction.gap-filler")),
    key(NATS_PREFIX_PRODUCTION, &["NATS_SUBJECT_PREFIX_PRODUCTION"], Some("binance.extraction.production")),
    key(S3_KEY, &["AWS_ACCESS_KEY_ID"], None),
    key(S3_SECRET, &["AWS_SECRET_ACCESS_KEY"], None),
    key(S3_TOKEN, &["AWS_SESSION_TOKEN"], None),
    key(S3_REGION, &["AWS_REGION", "AWS_DEFAULT_REGION"], None),
    key(S3_ENDPOINT, &["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"], None),
    key(SERVE_LISTEN, &["KLINES_SERVE_LISTEN"], Some("127.0.0.1:8080")),
    key(SERVE_TOKEN, &["KLINES_SERVE_TOKEN"], None),
    key(SERVE_ALLOW_HOST, &["KLINES_SERVE_ALLOW_HOST"], None),
    key(OUTPUT, &["KLINES_OUTPUT"], Some("human")),
    key(LOG_LEVEL, &["LOG_LEVEL"], None),
    key(LOG_FORMAT, &["LOG_FORMAT"], Some("text")),
];

/// What opens doors, and is shown to nobody.
pub const SECRETS: &[&str] = &[SERVE_TOKEN, S3_SECRET, S3_TOKEN];

/// The flag that sets a key.
pub fn flag_of(name: &str) -> String {
    match name {
        LOG_LEVEL => "--log-level".into(),
        LOG_FORMAT => "--log-format".into(),
        name => format!("--{}", name.rsplit('.').next().unwrap_or(name).replace('_', "-")),
    }
}

/// The store of deployments that say `DB_ADAPTER=mysql` and `MYSQL_URI=…`; without `DB_ADAPTER` the one URI that is set.
pub fn store_of_adapter(env: &dyn Fn(&str) -> Option<String>) -> Result<Option<Value>, CliError> {
    const ADAPTERS: [(&str, &str); 3] =
        [("mysql", "MYSQL_URI"), ("postgresql", "POSTGRESQL_URI"), ("mongodb", "MONGODB_URI")];
    let value = |variable: &str, text: String, also: &str| Value {
        text,
        origin: Origin::Env(format!("{also}{variable}")),
    };
    if let Some(adapter) = env("DB_ADAPTER") {
        let wanted = match adapter.to_lowercase().as_str() {
            "postgres" => "postgresql".to_owned(),
            "mongo" => "mongodb".to_owned(),
            other => other.to_owned(),
        };
        let Some((_, variable)) = ADAPTERS.iter().find(|(name, _)| *name == wanted) else {
            return Err(CliError::Usage {
                message: format!("DB_ADAPTER (environment) is `{adapter}`: no such adapter"),
                hint: Some("use mysql, postgresql or mongodb, or set KLINES_STORE to a store URL".into()),
            });
        };
        let text = env(variable).ok_or_else(|| CliError::Usage {
            message: format!("DB_ADAPTER (environment) is `{adapter}`, but {variable} is not set"),
            hint: Some(format!("set {variable}, or KLINES_STORE to a store URL")),
        })?;
        return Ok(Some(value(variable, text, "DB_ADAPTER + ")));
    }
    let set: Vec<_> = ADAPTERS.iter().filter_map(|(_, variable)| Some((*variable, env(variable)?))).collect();
    match set.as_slice() {
        [] => Ok(None),
        [(variable, text)] => Ok(Some(value(variable, text.clone(), ""))),
        several => {
            let names: Vec<_> = several.iter().map(|(variable, _)| *variable).collect();
            Err(CliError::Usage {
                message: format!("{} are all set: which store is meant?", names.join(" and ")),
                hint: Some("say DB_ADAPTER=mysql, postgresql or mongodb, or set KLINES_STORE".into()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn every_setting_and_every_environment_variable_is_documented() {
        let text = include_str!("../../../../docs/configuration.md");
        for key in ALL {
            assert!(
                text.contains(&format!("| `{}` |", key.name)),
                "{} is not in docs/configuration.md",
                key.name
            );
            for name in key.env {
                assert!(text.contains(&format!("`{name}`")), "{name} is not in docs/configuration.md");
            }
        }
    }
}
