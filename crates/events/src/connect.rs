//! Getting connected, and saying why when not.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use rustls::AlertDescription;
use tokio::time::{Instant, timeout_at};
use url::Host;

use crate::error::EventsError;
use crate::settings::{Auth, NatsSettings, name_of};
use crate::signals::Signals;

/// Connects, at the latest until `until`.
pub(crate) async fn connect(
    settings: &NatsSettings,
    signals: &Arc<Signals>,
    until: Instant,
) -> Result<Client, EventsError> {
    // Whoever was first has chosen for the process; every choice in this workspace is ring.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = options(settings, signals).await?;
    let began = Instant::now();
    resolve(settings, until).await?;
    let servers: Vec<ServerAddr> = settings
        .servers
        .iter()
        .map(|url| ServerAddr::from_url(url.clone()))
        .collect::<io::Result<_>>()
        .map_err(|error| EventsError::Settings(format!("NATS_URL: {error}")))?;
    match timeout_at(until, options.connect(servers)).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(explain(settings, error, began.elapsed())),
        Err(_) => Err(silent(settings, began.elapsed())),
    }
}

async fn options(settings: &NatsSettings, signals: &Arc<Signals>) -> Result<ConnectOptions, EventsError> {
    let heard = Arc::clone(signals);
    let mut options = ConnectOptions::new()
        .name("binance-extractor")
        .connection_timeout(settings.connect_timeout)
        .retain_servers_order()
        .event_callback(move |event| {
            let heard = Arc::clone(&heard);
            async move {
                match event {
                    Event::ServerError(error) => {
                        tracing::debug!(%error, "NATS server reports an error");
                        heard.push(error.to_string());
                    }
                    other => tracing::debug!(event = %other, "NATS connection"),
                }
            }
        });
    let tls = &settings.tls;
    if let Some(ca) = &tls.ca {
        check(ca, "certificates of the authority (NATS_CA)").await?;
        options = options.add_root_certificates(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        check(cert, "client certificate (NATS_CERT)").await?;
        check(key, "key of the client certificate (NATS_KEY)").await?;
        options = options.add_client_certificate(cert.clone(), key.clone());
    }
    if tls.first {
        options = options.tls_first();
    }
    log_in(options, &settings.auth).await
}

async fn log_in(options: ConnectOptions, auth: &Auth) -> Result<ConnectOptions, EventsError> {
    Ok(match auth {
        Auth::None => options,
        Auth::User { user, password } => {
            options.user_and_password(user.clone(), password.expose().to_owned())
        }
        Auth::Token(token) => options.token(token.expose().to_owned()),
        Auth::NkeyFile(path) => {
            let text = read(path, "nkey seed (NATS_NKEY)").await?;
            // The file may have a comment above; a seed starts with S and is one word.
            let seed = text.lines().map(str::trim).find(|line| line.starts_with('S') && !line.contains(' '));
            let seed = seed.ok_or_else(|| no_seed(path, "there is no line that looks like a seed (SU…)"))?;
            options.nkey(seed.to_owned())
        }
        Auth::CredsFile(path) => {
            let text = read(path, "credentials (NATS_CREDS)").await?;
            // The library's error could quote the file: say what is wrong in our own words.
            options.credentials(&text).map_err(|_| EventsError::File {
                what: "credentials (NATS_CREDS)",
                path: path.clone(),
                source: "it is no .creds file: a JWT and a seed between BEGIN and END lines".into(),
            })?
        }
    })
}

fn no_seed(path: &Path, why: &'static str) -> EventsError {
    EventsError::File { what: "nkey seed (NATS_NKEY)", path: path.into(), source: why.into() }
}

async fn read(path: &Path, what: &'static str) -> Result<String, EventsError> {
    tokio::fs::read_to_string(path).await.map_err(|source| EventsError::File {
        what,
        path: path.into(),
        source: source.into(),
    })
}

/// Reads a file only to say early, and by name, that it cannot be read.
async fn check(path: &Path, what: &'static str) -> Result<(), EventsError> {
    let text = read(path, what).await?;
    if text.contains("-----BEGIN ") {
        return Ok(());
    }
    Err(EventsError::File {
        what,
        path: path.into(),
        source: "it is no PEM file: there is no BEGIN line in it".into(),
    })
}

/// Fails when none of the servers' names can be resolved. The client would find out as well, but wait without a limit
/// and not tell this from a connection that hangs.
async fn resolve(settings: &NatsSettings, until: Instant) -> Result<(), EventsError> {
    let mut failure = None;
    for url in &settings.servers {
        let Some(Host::Domain(host)) = url.host() else { return Ok(()) };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| EventsError::Resolve {
            host: host.to_owned(),
            source,
            in_cluster: settings.in_cluster,
        };
        let began = Instant::now();
        let error = match timeout_at(until, tokio::net::lookup_host((host, url.port().unwrap_or(4222)))).await
        {
            Ok(Ok(addresses)) => match addresses.count() {
                0 => failed("the name has no address".into()),
                _ => return Ok(()),
            },
            Ok(Err(error)) => failed(error.into()),
            Err(_) => failed(format!("no answer from DNS within {} ms", began.elapsed().as_millis()).into()),
        };
        failure.get_or_insert(error);
    }
    failure.map_or(Ok(()), Err)
}

fn explain(settings: &NatsSettings, error: ConnectError, took: Duration) -> EventsError {
    let server = settings.names();
    if let Some(tls) = cause::<rustls::Error>(&error) {
        let advice = tls_advice(tls, settings);
        return EventsError::Tls { server, source: tls.clone().into(), advice };
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => {
            EventsError::LoginRefused { server, credentials: settings.auth.to_string() }
        }
        ConnectErrorKind::Authentication => match &settings.auth {
            Auth::NkeyFile(path) => no_seed(path, "the seed is not valid"),
            auth => EventsError::LoginRefused { server, credentials: auth.to_string() },
        },
        ConnectErrorKind::TimedOut => silent(settings, took.min(settings.connect_timeout)),
        ConnectErrorKind::Tls => {
            let advice = "check that NATS_CA, NATS_CERT and NATS_KEY hold what their names say";
            EventsError::Tls { server, source: error.into(), advice }
        }
        _ if cause::<io::Error>(&error).is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) => {
            EventsError::Refused { server, source: error.into() }
        }
        _ => EventsError::Connect { server, source: error.into() },
    }
}

