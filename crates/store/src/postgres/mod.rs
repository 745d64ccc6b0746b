//! PostgreSQL 13 and later, over TLS or not.
//!
//! Decimals are `NUMERIC` as sent, with their trailing zeros; instants are `timestamptz`. Klines come in by binary `COPY`
//! straight into their table: the books say beforehand which ones are new, so that no staging table is needed to sort
//! out duplicates, and nothing is written twice.
//!
//! Triggers tell of every row that others insert, delete, move or truncate.

mod fail;
mod load;
mod numeric;
mod schema;
mod session;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::session::PostgresSession;
use crate::servers::ServerStore;
use crate::servers::engine::{Engine, Migration, Told};
use crate::servers::fail::{Class, Fault, Step};
use crate::servers::url::{Server, TlsMode};
use crate::{OpenOptions, StoreResult};

/// A store in a PostgreSQL database. Clones share it.
pub type PostgresStore = ServerStore<Postgres>;

/// Schemes of its URLs.
pub(crate) const SCHEMES: &[&str] = &["postgres", "postgresql"];

impl PostgresStore {
    /// Opens `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (also `postgresql://`) and creates the tables if need be.
    ///
    /// # Errors
    /// `BadUrl`; `Open`, `Login` when the server is not to be had; `NoTables` when the user may not create the tables,
    /// `Taken` when something else has their names; `Newer` when a newer program made them.
    pub async fn open(url: &str, options: OpenOptions) -> StoreResult<Self> {
        let server = Arc::new(Server::parse(url, "postgres", 5432)?);
        let engine = Postgres { server: Arc::clone(&server), busy_timeout: options.busy_timeout };
        Self::connect(engine, server, &options).await
    }
}

/// The engine for PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    server: Arc<Server>,
    busy_timeout: Duration,
}

impl Engine for Postgres {
    type Session = PostgresSession;
    const NAME: &'static str = "postgresql";
    const MIGRATIONS: &'static [Migration] = schema::MIGRATIONS;
    const TRANSACTIONAL_SCHEMA: bool = true;
    const TOLD: Told = Told::All;

    async fn connect(&self) -> Step<PostgresSession> {
        let limit = self.server.connect_timeout;
        match tokio::time::timeout(limit, self.connect_and_set_up()).await {
            Ok(result) => result,
            Err(_) => {
                Err(Fault::Engine(Class::Lost, format!("no answer within {} s", limit.as_secs()).into()))
            }
        }
    }
}

impl Postgres {
    async fn connect_and_set_up(&self) -> Step<PostgresSession> {
        let client = self.dial().await?;
        let limit = self.server.statement_timeout;
        let mut settings = format!(
            "SET statement_timeout = {}; SET lock_timeout = {}; SET TimeZone = 'UTC'; SET klines.own = 'on'",
            limit.as_millis(),
            self.busy_timeout.as_millis().max(1)
        );
        if let Some(schema) = &self.server.schema {
            settings += &format!("; SET search_path = \"{}\"", schema.replace('"', "\"\""));
        }
        client.batch_execute(&settings).await.map_err(fail::fault)?;
        Ok(PostgresSession::new(client, limit))
    }

    /// Connects, encrypted if asked or possible.
    async fn dial(&self) -> Step<Client> {
        let config = self.config();
        if self.server.tls == TlsMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(fail::fault)?;
            tokio::spawn(connection);
            return Ok(client);
        }
        let tls = tls::config(&self.server).map_err(|why| Fault::Engine(Class::Other, why))?;
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(fail::fault)?;
        tokio::spawn(connection);
        Ok(client)
    }

    fn config(&self) -> Config {
        let server = &self.server;
        let mut config = Config::new();
        config
            .host(&server.host)
            .port(server.port)
            .user(&server.user)
            .dbname(&server.database)
            .application_name("klines")
            .keepalives_idle(Duration::from_secs(30))
            .ssl_mode(match server.tls {
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        if let Some(password) = &server.password {
            config.password(password);
        }
        config
    }
}

/// The statements that make all tables, for an administrator's `psql`.
pub(crate) fn schema_sql() -> Vec<String> {
    crate::servers::schema::sql::<Postgres>()
}
