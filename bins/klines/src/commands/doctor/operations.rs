//! One harmless operation for each kind of target.

pub mod exchange;
pub mod nats;
pub mod otlp;
pub mod store;

/// Whether web traffic goes through a proxy: then names and connections are the proxy's business.
fn goes_by_proxy() -> bool {
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
