//! `klines schema`: what an administrator runs where the user of the store may not create tables.

use std::process::ExitCode;

use crate::error::CliError;
use crate::settings::Settings;
use crate::ui;

/// Prints the statements for the engine that the store's URL names. Nothing is connected to.
pub fn run(settings: &Settings) -> Result<ExitCode, CliError> {
    ui::out(&store::schema_sql(&settings.store_url()?)?)?;
    Ok(ExitCode::SUCCESS)
}
