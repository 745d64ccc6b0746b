//! Encrypted connections.

use events::{EventsError, NatsSettings, Publisher, Tls, deliver_outbox};
use rcgen::{CertificateParams, Issuer, KeyPair};

use crate::outbox::{Memory, numbered};
use crate::server::Server;

/// Writes `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key` into the folder of a server that is to use
/// them.
fn write_certificates(server: &Server) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    std::fs::write(server.file("ca.pem"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let issuer = Issuer::from_params(&ca, &ca_key);
    for (name, host) in [("server", "127.0.0.1"), ("client", "client.test")] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        std::fs::write(server.file(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(server.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

fn start(verify: bool) -> Option<Server> {
    let server = Server::reserve(&format!(
        "tls {{ cert_file: \"DIR/server.pem\", key_file: \"DIR/server.key\", ca_file: \"DIR/ca.pem\", verify: {verify} }}"
    ))?;
    write_certificates(&server);
    server.up();
    Some(server)
}

fn with_ca(server: &Server) -> NatsSettings {
    let tls = Tls { ca: Some(server.folder().join("ca.pem")), ..Tls::default() };
    NatsSettings { tls, ..server.settings() }
}

async fn fails(settings: &NatsSettings) -> EventsError {
    let error = Publisher::connect(settings).await.err().expect("no connection");
    assert!(matches!(error, EventsError::Tls { .. }), "{error:?}");
    error
}

#[tokio::test]
async fn a_server_with_tls_is_trusted_by_its_authority() {
    let Some(server) = start(false) else { return };
    let delivery = deliver_outbox(&Memory::with(numbered(3, "a")), &with_ca(&server)).await;
    assert!(delivery.is_complete() && delivery.sent == 3, "{delivery:?}");
    let publisher = Publisher::connect(&with_ca(&server)).await.unwrap();
    assert!(publisher.facts(std::time::Duration::from_secs(5)).await.unwrap().tls_required);
}

#[tokio::test]
async fn an_unknown_authority_is_said_so_with_the_setting_to_use() {
    let Some(server) = start(false) else { return };
    let error = fails(&server.settings()).await;
    assert!(error.hint().unwrap().contains("NATS_CA"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_said_so() {
    let Some(server) = start(false) else { return };
    let mut settings = with_ca(&server);
    settings.servers[0].set_host(Some("localhost")).unwrap();
    let error = fails(&settings).await;
    assert!(error.hint().unwrap().contains("other names"), "{error:?}");
}

#[tokio::test]
async fn a_client_certificate_is_used_and_its_lack_said() {
    let Some(server) = start(true) else { return };
    let mut settings = with_ca(&server);
    let error = fails(&settings).await;
    assert!(error.hint().unwrap().contains("NATS_CERT"), "{error:?}");
    settings.tls.cert = Some(server.file("client.pem"));
    settings.tls.key = Some(server.file("client.key"));
    let delivery = deliver_outbox(&Memory::with(numbered(1, "a")), &settings).await;
    assert!(delivery.is_complete() && delivery.sent == 1, "{delivery:?}");
}

#[tokio::test]
async fn tls_to_a_server_without_it_is_said_so() {
    let Some(server) = Server::start("") else { return };
    let settings = NatsSettings::from_urls(&format!("tls://127.0.0.1:{}", server.port())).unwrap();
    let error = fails(&settings).await;
    assert!(error.hint().unwrap().contains("nats://"), "{error:?}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named() {
    let Some(server) = start(false) else { return };
    std::fs::write(server.file("empty.pem"), "nothing").unwrap();
    let tls = Tls { ca: Some(server.file("empty.pem")), ..Tls::default() };
    let error = Publisher::connect(&NatsSettings { tls, ..server.settings() }).await.err().unwrap();
    assert!(error.is_usage() && error.to_string().contains("empty.pem"), "{error:?}");
}
