//! Drawing again and again, until interrupted.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::OutputFormat;
use crate::error::CliError;
use crate::signals::Stop;
use crate::ui::{self, Style};

/// To the upper left corner.
const HOME: &str = "\x1b[H";
/// Clears what is right of the cursor in its line, and everything below.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// Least time between two drawings.
pub const FASTEST: u64 = 1;

/// Draws what `look` tells every few seconds, on a terminal in place, elsewhere one after the other. Ends when told to.
pub async fn watch(
    every: u64,
    output: OutputFormat,
    stop: &Stop,
    mut look: impl AsyncFnMut() -> Result<String, CliError>,
) -> Result<ExitCode, CliError> {
    let in_place = output == OutputFormat::Human && io::stdout().is_terminal();
    if in_place {
        ui::out(&format!("{HOME}{CLEAR_REST}"))?;
    }
    while !stop.token.is_cancelled() {
        let text = look().await?;
        if in_place {
            let note = Style::stdout().dim(&format!("every {every} s; Ctrl-C ends it"));
            ui::out(&frame(&text, &note, ui::height()))?;
        } else {
            ui::out(&text)?;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(every)) => {}
            () = stop.token.cancelled() => {}
        }
    }
    Ok(ExitCode::from(stop.exit_code().unwrap_or(0)))
}

/// One drawing over the last: as much as there is room for, without a flicker.
fn frame(text: &str, note: &str, height: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    let room = height.saturating_sub(2).max(1);
    let (shown, left) = if lines.len() > room {
        (room - 1, Some(format!("… {} lines more than there is room for", lines.len() - room + 1)))
    } else {
        (lines.len(), None)
    };
    let mut out = HOME.to_owned();
    for line in lines[..shown].iter().copied().chain(left.as_deref()).chain([note]) {
        out.push_str(line);
        out.push_str(CLEAR_LINE);
        out.push('\n');
    }
    out.push_str(CLEAR_REST);
    out
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_drawing_never_scrolls_and_says_what_it_leaves_out() {
        let text: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let drawn = frame(&text, "note", 12);
        assert_eq!(drawn.lines().count(), 12, "{drawn}");
        assert!(
            drawn.contains("… 21 lines more")
                && drawn.contains("line 9\x1b[K\n")
                && !drawn.contains("line 10")
        );
        assert!(!frame("a\nb\n", "note", 12).contains("more"));
    }
}
