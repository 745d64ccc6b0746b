//! Where NATS is and how to log in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::EventsError;
use crate::secret::Secret;

/// The variables that [`NatsSettings::from_lookup`] asks for. Those beside `NATS_ENABLED` and `NATS_TIMEOUT` are the
/// ones of the `nats` command line tool.
pub const VARIABLES: [&str; 12] = [
    "NATS_URL",
    "NATS_ENABLED",
    "NATS_USER",
    "NATS_PASSWORD",
    "NATS_TOKEN",
    "NATS_NKEY",
    "NATS_CREDS",
    "NATS_CA",
    "NATS_CERT",
    "NATS_KEY",
    "NATS_TLS_FIRST",
    "NATS_TIMEOUT",
];

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// With a user and a password.
    User {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// With a token.
    Token(Secret),
    /// With the key whose seed is in this file.
    NkeyFile(PathBuf),
    /// With the JWT and the key in this `.creds` file.
    CredsFile(PathBuf),
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("a client without credentials"),
            Self::User { user, .. } => write!(f, "user `{user}` and a password"),
            Self::Token(_) => f.write_str("a token"),
            Self::NkeyFile(path) => write!(f, "the nkey in {}", path.display()),
            Self::CredsFile(path) => write!(f, "the credentials in {}", path.display()),
        }
    }
}

/// Options of encrypted connections. A server that wants TLS gets it whatever is said here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM file of this client's certificate.
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// Whether TLS starts before the server's greeting (`handshake_first` of the server).
    pub first: bool,
}

/// Settings of the connection. `Debug` shows no password, no token and no credentials of a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsSettings {
    /// Servers, tried in turn; without credentials. Scheme `nats` or `tls`.
    pub servers: Vec<Url>,
    /// Whether messages are sent at all.
    pub enabled: bool,
    /// How to log in.
    pub auth: Auth,
    /// TLS.
    pub tls: Tls,
    /// How long one address may take to connect, greet and log in.
    pub connect_timeout: Duration,
    /// How long a whole delivery may take, connecting included.
    pub deadline: Duration,
    /// Whether this runs in a Kubernetes pod: hints then speak of network policies.
    pub in_cluster: bool,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            enabled: true,
            auth: Auth::None,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(10),
            in_cluster: false,
        }
    }
}

impl fmt::Debug for NatsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsSettings")
            .field("servers", &self.names())
            .field("enabled", &self.enabled)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("deadline", &self.deadline)
            .field("in_cluster", &self.in_cluster)
            .finish()
    }
}

impl NatsSettings {
    /// Settings from named values: the environment, or anything that answers to [`VARIABLES`].
    ///
    /// # Errors
    /// [`EventsError::Settings`], which names the variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, EventsError> {
        let get = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let mut settings = Self { in_cluster: get("KUBERNETES_SERVICE_HOST").is_some(), ..Self::default() };
        if let Some(text) = get("NATS_ENABLED") {
            settings.enabled = boolean("NATS_ENABLED", &text)?;
        }
        if !settings.enabled {
            // Whatever else is set is of no consequence, mistakes included.
            return Ok(settings);
        }
        if let Some(text) = get("NATS_URL") {
            settings.add_urls(&text)?;
        }
        if let Some(auth) = explicit_auth(&get)? {
            settings.auth = auth;
        }
        settings.tls = Tls {
            ca: get("NATS_CA").map(PathBuf::from),
            cert: get("NATS_CERT").map(PathBuf::from),
            key: get("NATS_KEY").map(PathBuf::from),
            first: get("NATS_TLS_FIRST").map(|t| boolean("NATS_TLS_FIRST", &t)).transpose()?.unwrap_or(false),
        };
        if settings.tls.cert.is_some() != settings.tls.key.is_some() {
            return Err(EventsError::Settings(
                "NATS_CERT and NATS_KEY belong together: set both or none".into(),
            ));
        }
        if let Some(text) = get("NATS_TIMEOUT") {
            settings.deadline = seconds("NATS_TIMEOUT", &text)?;
            settings.connect_timeout = settings.connect_timeout.min(settings.deadline);
        }
        Ok(settings)
    }

    /// Settings for a list of URLs, separated by commas, with or without credentials in them:
    /// `nats://user:password@host:4222`, `nats://token@host`, `tls://host`, `host:4222`.
    ///
    /// # Errors
    /// [`EventsError::Settings`]; the text holds no credentials.
    pub fn from_urls(urls: &str) -> Result<Self, EventsError> {
        let mut settings = Self::default();
        settings.add_urls(urls)?;
        Ok(settings)
    }

    /// Whether there is anything to connect to and the wish to do so.
    pub fn is_on(&self) -> bool {
        self.enabled && !self.servers.is_empty()
    }

    /// The servers for people: `nats://nats-0:4222, nats://nats-1:4222`.
    pub fn names(&self) -> String {
        self.servers.iter().map(name_of).collect::<Vec<_>>().join(", ")
    }

    fn add_urls(&mut self, urls: &str) -> Result<(), EventsError> {
        for text in urls.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (url, auth) = parse_url(text)?;
            if auth != Auth::None {
                if self.auth != Auth::None && self.auth != auth {
                    return Err(EventsError::Settings(
                        "the servers in NATS_URL have different credentials: one set serves all of them"
                            .into(),
                    ));
                }
                self.auth = auth;
            }
            self.servers.push(url);
        }
        Ok(())
    }
}

/// A server for people: scheme, host and port, no more.
pub(crate) fn name_of(url: &Url) -> String {
    format!("{}://{}:{}", url.scheme(), url.host_str().unwrap_or(""), url.port().unwrap_or(4222))
}

