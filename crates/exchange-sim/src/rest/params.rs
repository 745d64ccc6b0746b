//! Query parameters, read as strictly as Binance reads them.

use kline::{Market, Millis};

use super::ApiError;

/// From here on a number that spot is sent as a time counts microseconds.
const FIRST_MICROSECOND: i64 = 100_000_000_000_000;

/// The parameters of one request, in the order sent.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Splits a query string.
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Refuses what is sent twice and, on spot, what the endpoint does not know. Futures ignore unknown parameters.
    pub(crate) fn check_names(&self, market: Market, known: &[&str]) -> Result<(), ApiError> {
        for (i, (name, _)) in self.0.iter().enumerate() {
            if self.0.iter().take(i).any(|(n, _)| n == name) {
                return Err(ApiError::duplicate(name));
            }
        }
        let read = self.0.iter().filter(|(name, _)| known.contains(&name.as_str())).count();
        if market == Market::Spot && read < self.0.len() {
            return Err(ApiError::unread(read, self.0.len()));
        }
        Ok(())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        match self.get(name) {
            None => Err(ApiError::missing(name)),
            Some("") => Err(ApiError::empty(name)),
            Some(value) => Ok(value),
        }
    }

    /// A parameter of digits alone.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some("") => Err(ApiError::empty(name)),
            Some(value) if value.len() > 20 || !value.bytes().all(|b| b.is_ascii_digit()) => {
                Err(ApiError::illegal(name, "^[0-9]{1,20}$"))
            }
            Some(value) => value.parse().map(Some).map_err(|_| ApiError::invalid(name)),
        }
    }

    /// An instant in milliseconds; spot takes microseconds as well and tells them by their size.
    pub(crate) fn time(&self, market: Market, name: &str) -> Result<Option<Millis>, ApiError> {
        let to_millis = |raw: i64| match market {
            Market::Spot if raw >= FIRST_MICROSECOND => Millis(raw / 1000),
            _ => Millis(raw),
        };
        Ok(self.number(name)?.map(to_millis))
    }
}

/// Decodes percent signs and plus signs; what is malformed stays as it is.
fn decode(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_decoded_and_broken_ones_kept() {
        let params = Params::parse("symbol=%E5%B8%81USDT&a=1+2&b=%zz&c=%4&&d");
        let values = ["symbol", "a", "b", "c", "d"].map(|name| params.get(name).unwrap());
        assert_eq!(values, ["币USDT", "1 2", "%zz", "%4", ""]);
    }

    #[test]
    fn a_number_is_digits_alone() {
        let code = |query: &str| Params::parse(query).number("limit").map_err(|e| e.code);
        assert_eq!(code("limit=500"), Ok(Some(500)));
        assert_eq!(code("other=1"), Ok(None));
        assert_eq!(code("limit="), Err(-1105));
        for bad in ["limit=None", "limit=-1", "limit=1.5", "limit=%201", "limit=123456789012345678901"] {
            assert_eq!(code(bad), Err(-1100), "{bad}");
        }
        assert_eq!(code("limit=99999999999999999999"), Err(-1130));
    }
}
