//! How alike two labels are.

/// How two values, or two keys, resemble each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Likeness {
    /// They differ in case alone.
    Case,
    /// They differ in separators alone (`gap-filler`, `gap_filler`, `gapfiller`).
    Separators,
    /// One is the plural of the other.
    Plural,
    /// They are a letter or two apart.
    Typo,
    /// They are keys that people use for the same thing (`app`, `app.kubernetes.io/name`).
    Synonym,
    /// One is the other with something before or behind it.
    Affix,
    /// They share words (`klines-extractor`, `klines-gap-filler`).
    SharedWords,
}

impl Likeness {
    /// The reason in words, to follow "the two differ ...".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Case => "in upper and lower case alone",
            Self::Separators => "in separators alone",
            Self::Plural => "in singular and plural alone",
            Self::Typo => "by a letter or two",
            Self::Synonym => "in the key: both are used for the same thing",
            Self::Affix => "by a prefix or suffix",
            Self::SharedWords => "and share a word",
        }
    }

    /// Between 0 (nothing to do with each other) and 1 (all but equal).
    #[must_use]
    pub fn weight(self) -> f64 {
        match self {
            Self::Case | Self::Separators => 0.98,
            Self::Plural => 0.95,
            Self::Typo => 0.9,
            Self::Synonym => 0.85,
            Self::Affix => 0.7,
            Self::SharedWords => 0.5,
        }
    }
}

/// How alike two values are; `None` when they have nothing in common.
#[must_use]
pub fn values(a: &str, b: &str) -> Option<Likeness> {
    if a == b || a.is_empty() || b.is_empty() {
        return None;
    }
    let (low_a, low_b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    if low_a == low_b {
        return Some(Likeness::Case);
    }
    let (flat_a, flat_b) = (flat(&low_a), flat(&low_b));
    if flat_a == flat_b {
        return Some(Likeness::Separators);
    }
    if is_plural(&flat_a, &flat_b) || is_plural(&flat_b, &flat_a) {
        return Some(Likeness::Plural);
    }
    let (words_a, words_b) = (words(&low_a), words(&low_b));
    if differ_in_a_number(&words_a, &words_b) {
        return None;
    }
    let longest = flat_a.chars().count().max(flat_b.chars().count());
    let distance = strsim::osa_distance(&flat_a, &flat_b);
    if longest >= 4 && distance <= (longest / 4).min(2) {
        return Some(Likeness::Typo);
    }
    let shared = words_a.iter().filter(|word| word.len() > 2 && words_b.contains(word)).count();
    if shared > 0 {
        let least = words_a.len().min(words_b.len());
        return Some(if shared == least { Likeness::Affix } else { Likeness::SharedWords });
    }
    None
}

/// How alike two keys are.
#[must_use]
pub fn keys(a: &str, b: &str) -> Option<Likeness> {
    if a == b {
        return None;
    }
    if are_synonyms(a, b) {
        return Some(Likeness::Synonym);
    }
    values(a, b).filter(|likeness| {
        matches!(likeness, Likeness::Case | Likeness::Separators | Likeness::Plural | Likeness::Typo)
    })
}

fn are_synonyms(a: &str, b: &str) -> bool {
    const GROUPS: [&[&str]; 6] = [
        &["app", "app.kubernetes.io/name", "k8s-app", "name", "application", "app-name"],
        &["component", "app.kubernetes.io/component", "tier", "role"],
        &["instance", "app.kubernetes.io/instance", "release"],
        &["version", "app.kubernetes.io/version"],
        &["part-of", "app.kubernetes.io/part-of"],
        &["kubernetes.io/metadata.name", "name", "ns", "namespace"],
    ];
    GROUPS.iter().any(|group| group.contains(&a) && group.contains(&b))
}

fn flat(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn is_plural(one: &str, many: &str) -> bool {
    one.len() > 2
        && (many.strip_suffix('s') == Some(one)
            || many.strip_suffix("es") == Some(one)
            || (one.strip_suffix('y').is_some() && one.strip_suffix('y') == many.strip_suffix("ies")))
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect()
}

/// `shard-1` and `shard-2` are meant to differ; so are `m5` and `m15`.
fn differ_in_a_number(a: &[&str], b: &[&str]) -> bool {
    let letters = |word: &&str| word.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let has_digit = |words: &[&str]| words.iter().any(|word| word.bytes().any(|byte| byte.is_ascii_digit()));
    (has_digit(a) || has_digit(b)) && a.len() == b.len() && a.iter().map(letters).eq(b.iter().map(letters))
}

/// The words of `text` that `other` does not have, joined as they were: `gap-filler` of `klines-gap-filler` against
/// `klines-extractor`. The whole text when nothing is left.
#[must_use]
pub fn distinguishing(text: &str, other: &str) -> String {
    let taken = words(other);
    let left: Vec<&str> = words(text).into_iter().filter(|word| !taken.contains(word)).collect();
    if left.is_empty() { text.to_owned() } else { left.join("-") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_by_their_kind() {
        assert_eq!(values("Web", "web"), Some(Likeness::Case));
        assert_eq!(values("gap_filler", "gap-filler"), Some(Likeness::Separators));
        assert_eq!(values("worker", "workers"), Some(Likeness::Plural));
        assert_eq!(values("proxy", "proxies"), Some(Likeness::Plural));
        assert_eq!(values("klines-extractor", "klines-extracter"), Some(Likeness::Typo));
        assert_eq!(values("klines-extractor", "klines-gap-filler"), Some(Likeness::SharedWords));
        assert_eq!(values("binance-extractor", "binance-data-extractor"), Some(Likeness::Affix));
        assert_eq!(keys("app", "app.kubernetes.io/name"), Some(Likeness::Synonym));
        assert_eq!(keys("componet", "component"), Some(Likeness::Typo));
    }

    #[test]
    fn what_is_meant_to_differ_is_no_slip() {
        assert_eq!(values("shard-1", "shard-2"), None);
        assert_eq!(values("m5", "m15"), None);
        assert_eq!(values("frontend", "backend"), None);
        assert_eq!(values("web", "db"), None);
        assert_eq!(keys("app", "component"), None);
    }

    #[test]
    fn a_name_is_made_from_what_tells_two_apart() {
        assert_eq!(distinguishing("klines-gap-filler", "klines-extractor"), "gap-filler");
        assert_eq!(distinguishing("web", "web"), "web");
    }
}
