//! What the name of a variable or flag says about its value.

use super::service;

const NOT: [&str; 31] = [
    "LISTEN",
    "BIND",
    "ADVERTISE",
    "ADVERTISED",
    "CORS",
    "ORIGIN",
    "ORIGINS",
    "CALLBACK",
    "REDIRECT",
    "DOCS",
    "DOCUMENTATION",
    "HOMEPAGE",
    "SUPPORT",
    "TERMS",
    "PRIVACY",
    "LOGO",
    "ICON",
    "AVATAR",
    "PUBLIC",
    "EXTERNAL",
    "ROOT",
    "SITE",
    "NO",
    "ALLOWED",
    "IMAGE",
    "REPOSITORY",
    "XMLNS",
    "SCHEMA",
    "NOPROXY",
    "PATH",
    "DESCRIPTION",
];
const DOUBT: [&str; 6] = ["ISSUER", "AUDIENCE", "REALM", "FRONTEND", "DASHBOARD", "WEBSITE"];
const URL: [&str; 14] = [
    "URL",
    "URLS",
    "URI",
    "URIS",
    "DSN",
    "ENDPOINT",
    "ENDPOINTS",
    "STRING",
    "CONNECTION",
    "CONN",
    "WEBHOOK",
    "BASE",
    "PROXY",
    "STORE",
];
const HOST: [&str; 15] = [
    "HOST",
    "HOSTS",
    "HOSTNAME",
    "ADDR",
    "ADDRESS",
    "ADDRESSES",
    "SERVER",
    "SERVERS",
    "BROKER",
    "BROKERS",
    "BOOTSTRAP",
    "PEERS",
    "SEEDS",
    "UPSTREAM",
    "PGHOST",
];

/// What a variable's name says about its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A URL or data source name.
    Url,
    /// A host.
    Host,
    /// Something that may hold a URL which nobody opens.
    Doubtful,
    /// An address to listen on, an origin to accept, a link to show.
    NotAClient,
    /// Nothing.
    Other,
}

impl Role {
    pub(super) fn of(key: &str) -> Self {
        if key.is_empty() || matches!(key, "HOST" | "HOSTNAME" | "POD_IP" | "HOST_IP") {
            return Self::Other;
        }
        let upper = key.to_ascii_uppercase();
        let mut role = Self::Other;
        for word in upper.split('_') {
            if NOT.contains(&word) {
                return Self::NotAClient;
            }
            if DOUBT.contains(&word) {
                role = Self::Doubtful;
            } else if role != Self::Doubtful && URL.contains(&word) {
                role = Self::Url;
            } else if role == Self::Other && HOST.contains(&word) {
                role = Self::Host;
            }
        }
        role
    }
}

/// Names whose meaning is settled: the service and what it is, nothing else (`MYSQL_URI`, `NATS_URL`), and OTLP's.
pub(super) fn is_well_known(key: &str) -> bool {
    if key.starts_with("OTEL_EXPORTER_OTLP_") || key == "PGHOST" {
        return true;
    }
    let words: Vec<&str> = key.split('_').collect();
    words.len() == 2 && words.first().is_some_and(|word| service::by_adapter(word).is_some())
}

/// `db-adapter` as `DB_ADAPTER`, `web.listen-address` as `WEB_LISTEN_ADDRESS`.
pub(super) fn variable_name(flag: &str) -> String {
    flag.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_say_what_their_values_are() {
        assert_eq!(Role::of("MYSQL_URI"), Role::Url);
        assert_eq!(Role::of("REDIS_HOST"), Role::Host);
        assert_eq!(Role::of("PRODUCT_CATALOG_SERVICE_ADDR"), Role::Host);
        assert_eq!(Role::of("CORS_ORIGIN_URL"), Role::NotAClient);
        assert_eq!(Role::of("WEB_LISTEN_ADDRESS"), Role::NotAClient);
        assert_eq!(Role::of("OIDC_ISSUER_URL"), Role::Doubtful);
        assert_eq!(Role::of("LOG_LEVEL"), Role::Other);
        assert_eq!(Role::of("HOSTNAME"), Role::Other);
    }

    #[test]
    fn only_settled_names_count_as_well_known() {
        assert!(is_well_known("MYSQL_URI"));
        assert!(is_well_known("NATS_URL"));
        assert!(is_well_known("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        assert!(!is_well_known("LEGACY_MYSQL_REPORT_HOST"));
    }
}
