//! The configuration file: severities and accepted findings.

use std::collections::BTreeMap;
use std::path::Path;

use netpol::findings::{Ignore, Severity};
use netpol::rules;
use serde::Deserialize;

use crate::failure::Failure;

/// The file that is read when none is named and it is there.
pub const DEFAULT: &str = "netpol.toml";

/// What the file says.
#[derive(Debug, Default)]
pub struct Config {
    /// Severities by rule; `None` switches a rule off.
    pub severities: Vec<(String, Option<Severity>)>,
    /// Accepted findings.
    pub ignores: Vec<Ignore>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    severity: BTreeMap<String, String>,
    #[serde(default)]
    ignore: Vec<FileIgnore>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileIgnore {
    rule: String,
    object: String,
    reason: String,
}

impl Config {
    /// Reads the named file, or the default one when there is one.
    pub fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let default = Path::new(DEFAULT);
        let path = match path {
            Some(path) => path,
            None if default.is_file() => default,
            None => return Ok(Self::default()),
        };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
        let file: File = toml::from_str(&text).map_err(|error| {
            Failure::new(format!("{shown} is no configuration: {error}")).with_hint(
                "it holds [severity] with NP404 = \"warning\", and [[ignore]] with rule, object, reason",
            )
        })?;
        let mut config = Self::default();
        for (rule, severity) in &file.severity {
            config.severities.push(severity_of(rule, severity)?);
        }
        for ignore in file.ignore {
            if ignore.reason.trim().is_empty() {
                let message =
                    format!("{shown}: {} of {} is ignored without a reason", ignore.rule, ignore.object);
                return Err(Failure::new(message).with_hint("say why it is acceptable: reason = \"...\""));
            }
            known(&ignore.rule)?;
            config.ignores.push(Ignore { rule: ignore.rule, object: ignore.object, reason: ignore.reason });
        }
        Ok(config)
    }
}

/// `NP404` and `warning`, or `off`.
pub fn severity_of(rule: &str, severity: &str) -> Result<(String, Option<Severity>), Failure> {
    known(rule)?;
    let severity = match severity {
        "off" => None,
        word => Some(Severity::parse(word).ok_or_else(|| {
            Failure::new(format!("{word:?} is no severity")).with_hint("error, warning, info or off")
        })?),
    };
    Ok((rule.to_owned(), severity))
}

fn known(rule: &str) -> Result<(), Failure> {
    match rules::find(rule) {
        Some(_) => Ok(()),
        None => Err(Failure::new(format!("there is no rule {rule}")).with_hint("netpol rules lists them")),
    }
}
