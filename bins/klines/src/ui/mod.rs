//! What people see in the terminal.

pub mod map;
pub mod progress;
pub mod table;
pub mod watch;

use std::error::Error;
use std::io::{self, IsTerminal, Write};

use crate::error::CliError;

/// Writes results to stdout. A reader that went away (`| head`) ends the program quietly.
pub fn out(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|source| CliError::Io { doing: "write to stdout".into(), source }),
    }
}

/// Writes a line to stderr.
pub fn note(text: &str) {
    // There is nobody left to tell when stderr is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints an error, its causes and what to do.
pub fn print_error(error: &CliError) {
    let style = Style::stderr();
    let mut text = format!("{} {error}", style.red("error:"));
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !shown.contains(&words) {
            text.push_str(&format!("\n  cause: {words}"));
            shown.push_str(&words);
        }
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n  {} {hint}", style.bold("hint:")));
    }
    note(&text);
}

/// Colours, where they are wanted: on a terminal, unless `NO_COLOR` is set.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// For stdout.
    pub fn stdout() -> Self {
        Self { colour: wanted(io::stdout().is_terminal()) }
    }

    /// For stderr.
    pub fn stderr() -> Self {
        Self { colour: wanted(io::stderr().is_terminal()) }
    }

    /// Without colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colour: false }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}

fn wanted(terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    terminal && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of the terminal on stdout; 100 when there is none to ask.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let known = || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
    asked.or_else(known).unwrap_or(100).clamp(40, 400)
}

/// Columns that a table may take: those of the terminal; where there is none, as many as it wants.
pub fn table_width() -> usize {
    let told = std::env::var_os("COLUMNS").is_some();
    if told || io::stdout().is_terminal() { width() } else { usize::MAX }
}

/// Lines of the terminal on stdout; 24 when there is none to ask.
pub fn height() -> usize {
    terminal_size::terminal_size_of(io::stdout()).map_or(24, |(_, height)| usize::from(height.0)).max(4)
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 gap`, `2 gaps`.
pub fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A length of time in the unit that reads best.
pub fn span(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60),
        3_600_000..86_400_000 => format!("{} h {:02} min", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{} d {:02} h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// A share in percent that never rounds up to 100 nor down to 0.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 || part >= whole {
        return if whole == 0 { "-".into() } else { "100%".into() };
    }
    let hundredths = part.saturating_mul(10_000) / whole;
    let hundredths = if part > 0 { hundredths.max(1) } else { 0 };
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_share_never_reads_as_complete() {
        assert_eq!(percent(999_999_999, 1_000_000_000), "99.99%");
        assert_eq!(percent(1, 1_000_000_000), "0.01%");
        assert_eq!(
            (percent(5, 5).as_str(), percent(0, 7).as_str(), percent(0, 0).as_str()),
            ("100%", "0.00%", "-")
        );
    }

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(
            (span(999), span(61_000), span(90_000_000)),
            ("999 ms".into(), "1 min 01 s".into(), "1 d 01 h".into())
        );
    }
}
