//! `klines.toml`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Origin, Value, keys};
use crate::error::CliError;

/// No settings file comes near this size, bytes.
const LARGEST: u64 = 1 << 20;

/// Reads a settings file; a problem is reported with file, line and column.
pub fn read(path: &Path) -> Result<Vec<(&'static str, Value)>, CliError> {
    let name = path.display().to_string();
    let unreadable = |why: String| CliError::Usage {
        message: format!("cannot read the settings file {name}: {why}"),
        hint: Some("check --config and KLINES_CONFIG, or the file's permissions".into()),
    };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    // A device or a wrong file may never end.
    file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| unreadable(error.to_string()))?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(format!("it is larger than {LARGEST} bytes")));
    }
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Vec<(&'static str, Value)>, CliError> {
    let place = |offset: usize| {
        let before = &text[..offset.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{name}:{line}:{column}")
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = place(error.span().map_or(0, |span| span.start));
        CliError::usage(format!("{at}: {}", error.message()))
    })?;
    let mut out = Vec::new();
    collect("", table.get_ref(), &place, &mut out)?;
    Ok(out)
}

fn collect(
    prefix: &str,
    table: &DeTable<'_>,
    place: &dyn Fn(usize) -> String,
    out: &mut Vec<(&'static str, Value)>,
) -> Result<(), CliError> {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            collect(&format!("{name}."), inner, place, out)?;
            continue;
        }
        let at = place(key.span().start);
        let Some(known) = keys::ALL.iter().find(|k| k.name == name) else {
            return Err(CliError::Usage {
                message: format!("{at}: unknown setting `{name}`"),
                hint: Some(format!("settings are: {}", names().join(", "))),
            });
        };
        let text = text_of(value).ok_or_else(|| {
            let at = place(value.span().start);
            CliError::usage(format!("{at}: `{name}` takes a text, a number, true, false, or a list of texts"))
        })?;
        out.push((known.name, Value { text, origin: Origin::File(place(value.span().start)) }));
    }
    Ok(())
}

fn names() -> Vec<&'static str> {
    keys::ALL.iter().map(|k| k.name).collect()
}

/// A scalar as text, a list of scalars joined by commas.
fn text_of(value: &Spanned<DeValue<'_>>) -> Option<String> {
    Some(match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(text_of).collect();
            texts?.join(",")
        }
        DeValue::Table(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_reported_with_line_and_column() {
        let error = |text: &str| parse("klines.toml", text).unwrap_err().to_string();
        assert!(
            error("symbols = [\"A\"\nx = 1").starts_with("klines.toml:2:"),
            "{}",
            error("symbols = [\"A\"\nx = 1")
        );
        assert_eq!(error("market = \"um\"\nsymbls = \"A\"\n"), "klines.toml:2:1: unknown setting `symbls`");
        assert!(
            error("[binance]\n  timeout = [[{a=1}]]")
                .starts_with("klines.toml:2:13: `binance.timeout` takes")
        );
    }

    #[test]
    fn tables_lists_and_dates_are_read() {
        let values =
            parse("f", "symbols = [\"A\", \"B\"]\nsince = 2023-01-01\n[binance]\nin_flight = 3\n").unwrap();
        let text: Vec<_> = values.iter().map(|(k, v)| format!("{k}={} @{}", v.text, v.origin)).collect();
        assert_eq!(text, ["binance.in_flight=3 @f:4:13", "since=2023-01-01 @f:2:9", "symbols=A,B @f:1:11"]);
    }
}
