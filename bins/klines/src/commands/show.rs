//! `klines config` and `klines man`.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, OutputFormat};
use crate::error::CliError;
use crate::settings::Settings;
use crate::ui::table::{Align, render};
use crate::ui::{self};

/// Shows every setting, its value and where it came from; passwords are masked.
pub fn config(settings: &Settings) -> Result<ExitCode, CliError> {
    if settings.output()? == OutputFormat::Json {
        let entries: Vec<_> = settings
            .all()
            .map(|(key, value)| {
                serde_json::json!({"key": key, "value": masked(&value.text), "origin": value.origin.to_string()})
            })
            .collect();
        let file = settings.file.as_ref().map(|path| path.display().to_string());
        ui::out(&format!("{:#}\n", serde_json::json!({"file": file, "settings": entries})))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = settings
        .all()
        .map(|(key, value)| vec![key.to_owned(), masked(&value.text), value.origin.to_string()])
        .collect();
    let header = [("setting", Align::Left), ("value", Align::Left), ("from", Align::Left)];
    ui::out(&render(&header, &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// A URL without its password; anything else as it is.
fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or("***".into(), |(name, _)| format!("{name}:***"));
            format!("{scheme}://{user}@{host}{}", &rest[end..])
        }
        None => text.to_owned(),
    }
}

/// Prints the manual page of the program and all its commands.
pub fn man() -> Result<ExitCode, CliError> {
    let failed = |source| CliError::Io { doing: "render the manual page".into(), source };
    let mut text = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut text).map_err(failed)?;
    for sub in command.get_subcommands() {
        let named = sub.clone().name(format!("klines-{}", sub.get_name()));
        clap_mangen::Man::new(named).render(&mut text).map_err(failed)?;
    }
    ui::out(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(masked("mysql://u:s3c@ret@h:3306/d?x=1"), "mysql://u:***@h:3306/d?x=1");
        assert_eq!(masked("nats://token@h"), "nats://***@h");
        assert_eq!(masked("sqlite://a.db"), "sqlite://a.db");
        assert_eq!(masked("BTCUSDT"), "BTCUSDT");
    }
}
