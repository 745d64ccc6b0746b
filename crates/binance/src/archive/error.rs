//! Why a file of the archive is of no use.

use std::sync::Arc;

use crate::FetchError;

/// Why a file, or the archive itself, is of no use. `Display` names the file and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// It could not be fetched; the archive itself is in trouble or out of reach.
    #[error(transparent)]
    Fetch(Arc<FetchError>),
    /// The zip is there and its CHECKSUM is not.
    #[error("{file} has no CHECKSUM file, so it cannot be verified")]
    NoChecksum {
        /// Key of the zip.
        file: String,
    },
    /// The CHECKSUM file does not hold one.
    #[error("the CHECKSUM of {file} is not a SHA-256: {received}")]
    BadChecksum {
        /// Key of the zip.
        file: String,
        /// Beginning of what it holds.
        received: String,
    },
    /// The bytes are not those the CHECKSUM was made of.
    #[error("{file}: SHA-256 is {got}, the CHECKSUM file says {expected}")]
    WrongChecksum {
        /// Key of the zip.
        file: String,
        /// From the CHECKSUM file.
        expected: String,
        /// Of the bytes received.
        got: String,
    },
    /// More bytes than any file of so many klines has.
    #[error("{file}: {what} is over {limit} bytes, more than {slots} klines can take")]
    TooLarge {
        /// Key of the zip.
        file: String,
        /// The zip, or its content.
        what: &'static str,
        /// Most bytes accepted.
        limit: u64,
        /// Klines it should hold.
        slots: u64,
    },
    /// The zip is damaged, or of a kind the archive does not use.
    #[error("{file}: damaged zip: {detail}")]
    Zip {
        /// Key of the zip.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The zip holds something else.
    #[error("{file} holds {found} instead of {expected} alone")]
    Member {
        /// Key of the zip.
        file: String,
        /// What is in it.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The content is not rows of klines.
    #[error("{file}: {detail}")]
    Content {
        /// Key of the zip.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A local file could not be used.
    #[error("cannot {doing}: {detail}")]
    Local {
        /// What was tried, with the path.
        doing: String,
        /// What the system said.
        detail: String,
    },
}

impl ArchiveError {
    /// Whether the archive as a whole is out of reach, so that asking for other files is pointless.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Fetch(_))
    }

    /// The likeliest cause and what to do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Fetch(error) => return error.hint(),
            Self::Local { .. } => {
                "large files pass through the folder for temporary files (TMPDIR) or the archive cache: is it writable, \
                 and is there room? Only 1s klines and damaged files need it"
            }
            _ => "the file is Binance's; REST has these klines as well (--source auto or rest)",
        };
        Some(text.to_owned())
    }
}

impl From<FetchError> for ArchiveError {
    fn from(error: FetchError) -> Self {
        Self::Fetch(Arc::new(error))
    }
}
