//! PostgreSQL.

use std::path::Path;

use crate::daemon::{self, Daemon, Recipe};

/// How PostgreSQL is made and run.
pub const RECIPE: Recipe = Recipe { name: "postgres", user: Some("postgres"), init, run, is_up };

/// A program of the server: Debian keeps them off the path.
pub fn program(name: &str) -> String {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|v| v.path().join("bin").join(name)).filter(|p| p.exists()).max();
    found.map_or(name.to_owned(), |path| path.display().to_string())
}

fn init(data: &Path) -> Vec<String> {
    let (data, initdb) = (data.display().to_string(), program("initdb"));
    [&initdb, "-D", &data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        .map(String::from)
        .to_vec()
}

fn run(data: &Path, port: u16) -> Vec<String> {
    let (data, port, postgres) = (data.display().to_string(), port.to_string(), program("postgres"));
    [&postgres, "-D", &data, "-k", &data, "-p", &port, "-h", "127.0.0.1", "-c", "fsync=off"]
        .map(String::from)
        .to_vec()
}

fn is_up(port: u16) -> bool {
    sql(port, "postgres", "SELECT 1").is_ok()
}

/// Runs SQL in a database as `postgres` would in a shell; gives what it prints, bare.
///
/// # Errors
/// What the shell complains of; it stops at the first error.
pub fn sql(port: u16, database: &str, script: &str) -> Result<String, String> {
    let port = port.to_string();
    let quiet =
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"];
    let mut command = quiet.to_vec();
    command.extend(["-p", &port, "-d", database]);
    daemon::shell(&command, script)
}

/// A private PostgreSQL that trusts every user.
#[derive(Debug)]
pub struct Postgres {
    /// The server's process.
    pub daemon: Daemon,
}

impl Postgres {
    /// Starts it, with some more arguments of `postgres`.
    #[must_use]
    pub fn start(args: &[&str]) -> Option<Self> {
        Daemon::start(&RECIPE, args).map(|daemon| Self { daemon })
    }

    /// Makes a database and a user who owns it; gives `127.0.0.1:port/database`.
    pub fn database(&self, name: &str, user: &str) -> String {
        self.sql(
            "postgres",
            &format!("CREATE USER {user}; CREATE DATABASE {name} OWNER {user};").replace("; ", ";\n"),
        );
        format!("127.0.0.1:{}/{name}", self.daemon.port())
    }

    /// Runs SQL in a database as `postgres` would in a shell.
    pub fn sql(&self, database: &str, script: &str) -> String {
        sql(self.daemon.port(), database, script).unwrap()
    }
}
