//! Pages, scripts and pictures: all of them part of the program.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::OPENAPI;
use super::error::{ApiError, method_not_allowed};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($path:literal: $kind:expr;)*) => {
        &[$(($path, $kind, include_bytes!(concat!("../../assets/", $path)))),*]
    };
}

/// Path below `/`, type, content.
const FILES: &[(&str, &str, &[u8])] = assets! {
    "index.html": HTML;
    "favicon.svg": "image/svg+xml";
    "css/app.css": CSS;
    "js/api.js": JS;
    "js/app.js": JS;
    "js/chart.js": JS;
    "js/dom.js": JS;
    "js/format.js": JS;
    "js/heatmap.js": JS;
    "js/live.js": JS;
    "js/overview.js": JS;
    "js/proof.js": JS;
    "js/runs.js": JS;
    "js/series.js": JS;
    "js/zoom.js": JS;
    "vendor/lightweight-charts/lightweight-charts.standalone.production.mjs": JS;
    "vendor/lightweight-charts/LICENSE": TEXT;
    "vendor/lightweight-charts/NOTICE": TEXT;
};

struct Asset {
    kind: &'static str,
    bytes: &'static [u8],
    tag: HeaderValue,
}

static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(|| {
    let asset = |&(path, kind, bytes): &(&'static str, &'static str, &'static [u8])| {
        (path, Asset { kind, bytes, tag: tag(bytes) })
    };
    FILES.iter().map(asset).collect()
});

/// What tells one content from another.
fn tag(bytes: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(bytes);
    let hex: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// The page, or one of its parts.
pub(super) async fn page(request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return method_not_allowed().await.into_response();
    }
    let path = request.uri().path().trim_start_matches('/');
    match ASSETS.get(if path.is_empty() { "index.html" } else { path }) {
        Some(asset) => answer(asset, request.headers()),
        None => ApiError::new(StatusCode::NOT_FOUND, "there is nothing here")
            .hint("the dashboard is at /, its API is described at /api/openapi.json")
            .into_response(),
    }
}

pub(super) async fn openapi(headers: HeaderMap) -> Response {
    static DOCUMENT: LazyLock<Asset> = LazyLock::new(|| Asset {
        kind: "application/json",
        bytes: OPENAPI.as_bytes(),
        tag: tag(OPENAPI.as_bytes()),
    });
    answer(&DOCUMENT, &headers)
}

/// The content, unless the browser has it. It is asked for each time, so that a new program never meets an old script.
fn answer(asset: &Asset, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == asset.tag);
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { asset.bytes.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::ETAG, asset.tag.clone());
    response
}
