//! What a log says about the network.

use serde::Serialize;

/// What went wrong, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignKind {
    /// A name could not be resolved because no name server answered.
    Dns,
    /// The name servers answered that the name does not exist.
    NoSuchName,
    /// A connection was not answered.
    ConnectTimeout,
    /// A connection was refused: packets arrive, nothing listens.
    ConnectRefused,
}

/// A line that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sign {
    /// What it says.
    pub kind: SignKind,
    /// What that means.
    pub meaning: &'static str,
    /// The first such line.
    pub line: String,
    /// How many lines say the same.
    pub lines: usize,
}

const NO_SUCH_NAME: &[&str] =
    &["name or service not known", "nxdomain", "no such host", "enotfound", "name does not exist"];
const DNS: &[&str] = &[
    "failed to resolve",
    "temporary failure in name resolution",
    "eai_again",
    "errno -3",
    "could not resolve",
    "cannot resolve",
    "name resolution failed",
    "no name server",
    "server misbehaving",
    "dns lookup",
    "resolution failure",
    "getaddrinfo",
];
const REFUSED: &[&str] = &["connection refused", "econnrefused"];
const TIMEOUT: &[&str] = &[
    "connection timed out",
    "connect timeout",
    "etimedout",
    "timed out connecting",
    "i/o timeout",
    "connecttimeout",
];

/// The signs in a log, one per kind, in the order in which they appear.
#[must_use]
pub fn signs(log: &[String]) -> Vec<Sign> {
    let mut found: Vec<Sign> = Vec::new();
    for line in log {
        let Some(kind) = kind_of(line) else { continue };
        match found.iter_mut().find(|sign| sign.kind == kind) {
            Some(sign) => sign.lines += 1,
            None => found.push(Sign { kind, meaning: meaning(kind), line: line.clone(), lines: 1 }),
        }
    }
    found
}

fn kind_of(line: &str) -> Option<SignKind> {
    let lower = line.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // `lookup ... i/o timeout` is how Go says that no name server answered.
    if lower.contains("lookup ") && has(&["i/o timeout", "connection refused"]) {
        return Some(SignKind::Dns);
    }
    // What the name server said counts more than that the program failed to resolve.
    [
        (SignKind::NoSuchName, NO_SUCH_NAME),
        (SignKind::Dns, DNS),
        (SignKind::ConnectRefused, REFUSED),
        (SignKind::ConnectTimeout, TIMEOUT),
    ]
    .into_iter()
    .find(|(_, words)| has(words))
    .map(|(kind, _)| kind)
}

fn meaning(kind: SignKind) -> &'static str {
    match kind {
        SignKind::Dns => {
            "no name server answered: nearly always a policy that does not let the pod reach DNS (53/UDP and 53/TCP)"
        }
        SignKind::NoSuchName => {
            "name servers answer, and there is no such name: correct the name, no policy is to blame"
        }
        SignKind::ConnectTimeout => "packets get no answer: typical of a policy that drops them",
        SignKind::ConnectRefused => "packets arrive and nothing listens there: hardly a policy",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(lines: &[&str]) -> Vec<SignKind> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        signs(&lines).iter().map(|sign| sign.kind).collect()
    }

    #[test]
    fn every_runtime_s_words_for_dead_dns_are_known() {
        for line in [
            "Failed to resolve 'fapi.binance.com' ([Errno -3] Temporary failure in name resolution)",
            "Error: getaddrinfo EAI_AGAIN fapi.binance.com",
            "dial tcp: lookup fapi.binance.com on 10.96.0.10:53: read udp: i/o timeout",
            "curl: (6) Could not resolve host: fapi.binance.com",
            "exchange fapi.binance.com: resolve failed: failed to resolve 'fapi.binance.com': no answer",
        ] {
            assert_eq!(kinds(&[line]), [SignKind::Dns], "{line}");
        }
    }

    #[test]
    fn a_name_that_does_not_exist_is_no_policy() {
        assert_eq!(
            kinds(&["Failed to resolve 'fapi.binanze.com' ([Errno -2] Name or service not known)"]),
            [SignKind::NoSuchName]
        );
    }

    #[test]
    fn a_refusal_and_a_silence_are_told_apart() {
        assert_eq!(
            kinds(&["connect ECONNREFUSED 10.0.0.1:3306", "dial tcp 10.0.0.1:4222: i/o timeout", "all good"]),
            [SignKind::ConnectRefused, SignKind::ConnectTimeout]
        );
    }

    #[test]
    fn the_same_sign_is_told_once_and_counted() {
        let lines = vec!["Failed to resolve 'a'".to_owned(), "Failed to resolve 'b'".to_owned()];
        let found = signs(&lines);
        assert_eq!((found.len(), found[0].lines, found[0].line.as_str()), (1, 2, "Failed to resolve 'a'"));
    }
}
