//! The smallest HTTP server a test can script: it answers each request with whatever bytes the test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use binance::{Client, ClientConfig, Endpoints};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a request asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub query: HashMap<String, String>,
}

impl Request {
    pub fn number(&self, key: &str) -> i64 {
        self.query.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}")).parse().unwrap()
    }

    fn parse(head: &str) -> Self {
        let target = head.split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|p| p.split_once('='));
        let query = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Self { path: path.to_owned(), query }
    }
}

/// What to do with a request.
pub enum Reply {
    /// Status line and headers (without a length), and the body.
    Http(String, Vec<u8>),
    /// Announce more than is sent, then close.
    Truncated(Vec<u8>),
    /// Close without a word.
    Reset,
    /// Never answer.
    Silence,
}

pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Http("HTTP/1.1 200 OK\r\n".to_owned(), body.into())
}

pub fn status(line: &str, headers: &str, body: impl Into<Vec<u8>>) -> Reply {
    Reply::Http(format!("HTTP/1.1 {line}\r\n{headers}"), body.into())
}

type Script = Arc<dyn Fn(&Request, usize) -> Reply + Send + Sync>;

/// A running server and what it has seen.
pub struct Server {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

/// What the server's clock says, unless the script answers `/time` itself.
pub const NOW: i64 = 1_762_500_000_000;

impl Server {
    /// Answers requests for anything but the time by the script, which also gets their number, from 0.
    pub async fn start(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_raw(move |request, n| match request.path.ends_with("/time") {
            true => ok(format!("{{\"serverTime\":{NOW}}}")),
            false => script(request, n),
        })
        .await
    }

    /// Answers everything by the script; requests for the time are not counted.
    pub async fn start_raw(script: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script): (_, Script) = (seen.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, script.clone(), log.clone()));
            }
        });
        Self { addr, seen }
    }

    /// Requests seen so far, without those for the time.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().iter().filter(|r| !r.path.ends_with("/time")).cloned().collect()
    }

    pub fn config(&self) -> ClientConfig {
        config_for(&format!("http://{}", self.addr))
    }

    pub fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

/// A client that loses no time with pauses.
pub fn config_for(base: &str) -> ClientConfig {
    ClientConfig {
        endpoints: Endpoints { um: base.to_owned(), cm: base.to_owned(), spot: base.to_owned() },
        backoff: Duration::from_millis(1),
        ..ClientConfig::default()
    }
}

async fn serve(mut socket: TcpStream, script: Script, log: Arc<Mutex<Vec<Request>>>) {
    let mut input = Vec::new();
    loop {
        let end = loop {
            if let Some(i) = input.windows(4).position(|w| w == b"\r\n\r\n") {
                break i + 4;
            }
            let mut part = [0; 4096];
            match socket.read(&mut part).await {
                Ok(n) if n > 0 => input.extend_from_slice(&part[..n]),
                _ => return,
            }
        };
        let head = String::from_utf8(input.drain(..end).collect()).unwrap();
        let request = Request::parse(&head);
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request.clone());
            log.iter().filter(|r| !r.path.ends_with("/time")).count().saturating_sub(1)
        };
        match script(&request, number) {
            Reply::Http(head, body) => {
                let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
                let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
            }
            Reply::Truncated(body) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len() + 100);
                let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
                return;
            }
            Reply::Reset => return,
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// A klines body with one row per open time.
pub fn rows(opens: impl IntoIterator<Item = i64>, step: i64) -> String {
    let row = |open: i64| {
        let close = open + step - 1;
        format!("[{open},\"10.10\",\"12\",\"9\",\"11\",\"5.000\",{close},\"50\",3,\"1\",\"10\",\"0\"]")
    };
    format!("[{}]", opens.into_iter().map(row).collect::<Vec<_>>().join(","))
}

/// Answers as the exchange does: the opens of `all` inside the window asked for, oldest first unless `newest`.
pub fn window(request: &Request, all: &[i64], step: i64, newest: bool) -> Reply {
    let (start, limit) = (request.number("startTime"), request.number("limit") as usize);
    let end = if request.query.contains_key("endTime") { request.number("endTime") } else { i64::MAX };
    let inside: Vec<i64> = all.iter().copied().filter(|o| (start..=end).contains(o)).collect();
    let skip = if newest { inside.len().saturating_sub(limit) } else { 0 };
    ok(rows(inside.into_iter().skip(skip).take(limit), step))
}
