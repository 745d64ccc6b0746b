//! The exporters of the three signals, over HTTP or gRPC.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::LogBatch;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::trace::SpanData;
use opentelemetry_sdk::{Resource, logs, metrics, trace};

use crate::health::Health;
use crate::settings::{Protocol, Target, Tls};

/// Longest wait for a connection to the collector.
const CONNECT: Duration = Duration::from_secs(3);

/// An exporter whose failures are noted in its signal's [`Health`].
#[derive(Debug)]
pub(crate) struct Watched<E> {
    exporter: E,
    health: Arc<Health>,
}

impl<E> Watched<E> {
    fn note(&self, result: &OTelSdkResult) {
        if let Err(error) = result {
            self.health.failed(&error.to_string());
        }
    }
}

impl<E: trace::SpanExporter> trace::SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.note(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: metrics::exporter::PushMetricExporter> metrics::exporter::PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.note(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

impl<E: logs::LogExporter> logs::LogExporter for Watched<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.note(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// A blocking client, for the exporters' own threads, that notes why a request failed.
#[derive(Debug)]
struct WatchedClient {
    client: reqwest::blocking::Client,
    health: Arc<Health>,
}

#[async_trait]
impl HttpClient for WatchedClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.client.send_bytes(request).await;
        if let Err(error) = &result {
            self.health.caused_by(error.as_ref());
        }
        result
    }
}

/// Makes the exporter of one signal over the protocol that was chosen: the three builders have the same methods and no
/// trait in common.
macro_rules! exporter {
    ($kind:ident, $target:expr, $health:expr) => {{
        let (target, health): (&Target, &Arc<Health>) = ($target, $health);
        let built = match target.protocol {
            Protocol::HttpProtobuf => {
                let mut builder = $kind::builder()
                    .with_http()
                    .with_endpoint(target.url.clone())
                    .with_timeout(target.timeout)
                    .with_headers(target.headers.0.iter().cloned().collect())
                    .with_http_client(http_client(target, health)?);
                if target.gzip {
                    builder = builder.with_compression(Compression::Gzip);
                }
                builder.build()
            }
            Protocol::Grpc => {
                let mut builder = $kind::builder()
                    .with_tonic()
                    .with_endpoint(target.url.clone())
                    .with_timeout(target.timeout)
                    .with_metadata(metadata(target)?);
                if let Some(tls) = grpc_tls(target)? {
                    builder = builder.with_tls_config(tls);
                }
                if target.gzip {
                    builder = builder.with_compression(Compression::Gzip);
                }
                builder.build()
            }
        };
        let exporter = built.map_err(|error| error.to_string())?;
        Ok(Watched { exporter, health: Arc::clone(health) })
    }};
}

/// The exporter of traces. Over gRPC this needs a runtime to be entered.
pub(crate) fn spans(target: &Target, health: &Arc<Health>) -> Result<Watched<SpanExporter>, String> {
    exporter!(SpanExporter, target, health)
}

/// The exporter of metrics.
pub(crate) fn metrics(target: &Target, health: &Arc<Health>) -> Result<Watched<MetricExporter>, String> {
    exporter!(MetricExporter, target, health)
}

/// The exporter of logs.
pub(crate) fn logs(target: &Target, health: &Arc<Health>) -> Result<Watched<LogExporter>, String> {
    exporter!(LogExporter, target, health)
}

fn http_client(target: &Target, health: &Arc<Health>) -> Result<WatchedClient, String> {
    let mut builder = reqwest::blocking::Client::builder()
        .timeout(target.timeout)
        .connect_timeout(CONNECT.min(target.timeout))
        // The headers hold keys: they go to the collector that was named and nowhere else.
        .redirect(reqwest::redirect::Policy::none());
    if let Some(ca) = &target.tls.ca {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(ca)?)
            .map_err(|error| format!("no certificates in {}: {error}", ca.display()))?;
        builder = builder.tls_certs_only(certificates);
    }
    if let Some((cert, key)) = client_identity(&target.tls)? {
        let both = [cert, key].concat();
        let identity = reqwest::Identity::from_pem(&both)
            .map_err(|error| format!("client certificate or key cannot be used: {error}"))?;
        builder = builder.identity(identity);
    }
    // A blocking client must not be made inside a runtime; on a thread of its own it never is.
    let made = std::thread::scope(|scope| scope.spawn(|| builder.build()).join());
    match made {
        Ok(Ok(client)) => Ok(WatchedClient { client, health: Arc::clone(health) }),
        Ok(Err(error)) => Err(format!("no HTTP client: {error}")),
        Err(_) => Err("no HTTP client: its set-up panicked".into()),
    }
}

fn metadata(target: &Target) -> Result<MetadataMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &target.headers.0 {
        let bad = |_| format!("the header {name} cannot be sent");
        let key =
            http::HeaderName::try_from(name.as_str()).map_err(|_| format!("`{name}` is no header name"))?;
        headers.insert(key, http::HeaderValue::from_str(value).map_err(bad)?);
    }
    Ok(MetadataMap::from_headers(headers))
}

fn grpc_tls(target: &Target) -> Result<Option<ClientTlsConfig>, String> {
    if !target.url.starts_with("https://") {
        return Ok(None);
    }
    let mut tls = ClientTlsConfig::new();
    tls = match &target.tls.ca {
        Some(ca) => tls.ca_certificate(Certificate::from_pem(read(ca)?)),
        None => tls.with_native_roots(),
    };
    if let Some((cert, key)) = client_identity(&target.tls)? {
        tls = tls.identity(Identity::from_pem(cert, key));
    }
    Ok(Some(tls))
}

type CertAndKey = (Vec<u8>, Vec<u8>);

/// Certificate and key of this client, if it has them.
fn client_identity(tls: &Tls) -> Result<Option<CertAndKey>, String> {
    match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => Ok(Some((read(cert)?, read(key)?))),
        (None, None) => Ok(None),
        _ => {
            Err("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY belong together: set both or none"
                .into())
        }
    }
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
