//! Which server, which database, and how to talk to it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{StoreError, StoreResult};

/// How a connection is protected, in the words of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted when the server can; the certificate is not checked.
    Prefer,
    /// Always encrypted; the certificate is not checked.
    Require,
    /// Encrypted, and the certificate was issued by a trusted authority.
    VerifyCa,
    /// As [`VerifyCa`](Self::VerifyCa), and it was issued for this host.
    VerifyFull,
}

/// A database server, as a URL names it. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Scheme without what a driver's name adds: `mysql`, `postgres`.
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Option<String>,
    pub(crate) database: String,
    /// PostgreSQL: the schema that holds the tables, instead of the user's first.
    pub(crate) schema: Option<String>,
    pub(crate) tls: TlsMode,
    /// Authorities to trust instead of the system's.
    pub(crate) ca: Option<PathBuf>,
    /// Connections at the same time.
    pub(crate) pool: usize,
    /// How long to wait for a connection: from the server, and from the pool.
    pub(crate) connect_timeout: Duration,
    /// How long one statement may take.
    pub(crate) statement_timeout: Duration,
    /// How long to go on trying when the server went away.
    pub(crate) retry: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("place", &self.place()).field("tls", &self.tls).finish_non_exhaustive()
    }
}

const OPTIONS: &str =
    "sslmode, tls, sslrootcert (ssl-ca), pool, connect_timeout, statement_timeout, retry, schema";

impl Server {
    /// Reads `SCHEME://USER:PASSWORD@HOST:PORT/DATABASE?OPTION=VALUE&…`. User, password and database may be
    /// percent-encoded.
    ///
    /// # Errors
    /// [`StoreError::BadUrl`], which never repeats the URL: it may hold a password.
    pub(crate) fn parse(url: &str, scheme: &'static str, port: u16) -> StoreResult<Self> {
        let bad = |what: String| StoreError::BadUrl(format!("{scheme}: {what}"));
        let parsed = url::Url::parse(url).map_err(|why| {
            bad(format!("{why}; in a user or password, write @ : / ? # % as %40 %3A %2F %3F %23 %25"))
        })?;
        let text = |part: &str| decode(part).ok_or_else(|| bad("a %-code is no UTF-8 text".into()));
        let host = match parsed.host_str() {
            Some(host) if !host.is_empty() => text(host.trim_matches(['[', ']']))?,
            _ => return Err(bad(format!("no host: write {scheme}://USER@HOST/DATABASE"))),
        };
        let database = text(parsed.path().trim_start_matches('/'))?;
        if database.is_empty() || database.contains(['/', '\0']) {
            return Err(bad(format!("no database: write {scheme}://USER@HOST/DATABASE")));
        }
        let user = text(parsed.username())?;
        let mut server = Self {
            scheme,
            host,
            port: parsed.port().unwrap_or(port),
            user: if user.is_empty() { default_user(scheme).into() } else { user },
            password: parsed.password().map(text).transpose()?,
            database,
            schema: None,
            tls: TlsMode::Prefer,
            ca: None,
            pool: 8,
            connect_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(120),
            retry: Duration::from_secs(60),
        };
        let mut tls = None;
        for (name, value) in parsed.query_pairs() {
            server.option(&name, &value, &mut tls).map_err(bad)?;
        }
        // Whoever names an authority wants the certificate checked.
        let unsaid = if server.ca.is_some() { TlsMode::VerifyFull } else { TlsMode::Prefer };
        server.tls = match tls {
            Some(TlsMode::Require) if server.ca.is_some() => TlsMode::VerifyCa,
            said => said.unwrap_or(unsaid),
        };
        Ok(server)
    }

    fn option(&mut self, name: &str, value: &str, tls: &mut Option<TlsMode>) -> Result<(), String> {
        let seconds = |most: u64| match value.parse::<u64>() {
            Ok(n @ 1..) if n <= most => Ok(Duration::from_secs(n)),
            _ => Err(format!("{name} takes whole seconds from 1 to {most}")),
        };
        match name.to_ascii_lowercase().replace('_', "-").as_str() {
            "sslmode" | "ssl-mode" | "tls" | "ssl" => *tls = Some(mode(name, value)?),
            "sslrootcert" | "ssl-ca" | "tls-ca" => self.ca = Some(value.into()),
            "pool" | "pool-size" => {
                self.pool = value
                    .parse()
                    .ok()
                    .filter(|n| (1..=1000).contains(n))
                    .ok_or(format!("{name} takes 1 to 1000"))?;
            }
            "connect-timeout" => self.connect_timeout = seconds(600)?,
            "statement-timeout" => self.statement_timeout = seconds(86_400)?,
            "retry" => self.retry = seconds(86_400)?,
            "schema" if self.scheme == "postgres" && !value.is_empty() => self.schema = Some(value.into()),
            // Other programs' URLs say it; here it is always UTF-8.
            "charset" => {}
            _ => return Err(format!("unknown option `{name}`; known are {OPTIONS}")),
        }
        Ok(())
    }

