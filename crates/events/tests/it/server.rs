//! A private NATS server, and settings of ours for it.

use std::ops::Deref;

use events::NatsSettings;
use test_servers::Nats;
pub use test_servers::free_port;

pub struct Server(Nats);

impl Deref for Server {
    type Target = Nats;

    fn deref(&self) -> &Nats {
        &self.0
    }
}

impl Server {
    /// Starts a server with these lines in its configuration, or says that the test is skipped.
    pub fn start(config: &str) -> Option<Self> {
        Nats::start(config).map(Self)
    }

    /// As [`Self::start`], but does not start it yet. `DIR` in the configuration is the server's folder.
    pub fn reserve(config: &str) -> Option<Self> {
        Nats::reserve(config).map(Self)
    }

    /// Settings for this server, with credentials like `user:password@`.
    pub fn settings_as(&self, credentials: &str) -> NatsSettings {
        NatsSettings::from_urls(&format!("nats://{credentials}127.0.0.1:{}", self.port())).unwrap()
    }

    pub fn settings(&self) -> NatsSettings {
        self.settings_as("")
    }

    /// A second client that has nothing to do with the code under test.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(format!("nats://127.0.0.1:{}", self.port())).await.unwrap()
    }
}
