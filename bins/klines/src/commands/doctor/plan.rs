//! What the configuration names.

use std::time::Duration;

use binance::ClientConfig;
use events::NatsSettings;
use kline::Market;
use telemetry::{Settings as Telemetry, Target};

use super::net::Place;
use crate::commands::show::masked;
use crate::error::CliError;
use crate::observe;
use crate::settings::{Origin, Settings, keys};

/// Longest time for one operation of the exchange.
const OPERATION: Duration = Duration::from_secs(10);

/// A web server: the exchange, its archive, a collector.
#[derive(Debug, Clone)]
pub struct Site {
    /// `https://HOST[:PORT]`, without secrets.
    pub shown: String,
    pub place: Place,
    pub encrypted: bool,
    pub required: bool,
}

impl Site {
    fn of(url: &str, required: bool) -> Option<Self> {
        let place = Place::of_url(url)?;
        Some(Self { shown: masked(url), place, encrypted: url.starts_with("https://"), required })
    }
}

/// A store.
#[derive(Debug, Clone)]
pub struct StorePlan {
    pub url: String,
    pub shown: String,
    /// Its servers; none for a file, and where only the DNS knows them.
    pub places: Vec<Place>,
}

/// Everything to check.
pub struct Plan {
    /// The exchange, with the market to ask.
    pub markets: Vec<(Market, Site)>,
    pub archive: Option<Site>,
    pub client: ClientConfig,
    pub store: StorePlan,
    pub nats: NatsSettings,
    /// Where telemetry goes, each place once.
    pub collectors: Vec<(Site, Vec<Target>)>,
}

impl Plan {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`CliError::Usage`] when they make no sense.
    pub fn of(settings: &Settings) -> Result<Self, CliError> {
        let client = settings.client()?;
        let source = settings.text(keys::SOURCE).unwrap_or("rest");
        let url = settings.store_url()?;
        let nats = observe::nats(settings)?;
        Ok(Self {
            markets: markets(settings, &client, source)?,
            archive: archive(settings, source),
            client: ClientConfig {
                attempts: 1,
                patience: Duration::ZERO,
                timeout: client.timeout.min(OPERATION),
                ..client
            },
            store: StorePlan { shown: masked(&url), places: store_places(&url), url },
            nats,
            collectors: collectors(&Telemetry::from_env(|name| std::env::var(name).ok())),
        })
    }

    /// The first name that needs a name server.
    pub fn name_to_ask(&self) -> Option<String> {
        let sites = self.markets.iter().map(|(_, site)| site).chain(&self.archive);
        let sites = sites.chain(self.collectors.iter().map(|(site, _)| site)).map(|site| &site.place);
        let places = sites.chain(&self.store.places).cloned().chain(nats_places(&self.nats));
        places.filter(Place::needs_dns).map(|place| place.host).next()
    }
}

/// The market that jobs ask is required; others are checked if their address was set on purpose.
fn markets(
    settings: &Settings,
    client: &ClientConfig,
    source: &str,
) -> Result<Vec<(Market, Site)>, CliError> {
    let wanted = settings.market()?;
    let keys =
        [(Market::Um, keys::FUTURES_URL), (Market::Cm, keys::COIN_URL), (Market::Spot, keys::SPOT_URL)];
    let mut found: Vec<(Market, Site)> = Vec::new();
    for (market, key) in keys {
        let is_set = settings.get(key).is_some_and(|value| value.origin != Origin::Default);
        if market != wanted && !is_set {
            continue;
        }
        // With the archive as the only source, REST is not asked.
        let required = market == wanted && source != "archive";
        let Some(site) = Site::of(client.endpoints.of(market), required) else { continue };
        match found.iter_mut().find(|(_, known)| known.shown == site.shown) {
            Some((asked, known)) if required => (*asked, known.required) = (market, true),
            Some(_) => {}
            None => found.push((market, site)),
        }
    }
    Ok(found)
}

/// The archive is required where it is the only source, and not asked at all where it is none.
fn archive(settings: &Settings, source: &str) -> Option<Site> {
    let url = settings.text(keys::ARCHIVE_URL).filter(|_| source != "rest")?;
    Site::of(url, source == "archive")
}

/// Servers of a store URL: `SCHEME://USER@HOST:PORT,HOST:PORT/DATABASE`.
fn store_places(url: &str) -> Vec<Place> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let port = match scheme {
        "mongodb" => 27017,
        name if name.starts_with("mysql") || name.starts_with("mariadb") => 3306,
        name if name.starts_with("postgres") => 5432,
        // A file, or a deployment whose servers only the DNS knows.
        _ => return Vec::new(),
    };
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    let hosts = hosts.split(['/', '?']).next().unwrap_or_default();
    hosts.split(',').filter_map(|host| Place::parse(host, port)).collect()
}

/// Servers of NATS.
pub fn nats_places(settings: &NatsSettings) -> Vec<Place> {
    if !settings.is_on() {
        return Vec::new();
    }
    let place = |server: &url::Url| {
        Place::parse(server.host_str()?, 4222)
            .map(|place| Place { port: server.port().unwrap_or(place.port), ..place })
    };
    settings.servers.iter().filter_map(place).collect()
}

fn collectors(telemetry: &Telemetry) -> Vec<(Site, Vec<Target>)> {
    let mut found: Vec<(Site, Vec<Target>)> = Vec::new();
    for target in [&telemetry.traces, &telemetry.metrics, &telemetry.logs].into_iter().flatten() {
        let Some(site) = Site::of(&target.url, false) else { continue };
        match found.iter_mut().find(|(known, _)| known.place == site.place) {
            Some((_, targets)) if targets.iter().any(|known| known.url == target.url) => {}
            Some((_, targets)) => targets.push(target.clone()),
            None => found.push((site, vec![target.clone()])),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_of_a_store_url_is_found() {
        let places = |url: &str| {
            let places = store_places(url).into_iter().map(|p| format!("{}:{}", p.host, p.port));
            places.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(places("mysql+pymysql://u:p@mysql/db"), "mysql:3306");
        assert_eq!(places("postgres://u:p%40@pg.example:6432/db?sslmode=require"), "pg.example:6432");
        assert_eq!(places("mongodb://u:p@a:1,b,[::1]:3/db?replicaSet=rs"), "a:1 b:27017 ::1:3");
        assert_eq!(places("sqlite://klines.db"), "");
        assert_eq!(places("mongodb+srv://u:p@cluster/db"), "");
    }

    #[test]
    fn signals_that_share_a_collector_are_one_place() {
        let telemetry = Telemetry::from_env(|name| {
            (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| "http://otel:4318".to_owned())
        });
        let found = collectors(&telemetry);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.place.port, found[0].1.len()), (4318, 3));
    }
}
