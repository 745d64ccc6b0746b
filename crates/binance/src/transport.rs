//! This crate's way of talking HTTP, for others: names are resolved with reasons, TLS is rustls with ring, certificates are
//! loaded when they are first needed, redirects are not followed, and a failure says why.

use std::time::Duration;

use reqwest::{Client, Url};

use crate::rest::classify::of_transport;
use crate::rest::http::{Http, host_of};
use crate::{ClientConfig, FetchError};

/// Clients for plain and for secure addresses, made when they are first needed.
pub struct Transport {
    http: Http,
    timeout: Duration,
}

impl Transport {
    /// Makes one; nothing is sent or looked up yet. An attempt may take `timeout`, unless its request says otherwise.
    pub fn new(timeout: Duration) -> Self {
        let config = ClientConfig { timeout, in_flight: 2, ..ClientConfig::default() };
        Self { http: Http::new(&config), timeout }
    }

    /// The client for an address.
    ///
    /// # Errors
    /// [`FetchError::Tls`] when TLS cannot be set up.
    pub fn client(&self, url: &Url) -> Result<&Client, FetchError> {
        self.http.client(url).as_ref().map_err(Clone::clone)
    }

    /// What an error of the client means. Addresses are left out of it: they may carry what opens doors.
    pub fn failure(&self, what: &str, url: &Url, error: reqwest::Error) -> FetchError {
        of_transport(what, &host_of(url), self.timeout, &error.without_url())
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
