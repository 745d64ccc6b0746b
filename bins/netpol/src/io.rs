//! Where results and messages go, and whether they may have colours.

use std::io::{IsTerminal, Write};

use crate::failure::Failure;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// When the output is a terminal and NO_COLOR is not set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Results go to `out`, everything else to `err`.
pub struct Io {
    /// Standard output, buffered.
    pub out: Box<dyn Write>,
    /// Standard error.
    pub err: Box<dyn Write>,
    /// Whether `out` may have colours.
    pub color: bool,
    /// Columns that a table may take: those of the terminal, or `COLUMNS`; where there is neither, as many as it wants.
    pub width: usize,
}

impl Io {
    /// The streams of the process.
    pub fn standard(choice: ColorChoice) -> Self {
        let color = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && std::io::stdout().is_terminal()
            }
        };
        let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
        let terminal = || Some(usize::from(terminal_size::terminal_size_of(std::io::stdout())?.0.0));
        Self {
            out: Box::new(std::io::BufWriter::new(std::io::stdout())),
            err: Box::new(std::io::stderr()),
            color,
            width: told.or_else(terminal).unwrap_or(usize::MAX),
        }
    }

    /// Writes what stopped the command. Nothing can be done when even that fails.
    pub fn report_failure(&mut self, failure: &Failure) {
        let _ = self.out.flush();
        let _ = writeln!(self.err, "error: {failure}");
        if let Some(hint) = failure.hint() {
            let _ = writeln!(self.err, "  hint: {hint}");
        }
    }

    /// Sends what is still buffered.
    pub fn flush(&mut self) {
        let _ = self.out.flush();
        let _ = self.err.flush();
    }
}
