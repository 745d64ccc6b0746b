//! Which of MySQL's and MariaDB's errors mean what.

use std::io;

use mysql_async::{DriverError, Error, IoError};
use rustls::CertificateError;
use rustls::pki_types::ServerName;

use crate::servers::fail::{Cause, Class, Fault};

/// Sorts an error. The driver's own texts repeat their cause, so the innermost error that says something is kept.
pub(super) fn fault(error: Error) -> Fault {
    let (class, source): (Class, Cause) = match error {
        Error::Server(error) => (class_of(error.code, &error.message), error.into()),
        // What the TLS library complains about comes as the first kind; it will not pass by itself.
        Error::Io(IoError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            (Class::Other, error.into())
        }
        Error::Io(IoError::Io(error)) => (Class::Lost, error.into()),
        Error::Io(error @ IoError::Tls(_)) => (Class::Other, error.into()),
        Error::Driver(error @ (DriverError::ConnectionClosed | DriverError::PoolDisconnected)) => {
            (Class::Lost, error.into())
        }
        Error::Driver(error) => (Class::Other, error.into()),
        other => (Class::Other, other.into()),
    };
    Fault::Engine(class, source)
}

/// A name for which a certificate was issued that was refused for its name alone.
pub(super) fn presented_name(error: &Error) -> Option<String> {
    let Error::Io(IoError::Io(error)) = error else { return None };
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            presented.iter().find_map(|name| name_in(name))
        }
        _ => None,
    }
}

/// The name in `DnsName("db.example")` or `IpAddress(127.0.0.1)`; some host of a wildcard.
fn name_in(shown: &str) -> Option<String> {
    let inner = shown.split_once('(')?.1.strip_suffix(')')?;
    let name = inner.trim_matches('"').replace('*', "any");
    ServerName::try_from(name.clone()).is_ok().then_some(name)
}

/// Both servers' codes; a code that only one of them has means nothing else in the other.
fn class_of(code: u16, message: &str) -> Class {
    match code {
        // Shutting down, killed, idle for too long.
        1053 | 1077 | 1078 | 1079 | 1927 | 2006 | 2013 | 4031 => Class::Lost,
        1205 | 1213 | 1020 | 3572 => Class::Conflict,
        1062 | 1586 => Class::Duplicate,
        1045 | 1698 | 1130 | 1044 | 1251 | 4151 => Class::Login,
        // Of the last two: triggers with the binary log on; a view's or routine's definer.
        1142 | 1143 | 1227 | 1370 | 1419 | 1410 => Class::Denied,
        1290 | 1792 | 1836 => Class::ReadOnly,
        1021 | 1114 => Class::Full,
        // Errors of files, whose text says why.
        3 | 1026 | 1030 | 1041 if message.contains("No space left") || message.contains("error 28") => {
            Class::Full
        }
        1969 | 3024 => Class::Slow,
        1040 | 1203 | 1226 => Class::Crowded,
        1146 => Class::NoTable,
        1050 | 1347 => Class::Exists,
        1148 | 3948 | 4166 => Class::Unsupported,
        _ => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_what_the_tls_library_shows() {
        for (shown, name) in [
            ("IpAddress(127.0.0.1)", Some("127.0.0.1")),
            ("DnsName(\"db.example\")", Some("db.example")),
            ("DnsName(\"*.example\")", Some("any.example")),
            ("DirectoryName", None),
            ("DnsName(\"not a name\")", None),
        ] {
            assert_eq!(name_in(shown).as_deref(), name, "{shown}");
        }
    }
}
