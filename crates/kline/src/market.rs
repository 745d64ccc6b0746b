//! Markets and symbols.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A Binance market whose klines can be kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Market {
    /// USD-M futures (`fapi`), the default.
    Um,
    /// COIN-M futures (`dapi`). Volumes are contracts, quote volumes are in the base asset.
    Cm,
    /// Spot.
    Spot,
}

/// No market has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown market `{0}`: use um (USD-M futures), cm (COIN-M futures) or spot")]
pub struct UnknownMarket(pub String);

impl Market {
    /// Every market.
    pub const ALL: [Self; 3] = [Self::Um, Self::Cm, Self::Spot];

    /// `um`, `cm` or `spot`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Um => "um",
            Self::Cm => "cm",
            Self::Spot => "spot",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Market {
    type Err = UnknownMarket;

    fn from_str(text: &str) -> Result<Self, UnknownMarket> {
        Self::ALL.into_iter().find(|m| m.as_str() == text).ok_or_else(|| UnknownMarket(text.to_owned()))
    }
}

/// A symbol as the exchange writes it: `BTCUSDT`, `BTCUSD_PERP`, `BTCUSDT_260925`. Cheap to clone.
///
/// Upper case; letters may be of any script (Binance lists some that are not ASCII), and `_`, `-`, `.` may occur.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Symbol(Arc<str>);

/// Why a text is no symbol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSymbol {
    /// Empty, or over 40 characters.
    #[error("symbol `{0}` must have 1 to 40 characters")]
    Length(String),
    /// Lower-case letters.
    #[error("symbol `{0}` must be upper case: did you mean {upper}?", upper = .0.to_uppercase())]
    LowerCase(String),
    /// Anything else that no symbol holds.
    #[error("symbol `{symbol}` holds {character:?}, which no Binance symbol does{hint}")]
    Character {
        /// The text.
        symbol: String,
        /// The first offending character.
        character: char,
        /// What was probably meant, or nothing.
        hint: String,
    },
}

impl Symbol {
    /// Checks and keeps a symbol.
    ///
    /// # Errors
    /// [`BadSymbol`] says what is wrong and, where it can, what was meant.
    pub fn new(text: &str) -> Result<Self, BadSymbol> {
        if text.is_empty() || text.chars().count() > 40 {
            return Err(BadSymbol::Length(text.chars().take(60).collect()));
        }
        if let Some(character) = text.chars().find(|c| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.'))
        {
            let joined: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
            let hint = match character {
                '/' | ':' => format!(": did you mean {}?", joined.to_uppercase()),
                _ => String::new(),
            };
            return Err(BadSymbol::Character { symbol: text.to_owned(), character, hint });
        }
        if text.chars().any(char::is_lowercase) {
            return Err(BadSymbol::LowerCase(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Symbol {
    type Err = BadSymbol;

    fn from_str(text: &str) -> Result<Self, BadSymbol> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_every_market_are_accepted() {
        for text in ["BTCUSDT", "1000PEPEUSDT", "BTCUSD_PERP", "BTCUSDT_260925", "币安人生USDT"] {
            assert_eq!(Symbol::new(text).map(|s| s.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_malformed_symbol_says_what_was_meant() {
        assert_eq!(
            Symbol::new("btcusdt").unwrap_err().to_string(),
            "symbol `btcusdt` must be upper case: did you mean BTCUSDT?"
        );
        assert!(Symbol::new("BTC/USDT").unwrap_err().to_string().ends_with("did you mean BTCUSDT?"));
        for text in ["", "A B", "A\nB", "../X", "A;DROP"] {
            assert!(Symbol::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_market_is_read_by_its_own_name_only() {
        for market in Market::ALL {
            assert_eq!(market.as_str().parse(), Ok(market));
        }
        assert!("futures".parse::<Market>().is_err());
    }
}
