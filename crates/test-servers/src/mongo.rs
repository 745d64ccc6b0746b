//! MongoDB: a real one by `KLINES_TEST_MONGODB_URI`, else a private SecantusDB, which speaks its protocol.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use crate::daemon::{Daemon, Recipe};

/// Environment variable that names a real server to test on.
pub const GIVEN: &str = "KLINES_TEST_MONGODB_URI";

/// How the stand-in is made and run. It counts as up when its port is open.
pub const RECIPE: Recipe = Recipe { name: "mongodb", user: None, init, run, is_up };

static PLAIN: Recipe = RECIPE;

/// `scripts/setup-test-services` puts the server into a virtual environment.
fn program() -> String {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("BINANCE_EXTRACTOR_CACHE").or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(caches.join("binance-extractor"))
    });
    let found = cache.map(|cache| cache.join("venv/bin/secantusd-py")).filter(|path| path.exists());
    found.map_or("secantusd-py".to_owned(), |path| path.display().to_string())
}

fn init(_: &Path) -> Vec<String> {
    vec![program(), "--help".into()]
}

fn run(data: &Path, port: u16) -> Vec<String> {
    let (data, port) = (data.display().to_string(), port.to_string());
    // Its trimming of old operations gets stuck beside large transactions.
    let oplog = "--oplog-max-entries=100000000";
    [&program(), "--host", "127.0.0.1", "--port", &port, "--storage-path", &data, oplog]
        .map(String::from)
        .to_vec()
}

fn is_up(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// A server that speaks MongoDB's protocol.
#[derive(Debug)]
pub enum Mongo {
    /// Somebody's real server: its URI without a database.
    Given(String),
    /// A private one.
    Private(Daemon),
}

impl Mongo {
    /// The real server that the environment names, or a private one.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_by(&PLAIN)
    }

    /// The real server that the environment names, or a private one by a recipe.
    #[must_use]
    pub fn start_by(recipe: &'static Recipe) -> Option<Self> {
        match std::env::var(GIVEN) {
            Ok(uri) if !uri.is_empty() => Some(Self::Given(uri)),
            _ => Daemon::start(recipe, &[]).map(Self::Private),
        }
    }

    /// The URI of one of its databases.
    pub fn uri(&self, database: &str) -> String {
        match self {
            Self::Private(daemon) => format!("mongodb://127.0.0.1:{}/{database}", daemon.port()),
            Self::Given(uri) => {
                let (address, options) =
                    uri.split_once('?').map_or((uri.as_str(), None), |(a, o)| (a, Some(o)));
                let start = address.find("://").map_or(0, |at| at + 3);
                let end = address[start..].find('/').map_or(address.len(), |at| start + at);
                let options = options.map(|o| format!("?{o}")).unwrap_or_default();
                format!("{}/{database}{options}", &address[..end])
            }
        }
    }

    /// The process, if it is ours to stop.
    pub fn daemon(&self) -> Option<&Daemon> {
        match self {
            Self::Private(daemon) => Some(daemon),
            Self::Given(_) => None,
        }
    }
}
