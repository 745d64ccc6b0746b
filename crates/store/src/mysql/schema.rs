//! Tables, views and triggers.
//!
//! Per interval there is one table `kline_rows_<suffix>` and one view `klines_<suffix>` for people. The view shows the
//! columns as they are stored, so that a condition on `open_time` finds its rows by the primary key. No step can be undone
//! as a whole (MySQL commits each change of the schema by itself), so that every statement can be repeated.

use kline::Interval;

use crate::buckets::SIZE;
use crate::servers::engine::Migration;

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, tables, triggers },
    Migration { version: 2, tables: certified, triggers: Vec::new },
];

const OPTIONS: &str = "ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// The values of a kline, as columns of a table.
const VALUES: &str = "open_time DATETIME(3) NOT NULL,
  open DECIMAL(38,12) NOT NULL,
  high DECIMAL(38,12) NOT NULL,
  low DECIMAL(38,12) NOT NULL,
  close DECIMAL(38,12) NOT NULL,
  volume DECIMAL(38,12) NOT NULL,
  close_time DATETIME(3) NOT NULL,
  quote_volume DECIMAL(38,12) NOT NULL,
  count BIGINT UNSIGNED NOT NULL,
  taker_buy_volume DECIMAL(38,12) NOT NULL,
  taker_buy_quote_volume DECIMAL(38,12) NOT NULL";

