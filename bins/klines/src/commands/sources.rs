//! Files that the user names: whose klines they hold, and their rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use binance::archive::Batch;
use files::{FileError, KlineFile, S3Place};
use kline::{Interval, Market, Millis, Series, SlotRange, Symbol};
use tokio::sync::mpsc;

use super::show::masked;
use crate::error::CliError;
use crate::settings::{Origin, Settings, keys};

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        let hint = error.hint();
        // A path that is not there, or no file of klines, is a slip of the command line.
        let missing = match &error {
            FileError::Format(_) => true,
            FileError::Io { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
            _ => false,
        };
        let message = pipeline::error::chain(&error);
        if missing { Self::Usage { message, hint } } else { Self::Failed { message, hint } }
    }
}

/// The kline files of some paths by series, those of a series in order of time. Files of series that the flags do not name
/// are left out.
pub fn by_series(
    settings: &Settings,
    paths: &[PathBuf],
) -> Result<BTreeMap<Series, Vec<KlineFile>>, CliError> {
    paths.iter().try_for_each(|path| no_address(path))?;
    let wanted = Wanted::of(settings)?;
    let mut found: BTreeMap<Series, Vec<(Millis, KlineFile)>> = BTreeMap::new();
    for file in files::find(paths)? {
        let Some(series) = wanted.series(&file)? else { continue };
        let begins = begins(&file)?;
        found.entry(series).or_default().push((begins, file));
    }
    if found.is_empty() {
        let places: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(CliError::Usage {
            message: format!(
                "no kline files (.zip, .csv, .parquet) of the series asked for in {}",
                places.join(", ")
            ),
            hint: Some("check the path, and --market, --symbols and --intervals".into()),
        });
    }
    let in_order = |mut files: Vec<(Millis, KlineFile)>| {
        files.sort_by_key(|(begins, _)| *begins);
        files.into_iter().map(|(_, file)| file).collect()
    };
    Ok(found.into_iter().map(|(series, files)| (series, in_order(files))).collect())
}

/// Refuses addresses, which would be taken for the names of files otherwise.
fn no_address(path: &Path) -> Result<(), CliError> {
    let Some(text) = path.to_str().filter(|text| S3Place::is_meant(text) || text.contains("://")) else {
        return Ok(());
    };
    let hint = match S3Place::is_meant(text) {
        true => "copy the objects into a folder first: aws s3 sync s3://BUCKET/PREFIX FOLDER",
        false => "download the files into a folder first, and name the folder",
    };
    Err(CliError::Usage {
        message: format!("{} is an address: klines are read from files and folders only", masked(text)),
        hint: Some(hint.into()),
    })
}

/// When the period of a file begins, or its first row.
fn begins(file: &KlineFile) -> Result<Millis, CliError> {
    if let Some(period) = file.named().period {
        return Ok(period.range().since);
    }
    let mut first = None;
    file.read(|batch| {
        first = batch.rows.first().map(|row| row.open_time);
        first.is_none()
    })?;
    Ok(first.unwrap_or_default())
}

/// What the flags say about files.
struct Wanted {
    /// `--market`.
    market: Option<Market>,
    /// What environment or settings file say, for files that say nothing.
    fallback: Option<Market>,
    symbols: Vec<Symbol>,
    intervals: Vec<Interval>,
}

impl Wanted {
    fn of(settings: &Settings) -> Result<Self, CliError> {
        let by_flag = |key: &str| matches!(settings.get(key).map(|v| &v.origin), Some(Origin::Flag(_)));
        let told = settings.get(keys::MARKET).is_some_and(|value| value.origin != Origin::Default);
        let market = settings.market()?;
        let list = |key: &str| {
            let text = if by_flag(key) { settings.text(key).unwrap_or_default() } else { "" };
            text.split(',').map(str::trim).filter(|item| !item.is_empty())
        };
        let usage = |error: &dyn std::fmt::Display| CliError::usage(error.to_string());
        let symbols: Result<_, _> = list(keys::SYMBOLS).map(Symbol::new).collect();
        let intervals: Result<_, _> =
            list(keys::INTERVALS).filter(|text| *text != "all").map(str::parse::<Interval>).collect();
        Ok(Self {
            market: by_flag(keys::MARKET).then_some(market),
            fallback: told.then_some(market),
            symbols: symbols.map_err(|error| usage(&error))?,
            intervals: intervals.map_err(|error| usage(&error))?,
        })
    }

    /// Whose klines a file holds; `None` when the flags ask for others.
    fn series(&self, file: &KlineFile) -> Result<Option<Series>, CliError> {
        let (named, path) = (file.named(), file.path().display());
        let unknown = |what: &str, flag: &str| CliError::Usage {
            message: format!("{path} does not say which {what} it is of"),
            hint: Some(format!(
                "say it: {flag}; or name the file as the archive does: um/BTCUSDT-5m-2025-01.csv, below a folder of its market"
            )),
        };
        let market = self.market.or(named.market).or(self.fallback);
        let market = market.ok_or_else(|| unknown("market", "--market um, cm or spot"))?;
        let symbol = match (&named.symbol, self.symbols.as_slice()) {
            (Some(symbol), []) => symbol,
            (Some(symbol), asked) if asked.contains(symbol) => symbol,
            (Some(_), _) => return Ok(None),
            (None, [one]) => one,
            (None, _) => return Err(unknown("symbol", "--symbols BTCUSDT")),
        };
        let interval = match (named.interval, self.intervals.as_slice()) {
            (Some(interval), []) => interval,
            (Some(interval), asked) if asked.contains(&interval) => interval,
            (Some(_), _) => return Ok(None),
            (None, [one]) => *one,
            (None, _) => return Err(unknown("interval", "--intervals 5m")),
        };
        if named.market.is_some_and(|own| own != market) {
            return Ok(None);
        }
        Series::new(market, symbol.clone(), interval)
            .map(Some)
            .map_err(|error| CliError::usage(format!("{path}: {error}")))
    }
}

/// The slots a file may fill: those of its period, when its name tells one.
pub fn slots_of(file: &KlineFile, interval: Interval) -> SlotRange {
    let of_period = file.named().period.map(|period| interval.slots_starting_in(period.range()));
    of_period.unwrap_or_else(|| pipeline::certify::every_slot(interval))
}

/// The rows of a file, read on a thread of its own; an error is the last thing to arrive.
pub fn rows(file: &KlineFile) -> mpsc::Receiver<Result<Batch, FileError>> {
    let (send, receive) = mpsc::channel(1);
    let file = file.clone();
    tokio::task::spawn_blocking(move || {
        // A receiver that is gone wants nothing any more, not even the error.
        if let Err(error) = file.read(|batch| send.blocking_send(Ok(batch)).is_ok()) {
            let _ = send.blocking_send(Err(error));
        }
    });
    receive
}
