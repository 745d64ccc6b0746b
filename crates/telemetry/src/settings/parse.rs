//! Reading the variables.

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Headers, LogFormat, Protocol, Sampler, Signal, Target, Tls};

/// Modules of libraries that say more than anybody wants to know, or feed on what they carry.
const QUIET: &[(&str, &str)] = &[
    ("async_nats", "off"),
    ("opentelemetry", "off"),
    ("opentelemetry_sdk", "off"),
    ("opentelemetry_otlp", "off"),
    ("opentelemetry-otlp", "off"),
    ("h2", "warn"),
    ("hickory_net", "warn"),
    ("hickory_proto", "warn"),
    ("hickory_resolver", "warn"),
    ("hyper", "warn"),
    ("hyper_util", "warn"),
    ("mongodb", "warn"),
    ("mysql_async", "warn"),
    ("reqwest", "warn"),
    ("rustls", "warn"),
    ("rustls_platform_verifier", "warn"),
    ("tokio_postgres", "warn"),
    ("tonic", "warn"),
    ("tower", "warn"),
];

/// Named values, and what was wrong with them.
pub(super) struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Env<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, warnings: RefCell::default() }
    }

    /// A value; an empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The value for one signal, or for all: `OTEL_EXPORTER_OTLP_TRACES_X` before `OTEL_EXPORTER_OTLP_X`. With the name
    /// it was found by.
    fn otlp(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.as_str().to_uppercase());
        let general = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, general].into_iter().find_map(|name| self.get(&name).map(|value| (name, value)))
    }

    /// True only for `true`, as the specification has it.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            Some(value) if value.eq_ignore_ascii_case("true") => true,
            Some(value) if !value.eq_ignore_ascii_case("false") => {
                self.warn(format!("{name} is `{value}`, which is neither true nor false: taken as false"));
                false
            }
            _ => false,
        }
    }

    pub(super) fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }
}

/// Where a signal goes, or `None`.
pub(super) fn target(env: &Env<'_>, signal: Signal) -> Option<Target> {
    let exporter_name = format!("OTEL_{}_EXPORTER", signal.as_str().to_uppercase());
    let asked_for = match env.get(&exporter_name).as_deref() {
        Some("none") => return None,
        Some("otlp") => true,
        None => false,
        Some(other) => {
            env.warn(format!(
                "{exporter_name} is `{other}`: only otlp and none are known; {} are not exported",
                signal.as_str()
            ));
            return None;
        }
    };
    let protocol = protocol(env, signal);
    let url = match endpoint(env, signal, protocol) {
        Some(Ok(url)) => url,
        Some(Err(why)) => {
            env.warn(format!("{why}; {} are not exported", signal.as_str()));
            return None;
        }
        // The default of the specification, but only for those who asked: most runs have no collector beside them.
        None if asked_for => match protocol {
            Protocol::HttpProtobuf => format!("http://localhost:4318/v1/{}", signal.as_str()),
            Protocol::Grpc => "http://localhost:4317".into(),
        },
        None => return None,
    };
    let file = |what| env.otlp(signal, what).map(|(_, path)| PathBuf::from(path));
    Some(Target {
        url,
        protocol,
        headers: headers(env, signal),
        timeout: timeout(env, signal),
        gzip: gzip(env, signal),
        tls: Tls { ca: file("CERTIFICATE"), cert: file("CLIENT_CERTIFICATE"), key: file("CLIENT_KEY") },
    })
}

fn protocol(env: &Env<'_>, signal: Signal) -> Protocol {
    match env.otlp(signal, "PROTOCOL") {
        None => Protocol::default(),
        Some((name, value)) => match value.as_str() {
            "http/protobuf" => Protocol::HttpProtobuf,
            "grpc" => Protocol::Grpc,
            _ => {
                env.warn(format!(
                    "{name} is `{value}`: only http/protobuf and grpc are known, http/protobuf is used"
                ));
                Protocol::default()
            }
        },
    }
}

