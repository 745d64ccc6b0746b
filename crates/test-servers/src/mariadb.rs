//! MariaDB.

use std::path::Path;

use crate::daemon::{self, Daemon, Recipe};

/// How MariaDB is made and run; every user may load local files unless told otherwise.
pub const RECIPE: Recipe = Recipe { name: "mysql", user: Some("mysql"), init, run, is_up };

fn init(data: &Path) -> Vec<String> {
    let data = format!("--datadir={}", data.display());
    let install = "mariadb-install-db";
    [install, "--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal", &data]
        .map(String::from)
        .to_vec()
}

fn run(data: &Path, port: u16) -> Vec<String> {
    let dir = data.display();
    vec![
        "mariadbd".into(),
        "--no-defaults".into(),
        format!("--datadir={dir}"),
        format!("--socket={dir}/s"),
        format!("--port={port}"),
        "--bind-address=127.0.0.1".into(),
        "--local-infile=1".into(),
        // Killed processes lose nothing by this, only power failures do; tables are made many times faster.
        "--innodb-flush-log-at-trx-commit=2".into(),
        "--debug-no-sync=1".into(),
        "--innodb-flush-method=nosync".into(),
    ]
}

fn is_up(port: u16) -> bool {
    sql(port, "", "SELECT 1").is_ok()
}

/// Runs SQL in a database, or in none, as `root` would in a shell, with UTC as the time zone; gives what it prints.
///
/// # Errors
/// What the shell complains of.
pub fn sql(port: u16, database: &str, script: &str) -> Result<String, String> {
    let port = format!("--port={port}");
    let command = ["mariadb", "--no-defaults", "-h127.0.0.1", "-uroot", "--skip-ssl", "-N", &port, database];
    let command = if database.is_empty() { &command[..7] } else { &command[..] };
    daemon::shell(command, &format!("SET time_zone = '+00:00';\n{script}"))
}

/// A private MariaDB; `root` has no password.
#[derive(Debug)]
pub struct Mariadb {
    /// The server's process.
    pub daemon: Daemon,
}

impl Mariadb {
    /// Starts it, with some more arguments of `mariadbd`.
    #[must_use]
    pub fn start(args: &[&str]) -> Option<Self> {
        Daemon::start(&RECIPE, args).map(|daemon| Self { daemon })
    }

    /// Makes a database and a user who owns it; gives `127.0.0.1:port/database`.
    pub fn database(&self, name: &str, user: &str, password: &str) -> String {
        self.sql(
            "",
            &format!(
                "CREATE DATABASE {name}; CREATE USER IF NOT EXISTS {user}@'%' IDENTIFIED BY '{password}'; \
                 GRANT ALL ON {name}.* TO {user}@'%';"
            ),
        );
        format!("127.0.0.1:{}/{name}", self.daemon.port())
    }

    /// Runs SQL in a database as `root` would in a shell.
    pub fn sql(&self, database: &str, script: &str) -> String {
        sql(self.daemon.port(), database, script).unwrap()
    }
}
