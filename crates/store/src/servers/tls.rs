//! Encryption: which certificates are trusted.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::fail::Cause;
use super::url::{Server, TlsMode};

/// The certificates of the authorities to trust: the given file's, or the system's.
///
/// # Errors
/// When the file is not to be read or holds no certificate, or the system trusts nobody.
pub(crate) fn authorities(server: &Server) -> Result<Vec<CertificateDer<'static>>, Cause> {
    let Some(path) = &server.ca else {
        let found = rustls_native_certs::load_native_certs();
        return if found.certs.is_empty() {
            Err("this system has no list of trusted authorities: name one with sslrootcert=FILE".into())
        } else {
            Ok(found.certs)
        };
    };
    let wrong = |why: String| Cause::from(format!("sslrootcert={}: {why}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(e.to_string()))?;
    if certificates.is_empty() { Err(wrong("no certificate in it".into())) } else { Ok(certificates) }
}

/// Whether a certificate can be an authority's.
pub(crate) fn is_usable(certificate: &CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(certificate.clone().into_owned()).is_ok()
}

/// Makes sure that code which asks for the process's cryptography finds some.
pub(crate) fn ready() {
    // Fails when the program has chosen already, which is as good.
    let _ = ring::default_provider().install_default();
}

/// The settings for a mode other than [`TlsMode::Disable`].
///
/// # Errors
/// As [`authorities`], when certificates are to be checked.
pub(crate) fn config(server: &Server) -> Result<ClientConfig, Cause> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous();
    let verifier: Arc<dyn ServerCertVerifier> = match server.tls {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Arc::new(Anybody(provider)),
        TlsMode::VerifyCa => Arc::new(AnyHost(trusting(server, provider)?)),
        TlsMode::VerifyFull => trusting(server, provider)?,
    };
    Ok(builder.with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn trusting(server: &Server, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Cause> {
    let mut roots = RootCertStore::empty();
    // A system's list may hold some that this library cannot read.
    roots.add_parsable_certificates(authorities(server)?);
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?)
}

/// Accepts every certificate: encrypted, but not proof against an active attacker.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

/// Accepts the certificates of trusted authorities, for whatever host they were issued.
#[derive(Debug)]
struct AnyHost(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for AnyHost {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
