//! Encryption: which certificates are trusted.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::fail::Cause;
use super::url::Server;

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