/// Splits a URL into server and credentials. No error repeats the text: a URL that cannot be read may be one big secret.
fn parse_url(text: &str) -> Result<(Url, Auth), EventsError> {
    let bad = |why: &str| EventsError::Settings(format!("NATS_URL {why}; it looks like nats://HOST:4222"));
    let full = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let mut url = Url::parse(&full).map_err(|error| bad(&format!("cannot be read: {error}")))?;
    match url.scheme() {
        "nats" | "tls" => {}
        other => return Err(bad(&format!("has the scheme `{other}`: use nats:// or tls://"))),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("names no host"));
    }
    let user = decoded(url.username());
    let auth = match url.password().map(decoded) {
        Some(password) => Auth::User { user, password: Secret::new(password) },
        None if user.is_empty() => Auth::None,
        None => Auth::Token(Secret::new(user)),
    };
    let stripped = url.set_username("").is_ok() && url.set_password(None).is_ok();
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    if stripped { Ok((url, auth)) } else { Err(bad("cannot be read")) }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn explicit_auth(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Auth>, EventsError> {
    let mut found: Vec<(&str, Auth)> = Vec::new();
    match (get("NATS_USER"), get("NATS_PASSWORD")) {
        (Some(user), password) => {
            let password = Secret::new(password.unwrap_or_default());
            found.push(("NATS_USER", Auth::User { user, password }));
        }
        (None, Some(_)) => {
            return Err(EventsError::Settings("NATS_PASSWORD is set, but NATS_USER is not".into()));
        }
        (None, None) => {}
    }
    if let Some(token) = get("NATS_TOKEN") {
        found.push(("NATS_TOKEN", Auth::Token(Secret::new(token))));
    }
    if let Some(path) = get("NATS_NKEY") {
        found.push(("NATS_NKEY", Auth::NkeyFile(path.into())));
    }
    if let Some(path) = get("NATS_CREDS") {
        found.push(("NATS_CREDS", Auth::CredsFile(path.into())));
    }
    if found.len() > 1 {
        let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
        return Err(EventsError::Settings(format!(
            "{} are set: choose one way to log in",
            names.join(" and ")
        )));
    }
    Ok(found.pop().map(|(_, auth)| auth))
}

fn boolean(name: &str, text: &str) -> Result<bool, EventsError> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(EventsError::Settings(format!("{name} is `{text}`: use true or false"))),
    }
}

/// `5`, `5s`, `500ms`, `1m`; more than zero, at most an hour.
fn seconds(name: &str, text: &str) -> Result<Duration, EventsError> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1000,
        "ms" => 1,
        "m" => 60_000,
        _ => 0,
    };
    let millis = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    match millis {
        Some(ms @ 1..=3_600_000) => Ok(Duration::from_millis(ms)),
        _ => Err(EventsError::Settings(format!(
            "{name} is `{text}`: use a time like 10s or 500ms, at most 1h"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<NatsSettings, EventsError> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        NatsSettings::from_lookup(|name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()))
    }

    #[test]
    fn no_url_means_off() {
        assert!(!settings(&[]).unwrap().is_on());
        assert!(!settings(&[("NATS_URL", "  ")]).unwrap().is_on());
    }

    #[test]
    fn disabled_means_off_whatever_the_url() {
        let off = settings(&[("NATS_URL", "nonsense://"), ("NATS_ENABLED", "False")]).unwrap();
        assert!(!off.is_on());
    }

    #[test]
    fn several_servers_share_the_credentials_of_the_url() {
        let s = settings(&[("NATS_URL", "nats://joe:p%40ss@a:4222, tls://b, c:4223")]).unwrap();
        assert_eq!(s.names(), "nats://a:4222, tls://b:4222, nats://c:4223");
        assert_eq!(s.auth, Auth::User { user: "joe".into(), password: Secret::new("p@ss") });
        assert!(settings(&[("NATS_URL", "nats://a:1@h,nats://b:2@h")]).is_err());
    }

    #[test]
    fn a_lone_user_in_the_url_is_a_token() {
        assert_eq!(
            settings(&[("NATS_URL", "nats://t0ken@a")]).unwrap().auth,
            Auth::Token(Secret::new("t0ken"))
        );
    }

    #[test]
    fn variables_win_over_the_url_and_must_be_of_one_kind() {
        let s = settings(&[("NATS_URL", "nats://a:b@h"), ("NATS_CREDS", "/c.creds")]).unwrap();
        assert_eq!(s.auth, Auth::CredsFile("/c.creds".into()));
        let both = settings(&[("NATS_URL", "h"), ("NATS_TOKEN", "x"), ("NATS_USER", "y")]).unwrap_err();
        assert_eq!(both.to_string(), "NATS_USER and NATS_TOKEN are set: choose one way to log in");
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let s = settings(&[("NATS_URL", "nats://joe:hunter2@a")]).unwrap();
        let shown = format!("{s:?} {} {}", s.auth, s.names());
        assert!(shown.contains("joe") && !shown.contains("hunter2"), "{shown}");
        for url in ["nats://joe:hunter2@", "ftp://joe:hunter2@h", "nats://joe:hunter2@h:99999"] {
            let error = settings(&[("NATS_URL", url)]).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn times_have_units_and_bounds() {
        let of = |text| settings(&[("NATS_TIMEOUT", text)]).map(|s| s.deadline);
        assert_eq!(of("1500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(of("3").unwrap(), Duration::from_secs(3));
        for bad in ["0", "2h", "-1", "soon", "99999999999999999999"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
