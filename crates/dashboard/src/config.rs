//! What a dashboard is told.

use std::fmt;
use std::sync::Arc;

use kline::Millis;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::jobs::Actions;
use crate::source::Source;

/// Settings of a dashboard.
pub struct Config {
    /// The store.
    pub source: Source,
    /// The store as people may see it: without a password.
    pub store_name: String,
    /// Version of the program.
    pub version: &'static str,
    /// Where history begins; without it, each series begins with its first stored kline.
    pub since: Option<Millis>,
    /// Whether only this machine can reach the listener. Then a `Host` header that names another is refused: it would be
    /// a page of somebody else's that had its name resolve to this machine.
    pub loopback: bool,
    /// Further names of the dashboard, for `Host` headers that a reverse proxy on this machine passes on.
    pub hosts: Vec<String>,
    /// What may be done, and the token it takes; `None` for reading only.
    pub actions: Option<(Token, Arc<dyn Actions>)>,
}

/// A secret that whoever wants to change something must know. Kept as its digest only.
#[derive(Clone)]
pub struct Token([u8; 32]);

/// Least length of a token, characters.
const SHORTEST: usize = 16;

impl Token {
    /// Takes a token.
    ///
    /// # Errors
    /// In words, when it is so short that it can be guessed, or cannot travel in a header.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.chars().count() < SHORTEST {
            return Err(format!("the token is shorter than {SHORTEST} characters and could be guessed"));
        }
        if text.chars().any(|c| !c.is_ascii_graphic()) {
            return Err("the token holds blanks or characters that are not ASCII".into());
        }
        Ok(Self(Sha256::digest(text).into()))
    }

    /// Whether this is the token. Takes as long for a wrong one as for the right one.
    pub fn matches(&self, offered: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered).into();
        self.0.ct_eq(&offered).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn a_token_matches_itself_alone_and_shows_nothing() {
        let token = Token::new("correct-horse-battery").unwrap();
        assert!(token.matches("correct-horse-battery"));
        for wrong in ["", "correct-horse-batter", "correct-horse-battery ", "Correct-horse-battery"] {
            assert!(!token.matches(wrong), "{wrong:?}");
        }
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        for weak in ["", "secret", "fifteen-letters", "sixteen letters!", "sechzehn-zeichen-ü"] {
            assert!(Token::new(weak).is_err(), "{weak:?}");
        }
    }
}
