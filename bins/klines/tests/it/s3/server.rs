//! An S3 server over a folder, which checks signatures and checksums, and the trouble it can make.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};

pub const BUCKET: &str = "klines";
pub const KEY: &str = "AKIAKLINESTEST";
pub const SECRET: &str = "s3cret/+of=the-tests";

/// Bytes of a request that get through before its connection is cut.
const CUT_AFTER: usize = 50_000;

/// A server on a port of loopback, with one bucket.
pub struct Server {
    folder: tempfile::TempDir,
    port: u16,
    busy: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Clone)]
struct Front {
    service: S3Service,
    busy: Arc<AtomicUsize>,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(folder.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let busy = Arc::new(AtomicUsize::new(0));
        let front = Front { service: builder.build(), busy: busy.clone() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = axum::Router::new().fallback(answer).with_state(front);
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { folder, port, busy, _runtime: runtime }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers so many uploads with 503 before it takes one.
    pub fn is_busy(&self, times: usize) {
        self.busy.store(times, Ordering::SeqCst);
    }

    /// The bucket as a folder.
    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// Every object by its key.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        tree(&self.bucket())
    }
}

/// Every file below a folder by its path in it.
pub fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let key = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(key, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

async fn answer(State(front): State<Front>, request: Request) -> Response {
    if request.method() == Method::PUT && take(&front.busy) {
        // An answer to what was not read whole may be lost in the reset that follows it.
        axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        let text =
            "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    let request = request.map(s3s::Body::http_body_unsync);
    match front.service.call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}")).into_response(),
    }
}

/// Takes one off a count, if there is one.
fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// Carries connections to a server, and cuts the first few in the middle of an upload.
pub struct Cutter {
    port: u16,
    left: Arc<AtomicUsize>,
}

impl Cutter {
    pub fn before(server: &Server, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, target) = (listener.local_addr().unwrap().port(), server.port);
        let left = Arc::new(AtomicUsize::new(times));
        let cuts = left.clone();
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let cuts = cuts.clone();
                // A side that hangs up ends it; there is nothing to tell.
                std::thread::spawn(move || carry(client, target, &cuts));
            }
        });
        Self { port, left }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn cuts_left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

fn carry(mut client: TcpStream, target: u16, cuts: &AtomicUsize) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", target))?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 8192];
    let mut until_cut = None;
    loop {
        let read = client.read(&mut buffer)?;
        if read == 0 {
            return server.shutdown(Shutdown::Write);
        }
        if until_cut.is_none() && buffer.starts_with(b"PUT ") && take(cuts) {
            until_cut = Some(CUT_AFTER);
        }
        server.write_all(&buffer[..read])?;
        if let Some(left) = &mut until_cut {
            *left = left.saturating_sub(read);
            if *left == 0 {
                // What the client has sent meanwhile stays unread: the system tells it by a reset.
                server.shutdown(Shutdown::Both)?;
                return client.shutdown(Shutdown::Both);
            }
        }
    }
}
