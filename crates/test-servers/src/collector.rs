//! Collectors that keep what they get: one over HTTP, one over gRPC.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::codec::CompressionEncoding;
use tonic::codegen::tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Response, Status};

/// What arrived.
#[derive(Debug, Default)]
pub struct Got {
    /// Spans.
    pub traces: Vec<ExportTraceServiceRequest>,
    /// Metrics.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Log records.
    pub logs: Vec<ExportLogsServiceRequest>,
    /// Path and headers of each request.
    pub requests: Vec<(String, Vec<(String, String)>)>,
}

impl Got {
    /// The values of a header in all requests.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.requests.iter().flat_map(|(_, headers)| headers);
        headers.filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What arrived, while more arrives.
pub type Shared = Arc<Mutex<Got>>;

/// A collector on a runtime of its own.
#[derive(Debug)]
pub struct Collector {
    _runtime: Runtime,
    address: SocketAddr,
    /// What it got until now.
    pub got: Shared,
}

impl Collector {
    /// Its endpoint, unencrypted.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A collector that speaks HTTP.
    pub fn http() -> Self {
        Self::http_answering(StatusCode::OK)
    }

    /// A collector that speaks HTTP and answers everything with this status.
    pub fn http_answering(status: StatusCode) -> Self {
        Self::start(|listener, got| async move {
            let app = axum::Router::new().fallback(receive).with_state((got, status));
            axum::serve(listener, app).await.unwrap();
        })
    }

    /// A collector that speaks HTTP, encrypted.
    pub fn https(certificate: &str, key: &str) -> Self {
        let chain =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        Self::start(|listener, got| async move {
            let listener = TlsListener { listener, tls: TlsAcceptor::from(Arc::new(config)) };
            let app = axum::Router::new().fallback(receive).with_state((got, StatusCode::OK));
            axum::serve(listener, app).await.unwrap();
        })
    }

    /// A collector that speaks gRPC, encrypted if there is an identity.
    pub fn grpc(identity: Option<Identity>) -> Self {
        Self::start(|listener, got| async move {
            let service = Service(got);
            let mut server = Server::builder();
            if let Some(identity) = identity {
                server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
            }
            let gzip = CompressionEncoding::Gzip;
            server
                .add_service(TraceServiceServer::new(service.clone()).accept_compressed(gzip))
                .add_service(MetricsServiceServer::new(service.clone()).accept_compressed(gzip))
                .add_service(LogsServiceServer::new(service).accept_compressed(gzip))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        })
    }

    fn start<F: Future<Output = ()> + Send + 'static>(serve: impl FnOnce(TcpListener, Shared) -> F) -> Self {
        let runtime = Runtime::new().unwrap();
        let got = Shared::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, Arc::clone(&got)));
        Self { _runtime: runtime, address, got }
    }
}

/// A certificate for `localhost` and its key, as PEM.
pub fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
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

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

async fn receive(State((got, status)): State<(Shared, StatusCode)>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let mut got = got.lock().unwrap();
    if parts.headers.contains_key("content-encoding") {
        assert_eq!(&body[..2], &[0x1f, 0x8b], "the body is gzip");
    } else {
        decode(&mut got, parts.uri.path(), body);
    }
    got.requests.push((parts.uri.path().to_owned(), plain(&parts.headers)));
    status
}

fn decode(got: &mut Got, path: &str, body: Bytes) {
    match path.rsplit('/').next() {
        Some("traces") => got.traces.push(ExportTraceServiceRequest::decode(body).unwrap()),
        Some("metrics") => got.metrics.push(ExportMetricsServiceRequest::decode(body).unwrap()),
        Some("logs") => got.logs.push(ExportLogsServiceRequest::decode(body).unwrap()),
        _ => {}
    }
}

fn plain(headers: &HeaderMap) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned())).collect()
}

#[derive(Clone)]
struct Service(Shared);

impl Service {
    fn note<T>(&self, path: &str, request: tonic::Request<T>) -> T {
        let (metadata, _, body) = request.into_parts();
        self.0.lock().unwrap().requests.push((path.to_owned(), plain(&metadata.into_headers())));
        body
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let body = self.note("traces", request);
        self.0.lock().unwrap().traces.push(body);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let body = self.note("metrics", request);
        self.0.lock().unwrap().metrics.push(body);
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let body = self.note("logs", request);
        self.0.lock().unwrap().logs.push(body);
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}
