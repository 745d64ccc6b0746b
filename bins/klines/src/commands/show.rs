//! `klines config` and `klines man`.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::args::{Cli, OutputFormat};
use crate::error::CliError;
use crate::settings::{Settings, keys};
use crate::ui::table::{Align, render};
use crate::ui::{self};

/// Shows every setting, its value and where it came from; passwords are masked.
pub fn config(settings: &Settings) -> Result<ExitCode, CliError> {
    if settings.output()? == OutputFormat::Json {
        let entries: Vec<_> = settings
            .all()
            .map(|(key, value)| {
                serde_json::json!({"key": key, "value": shown(key, &value.text), "origin": value.origin.to_string()})
            })
            .collect();
        let file = settings.file.as_ref().map(|path| path.display().to_string());
        ui::out(&format!("{:#}\n", serde_json::json!({"file": file, "settings": entries})))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = settings
        .all()
        .map(|(key, value)| vec![key.to_owned(), shown(key, &value.text), value.origin.to_string()])
        .collect();
    let header = [("setting", Align::Left), ("value", Align::Left), ("from", Align::Left)];
    ui::out(&render(&header, &rows))?;
    Ok(ExitCode::SUCCESS)
}

/// A setting without its secret parts.
fn shown(key: &str, text: &str) -> String {
    if keys::SECRETS.contains(&key) { "***".to_owned() } else { masked(text) }
}

/// Text without passwords: of every URL in it the password, and every value of its query.
pub(super) fn masked(text: &str) -> String {
    text.split(',').map(masked_part).collect::<Vec<_>>().join(",")
}

fn masked_part(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let looks_like_url = !scheme.is_empty() || rest.contains('@');
    if !looks_like_url {
        return text.to_owned();
    }
    // A password may hold a slash or a question mark; the host begins after the last `@`.
    let (user, host) = rest.rsplit_once('@').map_or(("", rest), |(user, host)| (user, host));
    let user = match (user, user.split_once(':')) {
        ("", _) => String::new(),
        (_, Some((name, _))) => format!("{name}:***@"),
        (_, None) => "***@".to_owned(),
    };
    let host = match host.split_once('?') {
        Some((place, query)) => {
            let hide =
                |pair: &str| pair.split_once('=').map_or(pair.to_owned(), |(key, _)| format!("{key}=***"));
            format!("{place}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&"))
        }
        None => host.to_owned(),
    };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{user}{host}")
}

/// Prints the manual page of the program, or writes it and one for each command into a folder.
pub fn man(folder: Option<&Path>) -> Result<ExitCode, CliError> {
    let mut command = Cli::command();
    // Global options become part of each command.
    command.build();
    let Some(folder) = folder else {
        ui::out(&String::from_utf8_lossy(&page(command)?))?;
        return Ok(ExitCode::SUCCESS);
    };
    let failed =
        |source| CliError::Io { doing: format!("write manual pages into {}", folder.display()), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let commands = command.get_subcommands().filter(|sub| sub.get_name() != "help");
    let mut pages: Vec<(String, clap::Command)> = commands
        .map(|sub| {
            let name = format!("klines-{}", sub.get_name());
            (name.clone(), sub.clone().name(name))
        })
        .collect();
    pages.push(("klines".to_owned(), command.clone()));
    for (name, command) in pages {
        std::fs::write(folder.join(format!("{name}.1")), page(command)?).map_err(failed)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn page(command: clap::Command) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::Io { doing: "render a manual page".into(), source };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text).map_err(failed)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn no_password_is_shown() {
        assert_eq!(masked("mysql://u:s3c@ret@h:3306/d?x=1"), "mysql://u:***@h:3306/d?x=***");
        assert_eq!(masked("mysql://u@h/d?password=SECRET&ssl=1"), "mysql://***@h/d?password=***&ssl=***");
        assert_eq!(masked("nats://a:S1@h1,nats://b:S2@h2"), "nats://a:***@h1,nats://b:***@h2");
        assert_eq!(masked("a:SECRET@h:4222"), "a:***@h:4222");
        assert_eq!(masked("mysql://u:a/b?c@h/d"), "mysql://u:***@h/d");
        assert_eq!(masked("nats://token@h"), "nats://***@h");
        assert_eq!(masked("sqlite://a.db"), "sqlite://a.db");
        assert_eq!(masked("BTCUSDT"), "BTCUSDT");
    }
}
