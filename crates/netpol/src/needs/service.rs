//! What usually speaks behind a scheme, a name or a port.

use crate::object::Protocol;

/// A kind of service: how people name it and where it listens.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// The short name used in reports.
    pub name: &'static str,
    /// The port it listens on unless told otherwise.
    pub port: u16,
    /// What kind of thing it is.
    pub family: Family,
    schemes: &'static [&'static str],
    /// Words that stand for it in the names of variables.
    words: &'static [&'static str],
}

/// What kind of thing a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A data base: a workload uses one of several when an adapter setting says which.
    Database,
    /// A message broker or cache.
    Broker,
    /// Telemetry.
    Telemetry,
    /// Anything else.
    Other,
}

macro_rules! services {
    ($($name:literal $port:literal $family:ident [$($scheme:literal)*] [$($word:literal)*];)*) => {
        /// The table, most specific words first.
        static SERVICES: &[Service] = &[$(Service {
            name: $name, port: $port, family: Family::$family, schemes: &[$($scheme),*], words: &[$($word),*],
        }),*];
    };
}

services! {
    "mysql" 3306 Database ["mysql" "mariadb"] ["MYSQL" "MARIADB"];
    "mongodb" 27017 Database ["mongodb"] ["MONGODB" "MONGO"];
    "postgresql" 5432 Database ["postgres" "postgresql"] ["POSTGRESQL" "POSTGRES" "PG" "PGSQL"];
    "sqlserver" 1433 Database ["sqlserver" "mssql"] ["MSSQL" "SQLSERVER"];
    "clickhouse" 9000 Database ["clickhouse"] ["CLICKHOUSE"];
    "cassandra" 9042 Database ["cassandra"] ["CASSANDRA"];
    "elasticsearch" 9200 Database ["elasticsearch"] ["ELASTICSEARCH" "OPENSEARCH"];
    "redis" 6379 Broker ["redis" "rediss"] ["REDIS" "VALKEY"];
    "memcached" 11211 Broker ["memcached"] ["MEMCACHED" "MEMCACHE"];
    "nats" 4222 Broker ["nats"] ["NATS"];
    "kafka" 9092 Broker ["kafka"] ["KAFKA"];
    "amqp" 5672 Broker ["amqp"] ["AMQP" "RABBITMQ"];
    "amqps" 5671 Broker ["amqps"] [];
    "mqtt" 1883 Broker ["mqtt"] ["MQTT"];
    "otlp" 4317 Telemetry ["otlp"] ["OTLP"];
    "ldap" 389 Other ["ldap"] ["LDAP"];
    "ldaps" 636 Other ["ldaps"] [];
    "smtp" 25 Other ["smtp"] [];
}

/// The service of a URL scheme.
pub(super) fn by_scheme(scheme: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.schemes.contains(&scheme))
}

/// The service whose usual port this is. OTLP over HTTP counts as OTLP.
#[must_use]
pub fn by_port(port: u16) -> Option<&'static Service> {
    let port = if port == 4318 { 4317 } else { port };
    SERVICES.iter().find(|service| service.port == port)
}

/// The service of an adapter setting such as `mysql` or `postgres`.
pub(super) fn by_adapter(value: &str) -> Option<&'static Service> {
    let word = value.trim().to_ascii_uppercase();
    SERVICES.iter().find(|service| service.words.contains(&word.as_str()))
}

/// The service that one of the words of a variable's name stands for.
pub(super) fn by_words<'a>(words: impl Iterator<Item = &'a str> + Clone) -> Option<&'static Service> {
    SERVICES.iter().find(|service| words.clone().any(|word| service.words.contains(&word)))
}

/// The port of a URL without one.
pub(super) fn scheme_port(scheme: &str) -> Option<u16> {
    Some(match scheme {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "smtps" => 465,
        "mqtts" => 8883,
        "ssh" | "sftp" | "git" => 22,
        "ftp" => 21,
        "otlp" => 4317,
        _ => by_scheme(scheme)?.port,
    })
}

/// The transport protocol that the usual service of a port speaks, where there is no doubt: nothing speaks
/// MySQL, NATS or OTLP over UDP.
#[must_use]
pub fn only_protocol(port: u16) -> Option<Protocol> {
    let service = by_port(port)?;
    let also_udp = matches!(service.name, "memcached" | "ldap" | "clickhouse");
    (!also_udp).then_some(Protocol::Tcp)
}
