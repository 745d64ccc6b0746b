//! Symbols by pattern: `*USDT`, or all there are.

use std::collections::BTreeSet;

use binance::Client;
use binance::archive::Archive;
use kline::{Market, Series, Symbol};

use crate::error::CliError;
use crate::settings::{Settings, keys};
use crate::ui::{self, plural};

/// What `--symbols` says, when it holds a pattern.
pub struct Patterns(Vec<String>);

impl Patterns {
    /// `None` when every symbol is named in full.
    pub fn of(settings: &Settings) -> Option<Self> {
        let text = settings.text(keys::SYMBOLS)?;
        let items: Vec<_> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect();
        items.iter().any(|item| item.contains(['*', '?'])).then_some(Self(items))
    }

    /// Whether a symbol is meant.
    pub fn matches(&self, symbol: &Symbol) -> bool {
        self.0.iter().any(|pattern| matches(pattern, symbol.as_str()))
    }

    /// As it was said.
    pub fn text(&self) -> String {
        self.0.join(",")
    }
}

/// `*` stands for any number of characters, `?` for one.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The series named; patterns are looked up at the exchange, and in the archive for symbols that are traded no more.
pub async fn resolve(
    settings: &Settings,
    include_delisted: bool,
    client: &Client,
) -> Result<Vec<Series>, CliError> {
    let Some(patterns) = Patterns::of(settings) else {
        if include_delisted {
            return Err(CliError::Usage {
                message: "--include-delisted widens a pattern, and every symbol is named in full".into(),
                hint: Some("say --all or a pattern, for example --symbols '*USDT'".into()),
            });
        }
        return settings.some_series();
    };
    let market = settings.market()?;
    let archive = if include_delisted { Some(archive(settings)?) } else { None };
    let names = names(market, client, archive.as_ref()).await?;
    let found: Vec<_> = names.iter().filter(|symbol| patterns.matches(symbol)).cloned().collect();
    if found.is_empty() {
        return Err(nothing(market, &patterns, &names, include_delisted));
    }
    ui::note(&format!("{} of {market} match {}", plural(found.len() as u64, "symbol"), patterns.text()));
    settings.series_of(&found)
}

/// The archive, wherever klines are to be fetched from.
fn archive(settings: &Settings) -> Result<Archive, CliError> {
    Ok(Archive::new(settings.archive()?).map_err(pipeline::JobError::from)?)
}

fn nothing(market: Market, patterns: &Patterns, names: &BTreeSet<Symbol>, all: bool) -> CliError {
    let upper = patterns.text().to_uppercase();
    let hint = if upper != patterns.text() {
        format!("symbols are upper case: --symbols '{upper}'")
    } else if all {
        "check the pattern and --market".to_owned()
    } else {
        "check the pattern and --market; --include-delisted looks for symbols that are traded no more as well"
            .to_owned()
    };
    CliError::Usage {
        message: format!(
            "none of the {} of {market} matches {}",
            plural(names.len() as u64, "symbol"),
            patterns.text()
        ),
        hint: Some(hint),
    }
}

/// Symbols that are traded; with an archive, every one that ever was.
async fn names(
    market: Market,
    client: &Client,
    archive: Option<&Archive>,
) -> Result<BTreeSet<Symbol>, CliError> {
    let info = client.exchange_info(market).await.map_err(pipeline::JobError::from)?;
    // What is still to come has no klines. Of statuses that are new to us the exchange would have klines.
    let over = |status: &str| matches!(status, "BREAK" | "CLOSE" | "DELIVERED" | "DELIVERING" | "SETTLING");
    let wanted = |status: &str| status != "PENDING_TRADING" && (archive.is_some() || !over(status));
    let mut names: BTreeSet<Symbol> = info
        .symbols
        .iter()
        .filter(|(_, about)| wanted(&about.status))
        .map(|(symbol, _)| symbol.clone())
        .collect();
    if let Some(archive) = archive {
        names.extend(archive.symbols(market).await.map_err(pipeline::JobError::from)?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_number_and_a_question_mark_for_one() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "BTCUSDT"),
            ("*USDT", "BTCUSDT"),
            ("1000*USD?", "1000PEPEUSDT"),
            ("B*T*T", "BTCUSDT"),
            ("币*", "币安"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("*USDT", "BTCUSDC"), ("?", ""), ("BTC?", "BTC"), ("BTC", "BTCUSDT"), ("*A*", "BTC")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
