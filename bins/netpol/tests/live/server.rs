//! An API server for tests: real JSON over TLS, with the moods that real ones have.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::handle;

/// The token that is accepted.
pub const TOKEN: &str = "the-right-token";

/// A request, as RBAC sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub verb: &'static str,
    pub group: String,
    /// `pods`, `pods/log`.
    pub resource: String,
    pub namespace: Option<String>,
    pub accept: String,
    pub query: BTreeMap<String, String>,
}

/// One thing that happens to a Job after its creation.
#[derive(Clone, Debug)]
pub enum Step {
    /// The pod is there, or changed: status and log follow from the arguments.
    Pod(Value),
    /// The pod goes away.
    NoPod,
    /// The Job gets this status.
    Job(Value),
    /// The Job goes away.
    NoJob,
}

/// How the server behaves.
#[derive(Clone, Debug, Default)]
pub struct Moods {
    /// Most objects in a page, whatever is asked for.
    pub page: Option<usize>,
    /// How many tokens to go on will have expired.
    pub expired_pages: usize,
    /// Every watch ends at once, as expired.
    pub expired_watches: bool,
    /// `verb resource` pairs that are refused.
    pub forbidden: BTreeSet<String>,
    /// How many requests are answered with 503 first.
    pub unavailable: usize,
    /// A page of a proxy instead of any answer.
    pub html: bool,
    /// Lines of the log, each after so many milliseconds.
    pub log: Vec<(u64, String)>,
    /// A label that something gives to every new pod, whatever its template says.
    pub injected: Option<(&'static str, &'static str)>,
    /// What happens to a Job, each after so many milliseconds.
    pub script: Vec<(u64, Step)>,
}

#[derive(Debug, Default)]
pub struct State {
    pub objects: Vec<Value>,
    pub seen: Vec<Seen>,
    pub moods: Moods,
    /// Names of Jobs that were created and deleted.
    pub created: Vec<Value>,
    pub deleted: Vec<String>,
    /// Tokens to go on, by what they stand for.
    pub pages: BTreeMap<String, Vec<Value>>,
    pub version: u64,
    /// Jobs that ran at the same time, at most.
    pub most_jobs: usize,
}

/// Shared by the handlers.
#[derive(Clone)]
pub struct Shared {
    state: Arc<Mutex<State>>,
    pub changed: watch::Sender<u64>,
}

impl Shared {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Something is different now.
    pub fn touch(&self, state: &mut State) {
        state.version += 1;
        self.changed.send_replace(state.version);
    }

    /// Lets the script of the moods happen to a Job.
    pub fn play(&self, job: String, namespace: String) {
        let script = self.lock().moods.script.clone();
        let shared = self.clone();
        tokio::spawn(async move {
            for (pause, step) in script {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                let mut state = shared.lock();
                step.apply(&mut state, &job, &namespace);
                shared.touch(&mut state);
            }
        });
    }
}

impl Step {
    fn apply(self, state: &mut State, job: &str, namespace: &str) {
        let is = |object: &Value, kind: &str| {
            object["kind"] == kind
                && object["metadata"]["namespace"] == namespace
                && (object["metadata"]["name"] == job || object["metadata"]["labels"]["job-name"] == job)
        };
        match self {
            Self::Pod(status) => {
                state.objects.retain(|object| !is(object, "Pod"));
                let template = state.created.iter().rev().find(|one| one["metadata"]["name"] == job).cloned();
                let mut pod = template.unwrap_or_default()["spec"]["template"].take();
                pod["kind"] = "Pod".into();
                pod["metadata"]["name"] = format!("{job}-x7k2p").into();
                pod["metadata"]["namespace"] = namespace.into();
                pod["metadata"]["labels"]["job-name"] = job.into();
                pod["metadata"]["ownerReferences"] =
                    json!([{"kind": "Job", "name": job, "controller": true}]);
                if let Some((key, value)) = state.moods.injected {
                    pod["metadata"]["labels"][key] = value.into();
                }
                pod["status"] = status;
                state.objects.push(pod);
            }
            Self::NoPod => state.objects.retain(|object| !is(object, "Pod")),
            Self::Job(status) => {
                for object in state.objects.iter_mut().filter(|object| is(object, "Job")) {
                    object["status"] = status.clone();
                }
            }
            Self::NoJob => state.objects.retain(|object| !is(object, "Job") && !is(object, "Pod")),
        }
    }
}

/// A running server.
pub struct Api {
    _runtime: Runtime,
    address: SocketAddr,
    pub shared: Shared,
    folder: tempfile::TempDir,
}

impl Api {
    /// A server that knows these objects.
    pub fn start(objects: Vec<Value>, moods: Moods) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = certificates(folder.path());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { objects, moods, version: 100, ..State::default() };
        let shared = Shared { state: Arc::new(Mutex::new(state)), changed: watch::channel(100).0 };
        let app = axum::Router::new().fallback(handle::answer).with_state(shared.clone());
        runtime.spawn(async move {
            let listener = TlsListener { listener, tls: TlsAcceptor::from(Arc::new(config)) };
            axum::serve(listener, app).await.unwrap();
        });
        let api = Self { _runtime: runtime, address, shared, folder };
        api.write_kubeconfig("config", TOKEN, "authority.pem");
        api.write_account();
        api
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }

    /// A kubeconfig for this server with context `test` and namespace `apps`.
    pub fn write_kubeconfig(&self, name: &str, token: &str, authority: &str) -> PathBuf {
        let authority = self.file(authority).display().to_string();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": self.url(), "certificate-authority": authority}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "apps"}}],
        });
        let path = self.file(name);
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// The folder that Kubernetes mounts into pods.
    fn write_account(&self) {
        let folder = self.file("account");
        fs::create_dir(&folder).unwrap();
        fs::copy(self.file("authority.pem"), folder.join("ca.crt")).unwrap();
        fs::write(folder.join("token"), TOKEN).unwrap();
        fs::write(folder.join("namespace"), "apps").unwrap();
    }
}

/// Writes `authority.pem` and `other.pem`; the server's certificate is signed by the first.
fn certificates(folder: &Path) -> rustls::ServerConfig {
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        fs::write(folder.join(format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        (params, key)
    };
    authority("other");
    let (params, key) = authority("authority");
    let issuer = Issuer::from_params(&params, &key);
    let own = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap()
}

struct TlsListener {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}