const BOOKS: &[(&str, &str)] = &[
    ("kline_migrations", "version INT UNSIGNED NOT NULL PRIMARY KEY,
  applied_at BIGINT NOT NULL,
  watched TINYINT NOT NULL COMMENT 'whether all triggers could be made'"),
    ("kline_series", "id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  market VARCHAR(8) NOT NULL,
  symbol VARCHAR(40) NOT NULL,
  period VARCHAR(4) NOT NULL COMMENT 'the interval, as Binance writes it',
  listed BIGINT COMMENT 'ms; when the exchange listed the symbol, as first learnt',
  UNIQUE KEY by_name (market, symbol, period)"),
    ("kline_buckets", "series_id INT UNSIGNED NOT NULL,
  bucket BIGINT NOT NULL COMMENT 'slot number >> 10',
  filled SMALLINT COMMENT 'filled slots; NULL: unknown, the rows must be asked',
  bits VARBINARY(128) COMMENT 'one bit per slot, lowest first; NULL when none or all are set',
  row_count BIGINT NOT NULL COMMENT 'klines; more than filled where two opened in one slot; void when unknown',
  PRIMARY KEY (series_id, bucket)"),
    ("kline_absent", "series_id INT UNSIGNED NOT NULL,
  since BIGINT NOT NULL COMMENT 'ms',
  until BIGINT NOT NULL COMMENT 'ms, not included',
  how VARCHAR(32) NOT NULL,
  established_at BIGINT NOT NULL,
  PRIMARY KEY (series_id, since)"),
    ("kline_ledger", "series_id INT UNSIGNED NOT NULL,
  seq BIGINT NOT NULL,
  run VARCHAR(190) NOT NULL,
  source VARCHAR(16) NOT NULL,
  since BIGINT NOT NULL COMMENT 'ms',
  until BIGINT NOT NULL COMMENT 'ms, not included',
  row_count BIGINT NOT NULL,
  rejected BIGINT NOT NULL,
  fetched_at BIGINT NOT NULL,
  PRIMARY KEY (series_id, seq)"),
    ("kline_leases", "market VARCHAR(8) NOT NULL,
  symbol VARCHAR(40) NOT NULL,
  period VARCHAR(4) NOT NULL,
  owner VARCHAR(255) NOT NULL,
  token VARCHAR(64) NOT NULL,
  chunk VARCHAR(64) NOT NULL COMMENT 'the chunk committed last',
  expires BIGINT NOT NULL COMMENT 'ms, by the clock of the server',
  PRIMARY KEY (market, symbol, period)"),
    ("kline_runs", "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  run VARCHAR(190) NOT NULL,
  job VARCHAR(32) NOT NULL,
  market VARCHAR(8) NOT NULL,
  symbol VARCHAR(40) NOT NULL,
  period VARCHAR(4) NOT NULL,
  started BIGINT NOT NULL,
  ended BIGINT NOT NULL,
  outcome VARCHAR(16) NOT NULL,
  report MEDIUMTEXT NOT NULL,
  UNIQUE KEY by_run (run, market, symbol, period),
  KEY by_series (market, symbol, period, id)"),
    ("kline_outbox", "position BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  id VARCHAR(255) NOT NULL UNIQUE,
  subject TEXT NOT NULL,
  payload MEDIUMTEXT NOT NULL,
  traceparent VARCHAR(255),
  created BIGINT NOT NULL,
  delivered BIGINT,
  KEY by_delivery (delivered, position)"),
];

/// Since version 2.
const CERTIFIED: (&str, &str) = (
    "kline_certified",
    "series_id INT UNSIGNED NOT NULL,
  since BIGINT NOT NULL COMMENT 'ms',
  until BIGINT NOT NULL COMMENT 'ms, not included',
  books VARCHAR(64) NOT NULL COMMENT 'what the books said of these klines',
  row_count BIGINT NOT NULL,
  digest VARCHAR(64) NOT NULL COMMENT 'of the klines that open in the range',
  certified_at BIGINT NOT NULL,
  PRIMARY KEY (series_id, since)",
);

fn table((name, columns): (&str, &str)) -> String {
    format!("CREATE TABLE IF NOT EXISTS {name} (\n  {columns}\n) {OPTIONS}")
}

fn certified() -> Vec<String> {
    vec![table(CERTIFIED)]
}

fn tables() -> Vec<String> {
    let mut all: Vec<String> = BOOKS.iter().copied().map(table).collect();
    all.push(table((
        "kline_audit",
        &format!(
            "id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  series_id INT UNSIGNED NOT NULL,
  run VARCHAR(190) NOT NULL,
  replaced_at BIGINT NOT NULL,
  {VALUES},
  KEY by_series (series_id, id)"
        ),
    )));
    for interval in Interval::ALL {
        let (suffix, period) = (interval.suffix(), interval.as_str());
        all.push(table((
            &format!("kline_rows_{suffix}"),
            &format!("series_id INT UNSIGNED NOT NULL,\n  {VALUES},\n  PRIMARY KEY (series_id, open_time)"),
        )));
        all.push(format!(
            "CREATE OR REPLACE VIEW klines_{suffix} AS
  SELECT s.market, s.symbol, k.open_time, k.open, k.high, k.low, k.close, k.volume, k.close_time, k.quote_volume,
    k.count, k.taker_buy_volume, k.taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_{suffix} k ON k.series_id = s.id WHERE s.period = '{period}'"
        ));
    }
    all
}

/// Triggers that make a bucket unknown when somebody deletes or moves a row: the engine itself never does. Each is one
/// statement, so that any client can run it without a delimiter of its own.
fn triggers() -> Vec<String> {
    let mut all = Vec::new();
    for interval in Interval::ALL {
        let suffix = interval.suffix();
        let bucket = |row: &str| bucket_of(interval, &format!("{row}.open_time"));
        let head = "INSERT INTO kline_buckets (series_id, bucket, filled, bits, row_count)";
        let tail = "ON DUPLICATE KEY UPDATE filled = NULL, bits = NULL";
        let mut trigger = |name: &str, event: &str, rows: String| {
            all.push(format!("DROP TRIGGER IF EXISTS kline_rows_{suffix}_{name}"));
            all.push(format!(
                "CREATE TRIGGER kline_rows_{suffix}_{name} AFTER {event} ON kline_rows_{suffix} FOR EACH ROW\n  {head}\n  {rows}\n  {tail}"
            ));
        };
        trigger("deleted", "DELETE", format!("VALUES (OLD.series_id, {}, NULL, NULL, 0)", bucket("OLD")));
        let was_moved = "(OLD.series_id, OLD.open_time) <> (NEW.series_id, NEW.open_time)";
        trigger(
            "moved",
            "UPDATE",
            format!(
                "SELECT r.series_id, r.bucket, NULL, NULL, 0 FROM (
    SELECT OLD.series_id AS series_id, {} AS bucket UNION ALL SELECT NEW.series_id, {}) r
  WHERE {was_moved}",
                bucket("OLD"),
                bucket("NEW")
            ),
        );
    }
    all
}

/// The bucket of an instant as an SQL expression.
pub(super) fn bucket_of(interval: Interval, at: &str) -> String {
    match interval.fixed_ms() {
        Some(step) => {
            let size = step * SIZE * 1000;
            let from_anchor = format!(
                "(TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', {at}) - {})",
                interval.anchor().0 * 1000
            );
            // Division rounds towards zero, buckets before the anchor must round down.
            format!("({from_anchor} DIV {size} - ({from_anchor} MOD {size} < 0))")
        }
        None => format!("((YEAR({at}) - 1970) * 12 + MONTH({at}) - 1) DIV {SIZE}"),
    }
}
