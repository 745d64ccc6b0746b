//! The dashboard of a store of klines.
//!
//! [`serve`] answers HTTP on a listener: pages and scripts that are part of the program, a JSON API (`/api/v1`, described by
//! [`OPENAPI`]), live state as server-sent events, `/metrics`, `/healthz` and `/readyz`. [`report::html`] writes the same
//! facts as one page that needs no server.
//!
//! The store is opened for reading only. What changes anything or asks the exchange goes through [`Actions`], which the
//! program provides, and only with the [`Token`] it was given.
//!
//! The path of a request: `http::guard` (host, limits, headers) → `http::api` → [`snapshot`] for all series at once, or
//! `source` for one of them. A snapshot counts in the store's books, never in rows, is shared by all requests, and renewed
//! behind their backs, so that an answer does not wait for it however large the store is.

pub mod certified;
mod comparison;
mod config;
pub mod coverage;
mod http;
mod jobs;
mod live;
pub mod report;
pub mod runs;
pub mod snapshot;
mod source;

pub use config::{Config, Token};
pub use http::{METRICS, OPENAPI, ROUTES, app, serve};
pub use jobs::{Actions, Failure, FillRequest, VerifyRequest, Work};
pub use source::Source;