/// The URL of a signal. For HTTP a general endpoint gets the signal's path, one of the signal's own is taken as it is.
fn endpoint(env: &Env<'_>, signal: Signal, protocol: Protocol) -> Option<Result<String, String>> {
    let (name, value) = env.otlp(signal, "ENDPOINT")?;
    // For gRPC a host and port will do; whether it is encrypted is then said by the variable made for that.
    let full = match (protocol, value.contains("://")) {
        (Protocol::Grpc, false) => {
            let insecure = env.otlp(signal, "INSECURE").is_some_and(|(_, v)| v.eq_ignore_ascii_case("true"));
            format!("{}://{value}", if insecure { "http" } else { "https" })
        }
        _ => value,
    };
    // The text itself may hold a password: no message repeats it.
    let mut url = match Url::parse(&full) {
        Ok(url) => url,
        Err(error) => return Some(Err(format!("{name} cannot be read: {error}"))),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Some(Err(format!("{name} has the scheme `{}`: use http or https", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Some(Err(format!("{name} names no host")));
    }
    if protocol == Protocol::HttpProtobuf && name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!("{}/v1/{}", url.path().trim_end_matches('/'), signal.as_str());
        url.set_path(&path);
    }
    Some(Ok(url.into()))
}

fn headers(env: &Env<'_>, signal: Signal) -> Headers {
    let Some((name, value)) = env.otlp(signal, "HEADERS") else { return Headers::default() };
    match pairs(&value) {
        Ok(pairs) => Headers(pairs),
        Err(why) => {
            env.warn(format!("{name} is left out: {why}"));
            Headers::default()
        }
    }
}

fn timeout(env: &Env<'_>, signal: Signal) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(10);
    let Some((name, value)) = env.otlp(signal, "TIMEOUT") else { return DEFAULT };
    match value.parse() {
        Ok(millis @ 1..=3_600_000) => Duration::from_millis(millis),
        _ => {
            env.warn(format!("{name} is `{value}`: a number of milliseconds is expected, 10000 is used"));
            DEFAULT
        }
    }
}

fn gzip(env: &Env<'_>, signal: Signal) -> bool {
    match env.otlp(signal, "COMPRESSION") {
        Some((_, value)) if value == "gzip" => true,
        Some((name, value)) if value != "none" => {
            env.warn(format!("{name} is `{value}`: only gzip and none are known, nothing is compressed"));
            false
        }
        _ => false,
    }
}

/// `name=value,name=value` with percent-encoded values, as W3C baggage has it. No error repeats a value.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (index, item) in text.split(',').map(str::trim).enumerate() {
        if item.is_empty() {
            continue;
        }
        let pair = item.split_once('=').map(|(name, value)| (name.trim(), value.trim()));
        let Some((name, value)) = pair.filter(|(name, _)| !name.is_empty()) else {
            return Err(format!("entry {} is not of the form name=value", index + 1));
        };
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| format!("the value of {name} is not UTF-8 once decoded"))?;
        pairs.push((name.to_owned(), value.into_owned()));
    }
    Ok(pairs)
}

pub(super) fn sampler(env: &Env<'_>) -> Sampler {
    const ALL: Sampler = Sampler { ratio: 1.0, parent_based: true };
    let Some(name) = env.get("OTEL_TRACES_SAMPLER") else { return ALL };
    let (parent_based, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let ratio = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => match env.get("OTEL_TRACES_SAMPLER_ARG").map(|arg| (arg.parse::<f64>(), arg)) {
            None => 1.0,
            Some((Ok(ratio), _)) if (0.0..=1.0).contains(&ratio) => ratio,
            Some((_, arg)) => {
                env.warn(format!(
                    "OTEL_TRACES_SAMPLER_ARG is `{arg}`: a number from 0 to 1 is expected, 1 is used"
                ));
                1.0
            }
        },
        _ => {
            env.warn(format!(
                "OTEL_TRACES_SAMPLER is `{name}`, which is not known: parentbased_always_on is used"
            ));
            return ALL;
        }
    };
    Sampler { ratio, parent_based }
}

/// `RUST_LOG` as it is; else `LOG_LEVEL`.
pub(super) fn log_filter(env: &Env<'_>) -> String {
    if let Some(directives) = env.get("RUST_LOG") {
        return directives;
    }
    let level = env.get("LOG_LEVEL").unwrap_or_else(|| "info".into());
    filter_of(&level).unwrap_or_else(|why| {
        env.warn(format!("LOG_LEVEL is {why}; info is used"));
        quiet_filter("info")
    })
}

/// The filter of log lines for what a user asks for: a level, in the spelling of any logger, for our own modules with the
/// libraries kept quiet; or directives like `info,store=debug`, taken as they are.
///
/// # Errors
/// What is wrong with the text, which it begins with.
pub fn filter_of(text: &str) -> Result<String, String> {
    let bad = |why: &str| Err(format!("`{text}`: {why}"));
    let level = match text.to_lowercase().as_str() {
        "warning" => "warn",
        "critical" | "fatal" => "error",
        "trace" => "trace",
        "debug" => "debug",
        "info" => "info",
        "warn" => "warn",
        "error" => "error",
        "off" => return Ok("off".into()),
        // A word alone would be taken for the name of a module, and silence everything else.
        directives if directives.contains(['=', ',']) => {
            return match tracing_subscriber::EnvFilter::try_new(text) {
                Ok(_) => Ok(text.to_owned()),
                Err(error) => bad(&error.to_string()),
            };
        }
        _ => return bad("use trace, debug, info, warn, error or off"),
    };
    Ok(quiet_filter(level))
}

fn quiet_filter(level: &str) -> String {
    let mut filter = level.to_owned();
    for (module, quiet) in QUIET {
        // `LOG_LEVEL=error` must not let a library's warnings through.
        let quiet = if level == "error" && *quiet == "warn" { "error" } else { quiet };
        filter.push_str(&format!(",{module}={quiet}"));
    }
    filter
}

pub(super) fn log_format(env: &Env<'_>) -> LogFormat {
    match env.get("LOG_FORMAT").map(|text| text.to_lowercase()).as_deref() {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            env.warn(format!("LOG_FORMAT is `{other}`: use text or json; text is used"));
            LogFormat::Text
        }
    }
}

/// A URL without credentials, path parameters and query: fit for people.
pub fn mask_url(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!(
                "{}://{}{port}{}",
                url.scheme(),
                url.host_str().unwrap_or(""),
                url.path().trim_end_matches('/')
            )
        }
        Err(_) => "***".into(),
    }
}

/// User name and password in a URL, encoded and decoded: an error may show either.
pub(super) fn url_credentials(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let encoded = url.password().unwrap_or("").to_owned();
    let decoded = percent_decode_str(&encoded).decode_utf8_lossy().into_owned();
    vec![encoded, decoded]
}