fn silent(settings: &NatsSettings, after: Duration) -> EventsError {
    EventsError::Silent { server: settings.names(), after, in_cluster: settings.in_cluster }
}

fn tls_advice(error: &rustls::Error, settings: &NatsSettings) -> &'static str {
    use rustls::Error;
    match error {
        Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            "the server's certificate is not from a known authority: name the authority's PEM file in NATS_CA"
        }
        Error::InvalidCertificate(rustls::CertificateError::NotValidForName)
        | Error::InvalidCertificate(rustls::CertificateError::NotValidForNameContext { .. }) => {
            "the certificate is for other names: use one of them as the host in NATS_URL"
        }
        Error::InvalidCertificate(_) => "the server's certificate is not valid: renew it, or check the clock",
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate) => {
            "the server wants a client certificate it knows: set NATS_CERT and NATS_KEY"
        }
        Error::InvalidMessage(_) if settings.tls.first => {
            "the server greets before TLS starts: leave out NATS_TLS_FIRST"
        }
        Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port: use nats:// instead of tls://"
        }
        _ => "check the TLS settings of both sides",
    }
}

/// The first error of a type in a chain. `io::Error::source` skips the error it wraps: that one is looked at as well.
fn cause<'a, E: std::error::Error + 'static>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        let wrapped = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = wrapped.and_then(|inner| inner.downcast_ref::<E>()) {
            return Some(found);
        }
        next = current.source();
    }
    None
}

/// The name of the server a client is connected to, as given in the settings; several servers are named together.
pub(crate) fn server_name(settings: &NatsSettings) -> String {
    match settings.servers.as_slice() {
        [one] => name_of(one),
        _ => settings.names(),
    }
}
