//! Where the file is.

use std::path::PathBuf;

use crate::open::{scheme, shown};
use crate::{StoreError, StoreResult};

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum File {
    /// A private database in memory.
    Memory,
    /// A file.
    Path(PathBuf),
}

/// Reads `sqlite://PATH` (relative), `sqlite:///PATH` (absolute), `sqlite:PATH`, `sqlite::memory:`, or a plain path.
pub(super) fn parse(url: &str) -> StoreResult<File> {
    let path = match url.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if scheme(url).is_some() && url.contains("://") => {
            return Err(StoreError::UnknownScheme(shown(url)));
        }
        None => url,
    };
    match path {
        ":memory:" => Ok(File::Memory),
        "" => Err(StoreError::BadUrl(format!("`{url}` names no file: write sqlite://klines.db"))),
        _ if path.contains('\0') => Err(StoreError::BadUrl("the path holds a NUL character".into())),
        _ if path.contains('?') => {
            Err(StoreError::BadUrl(format!("`{url}`: a sqlite URL takes no options after `?`")))
        }
        _ => Ok(File::Path(path.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_relative_and_absolute_files_and_memory() {
        for (url, path) in [
            ("sqlite://klines.db", "klines.db"),
            ("sqlite://a/b.db", "a/b.db"),
            ("sqlite:///var/lib/k.db", "/var/lib/k.db"),
            ("sqlite:k.db", "k.db"),
            ("k.db", "k.db"),
            ("/tmp/with space/ü.db", "/tmp/with space/ü.db"),
        ] {
            assert_eq!(parse(url).unwrap(), File::Path(path.into()), "{url}");
        }
        assert_eq!(parse("sqlite::memory:").unwrap(), File::Memory);
        assert_eq!(parse("sqlite://:memory:").unwrap(), File::Memory);
    }

    #[test]
    fn a_url_without_a_file_or_with_options_is_refused() {
        for url in ["sqlite://", "sqlite:", "", "sqlite://k.db?mode=ro"] {
            assert!(matches!(parse(url), Err(StoreError::BadUrl(_))), "{url}");
        }
        assert!(matches!(parse("mysql://u:p@h/d"), Err(StoreError::UnknownScheme(_))));
    }
}
