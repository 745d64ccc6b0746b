//! A private NATS server: its own folder, a free port on loopback, gone at the end.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use events::NatsSettings;
use tempfile::TempDir;

pub struct Server {
    child: Option<Child>,
    port: u16,
    dir: TempDir,
}

impl Server {
    /// Starts a server with these lines in its configuration, or says that the test is skipped.
    pub fn start(config: &str) -> Option<Self> {
        let mut server = Self::reserve(config)?;
        server.up();
        Some(server)
    }

    /// As [`Self::start`], but does not start it yet. `DIR` in the configuration is the server's folder.
    pub fn reserve(config: &str) -> Option<Self> {
        let found =
            Command::new("nats-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            println!("skipped: NATS (nats-server not found)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = config.replace("DIR", dir.path().to_str().unwrap());
        std::fs::write(dir.path().join("nats.conf"), format!("listen: 127.0.0.1:{port}\n{config}\n"))
            .unwrap();
        Some(Self { child: None, port, dir })
    }

    /// Starts it and waits until it accepts connections.
    pub fn up(&mut self) {
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        let child = Command::new("nats-server")
            .arg("-c")
            .arg(self.dir.path().join("nats.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let patience = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < patience, "nats-server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it at once.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Settings for this server, with credentials like `user:password@`.
    pub fn settings_as(&self, credentials: &str) -> NatsSettings {
        NatsSettings::from_urls(&format!("nats://{credentials}127.0.0.1:{}", self.port)).unwrap()
    }

    pub fn settings(&self) -> NatsSettings {
        self.settings_as("")
    }

    /// A second client that has nothing to do with the code under test.
    pub async fn client(&self) -> async_nats::Client {
        async_nats::connect(format!("nats://127.0.0.1:{}", self.port)).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
