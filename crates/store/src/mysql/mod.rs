//! MySQL 8 and MariaDB, over TLS or not.
//!
//! Rows are clustered by series and open time (InnoDB keeps a table in the order of its primary key), decimals are
//! `DECIMAL(38,12)`, instants `DATETIME(3)` in UTC. Klines come in by `LOAD DATA LOCAL INFILE` from memory, or where the
//! server forbids that, by `INSERT` of many rows.
//!
//! Triggers tell of rows that others delete or moved. They do not tell of inserts: a trigger for each row inserted costs
//! MariaDB a third of its loading speed. Slots that look empty are looked up among the rows instead. Where the user may
//! not make triggers (with the binary log on, that takes SUPER or `log_bin_trust_function_creators`), rows are counted
//! per bucket as well whenever gaps are looked for.

mod calendar;
mod fail;
mod load;
mod schema;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mysql_async::{Conn, DriverError, Opts, OptsBuilder, SslOpts, prelude::Queryable};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use self::session::MysqlSession;
use crate::servers::ServerStore;
use crate::servers::engine::{Engine, Migration, Told};
use crate::servers::fail::{Class, Fault, Step};
use crate::servers::tls;
use crate::servers::url::{Server, TlsMode};
use crate::{OpenOptions, StoreResult};

/// A store in a MySQL or MariaDB database. Clones share it.
pub type MysqlStore = ServerStore<Mysql>;

/// Schemes of its URLs.
pub(crate) const SCHEMES: &[&str] = &["mysql", "mariadb", "mysql+pymysql"];

/// Statements kept prepared per connection.
const STATEMENTS: usize = 128;

impl MysqlStore {
    /// Opens `mysql://USER:PASSWORD@HOST:PORT/DATABASE` (also `mariadb://`, `mysql+pymysql://`) and creates the tables if
    /// need be.
    ///
    /// # Errors
    /// `BadUrl`; `Open`, `Login` when the server is not to be had; `NoTables` when the user may not create the tables,
    /// `Taken` when something else has their names; `Newer` when a newer program made them.
    pub async fn open(url: &str, options: OpenOptions) -> StoreResult<Self> {
        let server = Arc::new(Server::parse(url, "mysql", 3306)?);
        let engine = Mysql {
            server: Arc::clone(&server),
            busy_timeout: options.busy_timeout,
            plain: AtomicBool::new(server.tls == TlsMode::Disable),
            no_local_infile: Arc::default(),
        };
        Self::connect(engine, server, &options).await
    }
}

/// The engine for MySQL and MariaDB.
#[derive(Debug)]
pub struct Mysql {
    server: Arc<Server>,
    busy_timeout: Duration,
    /// Whether to connect without TLS: asked for, or learnt.
    plain: AtomicBool,
    /// Whether the server was found to forbid `LOAD DATA LOCAL`.
    no_local_infile: Arc<AtomicBool>,
}

impl Engine for Mysql {
    type Session = MysqlSession;
    const NAME: &'static str = "mysql";
    const MIGRATIONS: &'static [Migration] = schema::MIGRATIONS;
    const TRANSACTIONAL_SCHEMA: bool = false;
    const TOLD: Told = Told::NoInserts;

    async fn connect(&self) -> Step<MysqlSession> {
        let limit = self.server.connect_timeout;
        match tokio::time::timeout(limit, self.connect_and_set_up()).await {
            Ok(result) => result,
            Err(_) => {
                Err(Fault::Engine(Class::Lost, format!("no answer within {} s", limit.as_secs()).into()))
            }
        }
    }
}

impl Mysql {
    async fn connect_and_set_up(&self) -> Step<MysqlSession> {
        let mut conn = self.dial().await?;
        let version: Option<String> = conn.query_first("SELECT VERSION()").await.map_err(fail::fault)?;
        let limit = self.server.statement_timeout;
        let statement_limit = if version.is_some_and(|v| v.contains("MariaDB")) {
            format!("max_statement_time = {}", limit.as_secs())
        } else {
            format!("max_execution_time = {}", limit.as_millis())
        };
        let wait = self.busy_timeout.as_secs().max(1);
        conn.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .map_err(fail::fault)?;
        conn.query_drop(format!(
            "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1, \
             innodb_lock_wait_timeout = {wait}, lock_wait_timeout = {wait}, {statement_limit}"
        ))
        .await
        .map_err(fail::fault)?;
        Ok(MysqlSession::new(conn, limit, Arc::clone(&self.no_local_infile)))
    }

    /// Connects, encrypted if asked or possible.
    async fn dial(&self) -> Step<Conn> {
        if self.plain.load(Ordering::Relaxed) {
            return Conn::new(self.opts(None)).await.map_err(fail::fault);
        }
        let ssl = self.ssl()?;
        match Conn::new(self.opts(Some(ssl.clone()))).await {
            Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
                if self.server.tls == TlsMode::Prefer =>
            {
                self.plain.store(true, Ordering::Relaxed);
                Conn::new(self.opts(None)).await.map_err(fail::fault)
            }
            // The driver does not see that it was told to accept any name. The authority was checked by now, and is
            // again.
            Err(error) if self.server.tls == TlsMode::VerifyCa => match fail::presented_name(&error) {
                Some(name) => {
                    let ssl = ssl.with_danger_tls_hostname_override(Some(name));
                    Conn::new(self.opts(Some(ssl))).await.map_err(fail::fault)
                }
                None => Err(fail::fault(error)),
            },
            other => other.map_err(fail::fault),
        }
    }

    fn opts(&self, ssl: Option<SslOpts>) -> Opts {
        let server = &self.server;
        OptsBuilder::default()
            .ip_or_hostname(server.host.clone())
            .tcp_port(server.port)
            .user(Some(server.user.clone()))
            .pass(server.password.clone())
            .db_name(Some(server.database.clone()))
            .prefer_socket(false)
            .client_found_rows(true)
            .stmt_cache_size(STATEMENTS)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .ssl_opts(ssl)
            .into()
    }

    fn ssl(&self) -> Step<SslOpts> {
        // The driver asks for the process's cryptography; this fails when the program has chosen already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mode = self.server.tls;
        if !matches!(mode, TlsMode::VerifyCa | TlsMode::VerifyFull) {
            // The driver wants some authority even where nobody is asked.
            return Ok(SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true));
        }
        let roots = tls::authorities(&self.server).map_err(|why| Fault::Engine(Class::Other, why))?;
        let roots = roots.into_iter().filter(is_usable).map(|c| c.to_vec().into());
        Ok(SslOpts::default()
            .with_disable_built_in_roots(true)
            .with_root_certs(roots.collect())
            .with_danger_skip_domain_validation(mode == TlsMode::VerifyCa))
    }
}

/// Whether a certificate can be an authority's: the driver refuses a list with one that cannot.
fn is_usable(certificate: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(certificate.clone().into_owned()).is_ok()
}

/// The statements that make all tables, for an administrator's `mysql` client.
pub(crate) fn schema_sql() -> Vec<String> {
    crate::servers::schema::sql::<Mysql>()
}
