//! A collector: does it take an export of nothing?

use std::time::Instant;

use pipeline::error::chain;
use reqwest::{Certificate, Client, RequestBuilder};
use telemetry::{Protocol, Target};

use super::goes_by_proxy;
use crate::commands::doctor::check::{Check, Log, Trouble};
use crate::commands::doctor::net;
use crate::commands::doctor::plan::Plan;
use crate::commands::doctor::pod::Pod;
use crate::commands::show::masked;

/// An empty message as gRPC frames it: not compressed, no bytes.
const EMPTY_FRAME: [u8; 5] = [0; 5];
/// What gRPC clients call when they export traces.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Checks every collector.
pub async fn check(plan: &Plan, pod: Option<&Pod>) -> Vec<Check> {
    let mut checks = Vec::new();
    for (site, targets) in &plan.collectors {
        // A run that cannot be watched is a run all the same.
        let mut log = Log::new("otlp", &site.shown, false);
        if goes_by_proxy() || net::reach(&mut log, &site.place, pod).await.is_some() {
            for target in targets {
                log.target = masked(&target.url);
                let began = Instant::now();
                let result = export(target).await;
                log.note("export", began, result);
            }
        }
        checks.append(&mut log.checks);
    }
    checks
}

async fn export(target: &Target) -> Result<String, Trouble> {
    let failed = |error: reqwest::Error| {
        let text = chain(&error.without_url());
        let hint = text.contains("certificate").then(|| net::tls_advice(&text).to_owned());
        Trouble::new(text, hint)
    };
    let answer = request(target)?.send().await.map_err(failed)?;
    let grpc = answer.headers().get("grpc-status").and_then(|status| status.to_str().ok()).map(str::to_owned);
    let status = answer.status();
    match (status.as_u16(), grpc.as_deref()) {
        (200..=299, None | Some("0")) => Ok(format!("takes exports ({})", target.protocol.as_str())),
        (401 | 403, _) | (_, Some("7" | "16")) => Err(Trouble::new(
            format!("refuses the credentials (HTTP {status})"),
            Some("check OTEL_EXPORTER_OTLP_HEADERS".into()),
        )),
        (404 | 405 | 415, _) | (_, Some("12")) => Err(Trouble::new(
            format!("does not know what to do with an export (HTTP {status})"),
            Some(
                "check the path of OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_PROTOCOL: port 4317 speaks gRPC, port 4318 \
                 HTTP"
                    .into(),
            ),
        )),
        (_, Some(code)) => Err(Trouble::new(format!("refused with gRPC status {code}"), None)),
        _ => Err(Trouble::new(format!("refused with HTTP {status}"), None)),
    }
}

fn request(target: &Target) -> Result<RequestBuilder, Trouble> {
    let wrong = |text: String| Trouble::new(text, Some("check the OTEL_EXPORTER_OTLP_* variables".into()));
    let is_grpc = target.protocol == Protocol::Grpc;
    let mut builder = Client::builder().timeout(target.timeout);
    if is_grpc {
        builder = builder.http2_prior_knowledge();
    }
    if let Some(path) = &target.tls.ca {
        let unusable =
            |why: String| wrong(format!("cannot use the certificates in {}: {why}", path.display()));
        let pem = std::fs::read(path).map_err(|e| unusable(e.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.to_string()))?;
        builder = builder.tls_certs_only(certificates);
    }
    let client = builder.build().map_err(|e| wrong(chain(&e)))?;
    let mut request = if is_grpc {
        let base = target.url.trim_end_matches('/');
        client
            .post(format!("{base}{EXPORT}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(EMPTY_FRAME.to_vec())
    } else {
        client.post(&target.url).header("content-type", "application/x-protobuf").body(Vec::new())
    };
    for (name, value) in target.headers.iter() {
        request = request.header(name, value);
    }
    Ok(request)
}
