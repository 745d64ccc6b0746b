//! Patterns for names of objects: `*` stands for any text.

/// Whether a text matches a pattern.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = rest.get(at + previous.len()..).unwrap_or(""),
                None => return false,
            }
        }
    }
    match last {
        Some(part) => rest.ends_with(part),
        None => rest.is_empty(),
    }
}

/// Whether an object matches a pattern of one of the forms `name`, `namespace/name`, `Kind/namespace/name`. The kind
/// may be written in any case.
#[must_use]
pub fn matches_object(pattern: &str, kind: &str, namespace: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('/').collect();
    match parts.as_slice() {
        [only] => matches(only, name),
        [space, only] => matches(space, namespace) && matches(only, name),
        [wanted, space, only] => {
            matches(&wanted.to_ascii_lowercase(), &kind.to_ascii_lowercase())
                && matches(space, namespace)
                && matches(only, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("*", ""));
        assert!(matches("a*c", "abbbc"));
        assert!(matches("a*b*c", "aXbYbc"));
        assert!(matches("abc", "abc"));
        assert!(!matches("abc", "abcd"));
        assert!(!matches("a*c", "abcd"));
        assert!(!matches("a*a", "a"));
    }

    #[test]
    fn objects_are_named_with_as_much_as_is_needed() {
        for pattern in ["gap-*", "apps/gap-m5", "cronjob/apps/*", "CronJob/*/gap-m5"] {
            assert!(matches_object(pattern, "CronJob", "apps", "gap-m5"), "{pattern}");
        }
        assert!(!matches_object("other/gap-m5", "CronJob", "apps", "gap-m5"));
        assert!(!matches_object("job/apps/*", "CronJob", "apps", "gap-m5"));
    }
}
