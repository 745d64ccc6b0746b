//! The dashboard without the program around it: `cargo run -p dashboard --example serve-a-store -- sqlite://klines.db 8080`.

use std::error::Error;

use dashboard::{Config, Source, serve};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: serve-a-store STORE-URL [PORT]")?;
    let port: u16 = arguments.next().unwrap_or_else(|| "8080".into()).parse()?;
    let config = Config {
        source: Source::new(&url),
        store_name: url,
        version: env!("CARGO_PKG_VERSION"),
        since: None,
        loopback: true,
        hosts: Vec::new(),
        actions: None,
    };
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    Ok(serve(listener, config, CancellationToken::new()).await?)
}
