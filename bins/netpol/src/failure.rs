//! What stops a command: wrong usage or unusable input. All of it is exit code 2.

use std::fmt;
use std::io;

/// Why a command could not do its work, and what to try.
#[derive(Debug)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    closed_pipe: bool,
}

impl Failure {
    /// A failure with its message: what failed, on what, why.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, closed_pipe: false }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The reader of our output went away (`netpol check | head`): no failure of ours.
    pub fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    /// For writing the output; reading errors name their file and are made with [`Failure::new`].
    fn from(error: io::Error) -> Self {
        Self {
            message: format!("cannot write the output: {error}"),
            hint: None,
            closed_pipe: error.kind() == io::ErrorKind::BrokenPipe,
        }
    }
}
