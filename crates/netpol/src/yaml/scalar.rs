//! What type a plain scalar has, as the parser of kubectl and of the API server sees it (YAML 1.1 words
//! included: `on`, `yes`). It matters wherever the schema wants a string and the file has `true` or `1`.

/// Type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Int,
    Float,
    Str,
}

impl ScalarKind {
    /// The type of a plain (unquoted) scalar.
    pub(crate) fn of_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Self::Bool(true),
            "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Self::Bool(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" | ".nan" | ".NaN" | ".NAN" => Self::Float,
            _ if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => Self::Str,
            _ if parse_int(text).is_some() => Self::Int,
            _ if is_float(text) => Self::Float,
            _ => Self::Str,
        }
    }

    /// The word for this type in a message.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Str => "a string",
        }
    }
}

/// The value of a YAML integer: decimal, `0x`, `0o`, `0b`, old octal `0755`, with `_` between digits.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    if digits.is_empty() || digits.starts_with('_') || digits.len() > 64 {
        return None;
    }
    let clean: String = digits.chars().filter(|c| *c != '_').collect();
    let (radix, body) = match clean.get(..2) {
        Some("0x" | "0X") => (16, clean.get(2..)?),
        Some("0o" | "0O") => (8, clean.get(2..)?),
        Some("0b" | "0B") => (2, clean.get(2..)?),
        Some(head) if head.starts_with('0') => (8, clean.get(1..)?),
        _ => (10, clean.as_str()),
    };
    if !body.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    let value = i64::from_str_radix(body, radix).ok()?;
    Some(if negative { -value } else { value })
}

fn is_float(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_old_yaml_are_booleans() {
        assert_eq!(ScalarKind::of_plain("on"), ScalarKind::Bool(true));
        assert_eq!(ScalarKind::of_plain("No"), ScalarKind::Bool(false));
        assert_eq!(ScalarKind::of_plain("none"), ScalarKind::Str);
    }

    #[test]
    fn numbers_are_told_from_strings_that_start_with_a_digit() {
        assert_eq!(ScalarKind::of_plain("8080"), ScalarKind::Int);
        assert_eq!(ScalarKind::of_plain("1.5"), ScalarKind::Float);
        assert_eq!(ScalarKind::of_plain("1e3"), ScalarKind::Float);
        assert_eq!(ScalarKind::of_plain("10.0.0.0/8"), ScalarKind::Str);
        assert_eq!(ScalarKind::of_plain("1.2.3"), ScalarKind::Str);
        assert_eq!(ScalarKind::of_plain("5m"), ScalarKind::Str);
        assert_eq!(ScalarKind::of_plain("-"), ScalarKind::Str);
        assert_eq!(ScalarKind::of_plain("2024-01-01"), ScalarKind::Str);
    }

    #[test]
    fn integers_of_every_radix_are_read() {
        assert_eq!(parse_int("0x1F"), Some(31));
        assert_eq!(parse_int("0o17"), Some(15));
        assert_eq!(parse_int("017"), Some(15));
        assert_eq!(parse_int("1_000"), Some(1000));
        assert_eq!(parse_int("-5"), Some(-5));
        assert_eq!(parse_int("--5"), None);
        assert_eq!(parse_int("99999999999999999999"), None);
    }
}
