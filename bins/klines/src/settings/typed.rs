//! Settings as values of their types. What is malformed is reported with the place it was said in.

use std::collections::HashSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use binance::archive::{Archive, ArchiveConfig, CacheConfig};
use binance::{ClientConfig, Endpoints};
use kline::{Interval, Market, Millis, Series, Symbol};
use pipeline::{FetchFrom, Lookback, PreferSetting, Since};

use super::{Origin, Settings, Value, keys};
use crate::args::OutputFormat;
use crate::error::CliError;

/// A positive length of time: `10s`, `90s`, `15m`, `12h`, `30d`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a length of time: write 500ms, 10s, 15m, 12h or 30d");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(unit_ms).map(Duration::from_millis).ok_or_else(bad)
}

impl Settings {
    /// Reads a value with a parser of the caller's; an error says where the value was given.
    fn read<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, CliError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        parse(value.text.trim())
            .map(Some)
            .map_err(|error| CliError::usage(format!("{}: {error}", value.origin)))
    }

    fn need<T, E: Display>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, CliError> {
        self.read(key, parse)?.ok_or_else(|| CliError::usage(format!("setting `{key}` has no value")))
    }

    fn number<T: FromStr + PartialOrd + Display + Copy>(
        &self,
        key: &str,
        from: T,
        to: T,
    ) -> Result<T, CliError> {
        self.need(key, |text| match text.parse::<T>() {
            Ok(number) if from <= number && number <= to => Ok(number),
            _ => Err(format!("`{text}` is not a whole number from {from} to {to}")),
        })
    }

    /// The store's URL.
    pub fn store_url(&self) -> Result<String, CliError> {
        self.need(keys::STORE, |text| Ok::<_, String>(text.to_owned()))
    }

    /// The market that jobs ask.
    pub fn market(&self) -> Result<Market, CliError> {
        self.need(keys::MARKET, str::parse::<Market>)
    }

    /// Form of results.
    pub fn output(&self) -> Result<OutputFormat, CliError> {
        self.need(keys::OUTPUT, |text| match text {
            "human" => Ok(OutputFormat::Human),
            "json" => Ok(OutputFormat::Json),
            other => Err(format!("unknown output `{other}`: use human or json")),
        })
    }

    /// The series named; `None` when neither symbols nor intervals are.
    pub fn series(&self) -> Result<Option<Vec<Series>>, CliError> {
        let symbols = self.read(keys::SYMBOLS, |text| list(text, Symbol::new))?;
        let intervals = self.intervals()?;
        let missing = |what: &str, flag: &str, env: &str, example: &str| CliError::Usage {
            message: format!("no {what} given"),
            hint: Some(format!("say {flag} {example}, set {env}, or write it into klines.toml")),
        };
        match (symbols, intervals) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(missing("symbols", "--symbols", "KLINES_SYMBOLS", "BTCUSDT,ETHUSDT")),
            (Some(_), None) => Err(missing("intervals", "--intervals", "KLINES_INTERVALS", "5m,1h (or all)")),
            (Some(symbols), Some(_)) => self.series_of(&symbols).map(Some),
        }
    }

    /// The intervals named; `None` when none are.
    pub fn intervals(&self) -> Result<Option<Vec<Interval>>, CliError> {
        let market = self.market()?;
        self.read(keys::INTERVALS, |text| intervals(market, text))
    }

    /// The series of some symbols, in the intervals named.
    pub fn series_of(&self, symbols: &[Symbol]) -> Result<Vec<Series>, CliError> {
        let intervals = self.intervals()?.ok_or_else(|| CliError::Usage {
            message: "no intervals given".into(),
            hint: Some(
                "say --intervals 5m,1h (or all), set KLINES_INTERVALS, or write it into klines.toml".into(),
            ),
        })?;
        let market = self.market()?;
        let mut series = Vec::new();
        let mut seen = HashSet::new();
        for interval in intervals {
            for symbol in symbols {
                let named = Series::new(market, symbol.clone(), interval)
                    .map_err(|error| CliError::usage(error.to_string()))?;
                if seen.insert(named.clone()) {
                    series.push(named);
                }
            }
        }
        Ok(series)
    }

    /// The series named; naming none is an error.
    pub fn some_series(&self) -> Result<Vec<Series>, CliError> {
        self.series()?.ok_or_else(|| CliError::Usage {
            message: "no symbols and no intervals given".into(),
            hint: Some("for example --symbols BTCUSDT,ETHUSDT --intervals 5m,1h".into()),
        })
    }

    /// Where ranges begin. A flag says where this run begins; the environment and the file say where history begins.
    /// A look-back given more closely than a start counts instead of it, and the other way round; only `extract` looks back.
    pub fn since(&self, looks_back: bool) -> Result<Since, CliError> {
        let flag = matches!(self.get(keys::SINCE), Some(Value { origin: Origin::Flag(_), .. }));
        let since = self.read(keys::SINCE, |text| match text {
            "listing" => Ok(Since::Listing),
            text => text.parse::<Millis>().map(if flag { Since::At } else { Since::Begin }),
        })?;
        let lookback = self.read(keys::LOOKBACK, |text| match text.parse::<u32>() {
            Ok(0) => Err("a look-back of 0 klines is empty".to_owned()),
            Ok(klines) => Ok(Lookback::Klines(klines)),
            Err(_) => parse_duration(text).map(Lookback::Time),
        })?;
        let lookback = lookback.filter(|_| looks_back);
        let rank = |key: &str| match self.get(key).map(|value| &value.origin) {
            Some(Origin::Flag(_)) => 2,
            Some(Origin::Env(_)) => 1,
            _ => 0,
        };
        Ok(match (since, lookback) {
            (Some(_), Some(lookback)) if rank(keys::LOOKBACK) > rank(keys::SINCE) => Since::Back(lookback),
            (Some(since), _) => since,
            (None, Some(lookback)) => Since::Back(lookback),
            (None, None) => Since::Stored,
        })
    }

    /// Where ranges end.
    pub fn until(&self) -> Result<Option<Millis>, CliError> {
        self.read(keys::UNTIL, str::parse::<Millis>)
    }

    /// How to talk to the exchange.
    pub fn client(&self) -> Result<ClientConfig, CliError> {
        let url = |key| self.need(key, base_url);
        Ok(ClientConfig {
            endpoints: Endpoints {
                um: url(keys::FUTURES_URL)?,
                cm: url(keys::COIN_URL)?,
                spot: url(keys::SPOT_URL)?,
            },
            streams: Endpoints {
                um: self.need(keys::FUTURES_STREAM_URL, stream_url)?,
                cm: self.need(keys::COIN_STREAM_URL, stream_url)?,
                spot: self.need(keys::SPOT_STREAM_URL, stream_url)?,
            },
            timeout: self.need(keys::TIMEOUT, parse_duration)?,
            in_flight: self.in_flight()?,
            reserve_percent: self.number(keys::RESERVE, 0, 90)?,
            ..ClientConfig::default()
        })
    }

    /// Where to fetch from.
    pub fn source(&self) -> Result<FetchFrom, CliError> {
        let archive = || -> Result<Archive, CliError> {
            Ok(Archive::new(self.archive()?).map_err(pipeline::JobError::from)?)
        };
        let known = |text: &str| match text {
            "rest" | "auto" | "archive" => Ok(text.to_owned()),
            other => Err(format!("unknown source `{other}`: use auto, rest or archive")),
        };
        Ok(match self.need(keys::SOURCE, known)?.as_str() {
            "auto" => FetchFrom::Auto(archive()?),
            "archive" => FetchFrom::Archive(archive()?),
            _ => FetchFrom::Rest,
        })
    }

    /// How to talk to the public archive.
    pub fn archive(&self) -> Result<ArchiveConfig, CliError> {
        let defaults = ArchiveConfig::default();
        let most_bytes = self.need(keys::ARCHIVE_CACHE_SIZE, parse_size)?;
        let cache = self.read(keys::ARCHIVE_CACHE, |text| Ok::<_, String>(PathBuf::from(text)))?;
        Ok(ArchiveConfig {
            url: self.need(keys::ARCHIVE_URL, base_url)?,
            listing_url: self.need(keys::ARCHIVE_LIST_URL, base_url)?,
            timeout: self.need(keys::TIMEOUT, parse_duration)?.max(defaults.timeout),
            cache: cache.map(|folder| CacheConfig { folder, most_bytes }),
            ..defaults
        })
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> Result<usize, CliError> {
        self.number(keys::IN_FLIGHT, 1, 64)
    }

    /// Series worked on at once.
    pub fn series_at_once(&self) -> Result<usize, CliError> {
        self.number(keys::SERIES_AT_ONCE, 1, 256)
    }

    /// Klines per commit.
    pub fn chunk(&self) -> Result<usize, CliError> {
        self.number(keys::CHUNK, 1, 1_000_000)
    }

    /// How long to wait for another job's lease.
    pub fn lease_wait(&self) -> Result<Duration, CliError> {
        self.need(keys::LEASE_WAIT, parse_duration)
    }

    /// What the planner saves.
    pub fn prefer(&self) -> Result<PreferSetting, CliError> {
        self.need(keys::PREFER, |text| match text {
            "auto" => Ok(PreferSetting::Auto),
            "weight" => Ok(PreferSetting::Weight),
            "requests" => Ok(PreferSetting::Requests),
            other => Err(format!("unknown preference `{other}`: use auto, weight or requests")),
        })
    }

    /// Where the dashboard listens.
    pub fn listen(&self) -> Result<String, CliError> {
        self.need(keys::SERVE_LISTEN, |text| match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
            _ => Err(format!("`{text}` is not HOST:PORT, for example 127.0.0.1:8080")),
        })
    }

    /// The token that allows actions from the dashboard.
    pub fn token(&self) -> Result<Option<dashboard::Token>, CliError> {
        self.read(keys::SERVE_TOKEN, dashboard::Token::new)
    }

    /// Further names of the dashboard.
    pub fn allowed_hosts(&self) -> Vec<String> {
        let names = self.text(keys::SERVE_ALLOW_HOST).unwrap_or_default().split(',');
        names.map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }

    /// Filter of log lines; `default` unless one is set. Libraries are kept quiet unless they are named.
    pub fn log_filter(&self, default: &str) -> Result<String, CliError> {
        match self.read(keys::LOG_LEVEL, telemetry::log_filter)? {
            Some(filter) => Ok(filter),
            None => telemetry::log_filter(default).map_err(CliError::usage),
        }
    }

    /// Form of log lines.
    pub fn log_format(&self) -> Result<telemetry::LogFormat, CliError> {
        self.need(keys::LOG_FORMAT, crate::observe::log_format)
    }

    /// A setting as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).map(|value| value.text.as_str())
    }
}