    /// The server and database for people: no user, no password.
    pub(crate) fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{}://{host}:{}/{}", self.scheme, self.port, self.database)
    }
}

fn default_user(scheme: &str) -> &'static str {
    if scheme == "postgres" { "postgres" } else { "root" }
}

fn mode(name: &str, value: &str) -> Result<TlsMode, String> {
    Ok(match value.to_ascii_lowercase().replace('_', "-").as_str() {
        "disable" | "disabled" | "false" | "0" | "off" => TlsMode::Disable,
        "prefer" | "preferred" | "allow" => TlsMode::Prefer,
        "require" | "required" | "skip-verify" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" | "verify-identity" | "true" | "1" | "on" => TlsMode::VerifyFull,
        _ => {
            return Err(format!("{name} takes disable, prefer, require, verify-ca or verify-full"));
        }
    })
}

/// Undoes percent-encoding; a `%` that begins no code stands for itself.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match rest {
            [b'%', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &rest[3..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        Server::parse(url, "mysql", 3306).unwrap()
    }

    #[test]
    fn a_url_names_user_password_host_port_and_database() {
        let s = server("mysql+pymysql://al%40ice:p%2Fa%23s%25@db.example:3307/kl%C3%ADnes?charset=utf8mb4");
        assert_eq!((s.user.as_str(), s.password.as_deref()), ("al@ice", Some("p/a#s%")));
        assert_eq!((s.host.as_str(), s.port, s.database.as_str()), ("db.example", 3307, "klínes"));
        let s = server("mariadb://[::1]/k");
        assert_eq!((s.user.as_str(), s.host.as_str(), s.port), ("root", "::1", 3306));
        assert_eq!(s.place(), "mysql://[::1]:3306/k");
    }

    #[test]
    fn a_percent_sign_that_begins_no_code_is_itself() {
        assert_eq!(server("mysql://u:100%@h/d").password.as_deref(), Some("100%"));
        assert_eq!(server("mysql://u:p@ss@h/d").password.as_deref(), Some("p@ss"));
    }

    #[test]
    fn options_are_read_in_the_words_of_either_world() {
        let s = server(
            "mysql://h/d?sslmode=verify-ca&ssl-ca=/ca.pem&pool=3&connect_timeout=2&statement_timeout=9&retry=7",
        );
        assert_eq!((s.tls, s.ca.as_deref(), s.pool), (TlsMode::VerifyCa, Some("/ca.pem".as_ref()), 3));
        assert_eq!([s.connect_timeout, s.statement_timeout, s.retry].map(|d| d.as_secs()), [2, 9, 7]);
        for (query, want) in [
            ("", TlsMode::Prefer),
            ("?tls=false", TlsMode::Disable),
            ("?tls=true", TlsMode::VerifyFull),
            ("?ssl-mode=VERIFY_IDENTITY", TlsMode::VerifyFull),
            ("?tls=skip-verify", TlsMode::Require),
            ("?sslrootcert=/ca", TlsMode::VerifyFull),
            ("?sslrootcert=/ca&sslmode=require", TlsMode::VerifyCa),
        ] {
            assert_eq!(server(&format!("mysql://h/d{query}")).tls, want, "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "mysql://u:secret@h",
            "mysql://u:secret@h/",
            "mysql://u:secret@/d",
            "mysql://u:sec/ret@h/d",
            "mysql://u:secret@h:port/d",
            "mysql://u:secret@h/d?pool=0",
            "mysql://u:secret@h/d?pool=x",
            "mysql://u:secret@h/d?sslmode=maybe",
            "mysql://u:secret@h/d?colour=red",
            "mysql://u:secret@h/d?connect_timeout=0",
            "mysql://u:secret@h/d?schema=x",
            "mysql://u:%FFsecret@h/d",
        ] {
            let error = Server::parse(url, "mysql", 3306).unwrap_err();
            assert!(matches!(error, StoreError::BadUrl(_)), "{url}: {error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        assert!(!format!("{:?}", server("mysql://u:secret@h/d")).contains("secret"));
    }
}
