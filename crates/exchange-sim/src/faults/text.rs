//! Domain types as texts in JSON.

use std::fmt::Display;
use std::str::FromStr;

use kline::Millis;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

/// For `Option<T>` where `T` is written and read as a text.
pub(crate) mod optional {
    use super::*;

    pub(crate) fn serialize<T: Display, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// An instant: a time as [`Millis`] reads it, or a number of milliseconds.
pub(crate) mod instant {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(value: &Millis, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Millis, D::Error> {
        read(Raw::deserialize(from)?)
    }
}

/// An instant that may be missing.
pub(crate) mod optional_instant {
    use super::*;

    pub(crate) use super::optional::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Millis>, D::Error> {
        Option::<Raw>::deserialize(from)?.map(read).transpose()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Raw {
    Number(i64),
    Text(String),
}

fn read<E: Error>(raw: Raw) -> Result<Millis, E> {
    match raw {
        Raw::Number(ms) => Ok(Millis(ms)),
        Raw::Text(text) => text.parse().map_err(E::custom),
    }
}
