//! What the tests share.

use std::path::Path;
use std::process::{Command, Output};

use exchange_sim::{Config, DataSource, Faults, Now, Sim};
use kline::{Market, Symbol};
use serde_json::Value;

/// The program, in a folder, with an exchange; the caller's environment does not reach it.
pub fn klines(folder: &Path, exchange: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klines"));
    command.current_dir(folder).env_clear().env("NO_COLOR", "1");
    for name in ["BINANCE_FUTURES_API_URL", "BINANCE_COIN_API_URL", "BINANCE_API_URL"] {
        command.env(name, exchange);
    }
    command
}

/// Runs to the end and returns exit code, stdout and stderr.
pub fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

pub fn json(stdout: &str) -> Value {
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// An exchange on its own runtime, for tests that wait for processes.
pub struct Exchange {
    sim: Sim,
    _runtime: tokio::runtime::Runtime,
}

impl Exchange {
    pub fn start(symbols: &[&str], now: &str, faults: Faults) -> Self {
        let made_up = |symbol: &&str| DataSource::Synthetic {
            market: Market::Um,
            symbol: Symbol::new(symbol).unwrap(),
            from: "2020-01-01".parse().unwrap(),
            until: None,
            seed: 1,
        };
        let config = Config {
            data: symbols.iter().map(made_up).collect(),
            now: Now::From(now.parse().unwrap()),
            faults,
            limits: exchange_sim::Limits { futures_weight: 1_000_000, ..Default::default() },
            ..Config::default()
        };
        Self::of(config)
    }

    pub fn of(config: Config) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sim = runtime.block_on(Sim::start(config)).unwrap();
        Self { _runtime: runtime, sim }
    }

    pub fn url(&self) -> String {
        self.sim.url()
    }

    #[cfg(feature = "mysql")] // whose tests alone count requests
    pub fn stats(&self) -> exchange_sim::Stats {
        self.sim.stats()
    }
}
