//! NATS.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, Recipe};

/// Lines of a configuration that switch JetStream on.
pub const JETSTREAM: &str = "jetstream { store_dir: \"DIR/js\" }";

static RECIPE: Recipe = Recipe { name: "NATS", user: None, init, run, is_up };

fn init(_: &Path) -> Vec<String> {
    ["nats-server", "--version"].map(String::from).to_vec()
}

fn run(data: &Path, _: u16) -> Vec<String> {
    let config = data.with_file_name("nats.conf").display().to_string();
    vec!["nats-server".into(), "-c".into(), config]
}

fn is_up(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A private NATS server.
#[derive(Debug)]
pub struct Nats(Daemon);

impl Nats {
    /// Starts a server with these lines in its configuration, in which `DIR` is the server's folder.
    #[must_use]
    pub fn start(config: &str) -> Option<Self> {
        let nats = Self::reserve(config)?;
        nats.up();
        Some(nats)
    }

    /// As [`Self::start`], but does not start it yet.
    #[must_use]
    pub fn reserve(config: &str) -> Option<Self> {
        let daemon = Daemon::reserve(&RECIPE, &[])?;
        let config = config.replace("DIR", daemon.dir().to_str().unwrap());
        let config = format!("listen: 127.0.0.1:{}\n{config}\n", daemon.port());
        std::fs::write(daemon.dir().join("nats.conf"), config).unwrap();
        Some(Self(daemon))
    }

    /// Starts it (again).
    pub fn up(&self) {
        self.0.up();
    }

    /// Kills it.
    pub fn down(&self) {
        self.0.down();
    }

    /// The port it listens on, once it is up.
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// A file in the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.dir().join(name)
    }

    /// The server's folder.
    pub fn folder(&self) -> &Path {
        self.0.dir()
    }
}