/// A number of bytes: `500m`, `10g`, `1t`.
fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size: write 500m, 10g or 1t");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
    let number: u64 = text[..unit].parse().map_err(|_| bad())?;
    let bytes: u64 = match text[unit..].to_ascii_lowercase().as_str() {
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(bytes).ok_or_else(bad)
}

fn base_url(text: &str) -> Result<String, String> {
    let trimmed = text.trim_end_matches('/');
    let rest = trimmed.strip_prefix("https://").or_else(|| trimmed.strip_prefix("http://"));
    match rest {
        Some(host) if !host.is_empty() && !host.contains(char::is_whitespace) => Ok(trimmed.to_owned()),
        _ => Err(format!("`{text}` is not a base URL: write https://HOST")),
    }
}

fn stream_url(text: &str) -> Result<String, String> {
    let bad = || format!("`{text}` is not the address of streams: write wss://HOST");
    match text.split_once("://") {
        Some((scheme @ ("ws" | "wss" | "http" | "https"), host)) => {
            let scheme = scheme.replace("http", "ws");
            base_url(&format!("{}://{host}", scheme.replace("ws", "http"))).map_err(|_| bad())?;
            Ok(format!("{scheme}://{}", host.trim_end_matches('/')))
        }
        _ => Err(bad()),
    }
}

fn list<T, E: Display>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, String> {
    let items: Vec<_> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.is_empty() {
        return Err("the list is empty".into());
    }
    items.into_iter().map(|item| parse(item).map_err(|error| error.to_string())).collect()
}

/// `all` leaves `1s` out: it holds as many klines as all other intervals of spot together, sixty times over.
fn intervals(market: Market, text: &str) -> Result<Vec<Interval>, String> {
    if text == "all" {
        return Ok(Interval::of_market(market).filter(|interval| *interval != Interval::S1).collect());
    }
    let intervals = list(text, str::parse::<Interval>)?;
    match intervals.iter().find(|interval| !interval.exists_on(market)) {
        Some(interval) => Err(format!("market {market} has no {interval} klines: 1s exists on spot only")),
        None => Ok(intervals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;

    fn settings(flags: &[(&'static str, &str)], env: &[(&str, &str)]) -> Result<Settings, CliError> {
        let global = Global {
            config: None,
            store: None,
            output: None,
            log_level: None,
            log_format: None,
            no_progress: false,
        };
        let flags = flags.iter().map(|(key, text)| (*key, Some((*text).to_owned()))).collect();
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::load_from(&global, flags, &env)
    }

    #[test]
    fn a_flag_beats_the_environment_and_an_error_names_its_place() {
        let both = settings(&[(keys::MARKET, "spot")], &[("KLINES_MARKET", "cm")]).unwrap();
        assert_eq!(both.get(keys::MARKET).unwrap().text, "spot");
        let bad = settings(&[], &[("KLINES_SYMBOLS", "BTCUSDT"), ("KLINES_INTERVALS", "5x")]).unwrap();
        let error = bad.series().unwrap_err();
        assert!(
            error.to_string().starts_with("KLINES_INTERVALS (environment): unknown interval `5x`"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn an_interval_the_market_lacks_is_refused() {
        let error = settings(&[(keys::SYMBOLS, "BTCUSDT"), (keys::INTERVALS, "1s")], &[])
            .unwrap()
            .series()
            .unwrap_err();
        assert_eq!(error.to_string(), "--intervals: market um has no 1s klines: 1s exists on spot only");
    }

    #[test]
    fn names_of_existing_deployments_choose_the_store() {
        let env = [("DB_ADAPTER", "mysql"), ("MYSQL_URI", "mysql://h/d"), ("MONGODB_URI", "mongodb://h/d")];
        let found = settings(&[], &env).unwrap();
        assert_eq!(found.store_url().unwrap(), "mysql://h/d");
        assert_eq!(
            found.get(keys::STORE).unwrap().origin.to_string(),
            "DB_ADAPTER + MYSQL_URI (environment)"
        );
        assert!(settings(&[], &[("DB_ADAPTER", "oracle")]).is_err());
        assert!(settings(&[], &env[1..]).is_err(), "two stores without a choice");
        let own = settings(&[], &[env[0], env[1], ("KLINES_STORE", "sqlite://x.db")]).unwrap();
        assert_eq!(own.store_url().unwrap(), "sqlite://x.db");
    }

    #[test]
    fn messages_need_a_url_and_no_refusal() {
        let on = |env: &[(&str, &str)]| crate::observe::nats(&settings(&[], env).unwrap()).unwrap().is_on();
        assert!(!on(&[]) && !on(&[("NATS_ENABLED", "true")]));
        assert!(on(&[("NATS_URL", "nats://h")]));
        assert!(!on(&[("NATS_URL", "nats://h"), ("NATS_ENABLED", "False")]));
    }

    #[test]
    fn lengths_of_time_have_units() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for text in ["", "s", "5", "5w", "-5s", "99999999999999999999d", "5 s"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_source_and_the_archive_are_read() {
        let s = |flags: &[(&'static str, &str)], env: &[(&str, &str)]| settings(flags, env).unwrap().source();
        assert!(matches!(s(&[], &[]), Ok(FetchFrom::Rest)));
        let env =
            [("KLINES_SOURCE", "auto"), ("KLINES_ARCHIVE_CACHE", "/c"), ("KLINES_ARCHIVE_CACHE_SIZE", "2g")];
        let Ok(FetchFrom::Auto(archive)) = s(&[], &env) else { panic!("auto") };
        let cache = CacheConfig { folder: "/c".into(), most_bytes: 2 << 30 };
        assert_eq!(
            (archive.config().cache.clone(), archive.config().url.as_str()),
            (Some(cache), "https://data.binance.vision")
        );
        let flags = [(keys::SOURCE, "archive"), (keys::ARCHIVE_URL, "http://127.0.0.1:9/")];
        let Ok(FetchFrom::Archive(archive)) = s(&flags, &env) else { panic!("the flag counts") };
        assert_eq!(archive.config().url, "http://127.0.0.1:9");
        for (key, value) in [
            (keys::SOURCE, "ftp"),
            (keys::ARCHIVE_URL, "data.binance.vision"),
            (keys::ARCHIVE_CACHE_SIZE, "10"),
        ] {
            assert_eq!(s(&[(key, value)], &env).unwrap_err().exit_code(), 2, "{key}");
        }
    }

    #[test]
    fn the_more_explicit_of_start_and_look_back_counts() {
        let s = |flags: &[(&'static str, &str)], env: &[(&str, &str)]| {
            settings(flags, env).unwrap().since(true).unwrap()
        };
        assert_eq!(s(&[], &[]), Since::Stored);
        assert_eq!(s(&[(keys::SINCE, "listing")], &[("KLINES_LOOKBACK", "7")]), Since::Listing);
        assert_eq!(
            s(&[(keys::LOOKBACK, "7")], &[("KLINES_SINCE", "2023-01-01")]),
            Since::Back(Lookback::Klines(7))
        );
    }
}
