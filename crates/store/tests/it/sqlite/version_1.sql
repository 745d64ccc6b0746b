-- A store as version 1 of the schema left it. Never to be changed: it stands for files that exist.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE kline_migrations (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;
INSERT INTO kline_migrations VALUES(1,1795566037648);
CREATE TABLE kline_series (
  id INTEGER PRIMARY KEY,
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  listed INTEGER,                 -- ms; when the exchange listed the symbol, as first learnt
  UNIQUE (market, symbol, interval)
) STRICT;
INSERT INTO kline_series VALUES(1,'spot','BTCUSDT','1d',1502928000000);
CREATE TABLE kline_buckets (
  series_id INTEGER NOT NULL,
  bucket INTEGER NOT NULL,        -- slot number >> 10
  filled INTEGER,                 -- filled slots; NULL: unknown, the rows must be asked
  bits BLOB,                      -- one bit per slot, lowest first; NULL when none or all are set
  row_count INTEGER NOT NULL,     -- klines; more than filled where two opened in one slot; void when unknown
  PRIMARY KEY (series_id, bucket)
) STRICT, WITHOUT ROWID;
INSERT INTO kline_buckets VALUES(1,18,NULL,NULL,0);
CREATE TABLE kline_absent (
  series_id INTEGER NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  how TEXT NOT NULL,
  established_at INTEGER NOT NULL,
  PRIMARY KEY (series_id, since)
) STRICT, WITHOUT ROWID;
INSERT INTO kline_absent VALUES(1,1672704000000,1672790400000,'empty_answer',1704067200000);
CREATE TABLE kline_ledger (
  series_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  run TEXT NOT NULL,
  source TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  row_count INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  fetched_at INTEGER NOT NULL,
  PRIMARY KEY (series_id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO kline_ledger VALUES(1,1,'run-1','rest',1672531200000,1672790400000,2,0,1704067200000);
CREATE TABLE kline_audit (
  id INTEGER PRIMARY KEY,
  series_id INTEGER NOT NULL,
  run TEXT NOT NULL,
  replaced_at INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL
) STRICT;
CREATE TABLE kline_leases (
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  owner TEXT NOT NULL,
  token TEXT NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (market, symbol, interval)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_runs (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL,
  job TEXT NOT NULL,
  market TEXT NOT NULL,
  symbol TEXT NOT NULL,
  interval TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  report TEXT NOT NULL,
  UNIQUE (run, market, symbol, interval)
) STRICT;
CREATE TABLE kline_outbox (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  subject TEXT NOT NULL,
  payload TEXT NOT NULL,
  traceparent TEXT,
  created INTEGER NOT NULL,
  delivered INTEGER
) STRICT;
CREATE TABLE kline_rows_s1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_m1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_m3 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_m5 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_m15 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_m30 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h2 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h4 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h6 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h8 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_h12 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_d1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
INSERT INTO kline_rows_d1 VALUES(1,1672531200000,'20415.00000415','21415.00000415','19415.00000415','20915.00000415','10.5',1672617599999,'8300000.00000415',415,'207.00000415','4150000.00000415');
INSERT INTO kline_rows_d1 VALUES(1,1672617600000,'20416.00000416','21416.00000416','19416.00000416','20916.00000416','2328926384141.0',1672703999999,'8320000.00000416',416,'208.00000416','4160000.00000416');
INSERT INTO kline_rows_d1 VALUES(1,1672790400000,'20415.00000415','21415.00000415','19415.00000415','20915.00000415','0.00000001',1672876799999,'8300000.00000415',415,'207.00000415','4150000.00000415');
CREATE TABLE kline_rows_d3 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_w1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
CREATE TABLE kline_rows_mo1 (
  series_id INTEGER NOT NULL,
  open_time INTEGER NOT NULL,
  open TEXT NOT NULL, high TEXT NOT NULL, low TEXT NOT NULL, close TEXT NOT NULL, volume TEXT NOT NULL,
  close_time INTEGER NOT NULL, quote_volume TEXT NOT NULL, count INTEGER NOT NULL,
  taker_buy_volume TEXT NOT NULL, taker_buy_quote_volume TEXT NOT NULL,
  PRIMARY KEY (series_id, open_time)
) STRICT, WITHOUT ROWID;
DELETE FROM sqlite_sequence;
CREATE INDEX kline_audit_by_series ON kline_audit (series_id, id);
CREATE INDEX kline_runs_by_series ON kline_runs (market, symbol, interval, id);
CREATE INDEX kline_outbox_pending ON kline_outbox (position) WHERE delivered IS NULL;
CREATE TRIGGER kline_rows_s1_inserted AFTER INSERT ON kline_rows_s1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 1024000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 1024000), 0); END;
CREATE TRIGGER kline_rows_s1_deleted AFTER DELETE ON kline_rows_s1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 1024000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 1024000), 0); END;
CREATE TRIGGER kline_rows_s1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_s1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 1024000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 1024000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 1024000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 1024000), 0); END;
CREATE VIEW klines_s1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_s1 k ON k.series_id = s.id WHERE s.interval = '1s';
CREATE TRIGGER kline_rows_m1_inserted AFTER INSERT ON kline_rows_m1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 61440000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 61440000), 0); END;
CREATE TRIGGER kline_rows_m1_deleted AFTER DELETE ON kline_rows_m1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 61440000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 61440000), 0); END;
CREATE TRIGGER kline_rows_m1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_m1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 61440000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 61440000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 61440000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 61440000), 0); END;
CREATE VIEW klines_m1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_m1 k ON k.series_id = s.id WHERE s.interval = '1m';
CREATE TRIGGER kline_rows_m3_inserted AFTER INSERT ON kline_rows_m3 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 184320000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 184320000), 0); END;
CREATE TRIGGER kline_rows_m3_deleted AFTER DELETE ON kline_rows_m3 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 184320000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 184320000), 0); END;
CREATE TRIGGER kline_rows_m3_moved AFTER UPDATE OF series_id, open_time ON kline_rows_m3 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 184320000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 184320000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 184320000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 184320000), 0); END;
CREATE VIEW klines_m3 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_m3 k ON k.series_id = s.id WHERE s.interval = '3m';
CREATE TRIGGER kline_rows_m5_inserted AFTER INSERT ON kline_rows_m5 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 307200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 307200000), 0); END;
CREATE TRIGGER kline_rows_m5_deleted AFTER DELETE ON kline_rows_m5 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 307200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 307200000), 0); END;
CREATE TRIGGER kline_rows_m5_moved AFTER UPDATE OF series_id, open_time ON kline_rows_m5 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 307200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 307200000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 307200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 307200000), 0); END;
CREATE VIEW klines_m5 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_m5 k ON k.series_id = s.id WHERE s.interval = '5m';
CREATE TRIGGER kline_rows_m15_inserted AFTER INSERT ON kline_rows_m15 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 921600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 921600000), 0); END;
CREATE TRIGGER kline_rows_m15_deleted AFTER DELETE ON kline_rows_m15 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 921600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 921600000), 0); END;
CREATE TRIGGER kline_rows_m15_moved AFTER UPDATE OF series_id, open_time ON kline_rows_m15 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 921600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 921600000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 921600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 921600000), 0); END;
CREATE VIEW klines_m15 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_m15 k ON k.series_id = s.id WHERE s.interval = '15m';
CREATE TRIGGER kline_rows_m30_inserted AFTER INSERT ON kline_rows_m30 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 1843200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 1843200000), 0); END;
CREATE TRIGGER kline_rows_m30_deleted AFTER DELETE ON kline_rows_m30 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 1843200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 1843200000), 0); END;
CREATE TRIGGER kline_rows_m30_moved AFTER UPDATE OF series_id, open_time ON kline_rows_m30 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 1843200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 1843200000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 1843200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 1843200000), 0); END;
CREATE VIEW klines_m30 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_m30 k ON k.series_id = s.id WHERE s.interval = '30m';
CREATE TRIGGER kline_rows_h1_inserted AFTER INSERT ON kline_rows_h1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 3686400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 3686400000), 0); END;
CREATE TRIGGER kline_rows_h1_deleted AFTER DELETE ON kline_rows_h1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 3686400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 3686400000), 0); END;
CREATE TRIGGER kline_rows_h1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 3686400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 3686400000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 3686400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 3686400000), 0); END;
CREATE VIEW klines_h1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h1 k ON k.series_id = s.id WHERE s.interval = '1h';
CREATE TRIGGER kline_rows_h2_inserted AFTER INSERT ON kline_rows_h2 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 7372800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 7372800000), 0); END;
CREATE TRIGGER kline_rows_h2_deleted AFTER DELETE ON kline_rows_h2 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 7372800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 7372800000), 0); END;
CREATE TRIGGER kline_rows_h2_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h2 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 7372800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 7372800000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 7372800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 7372800000), 0); END;
CREATE VIEW klines_h2 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h2 k ON k.series_id = s.id WHERE s.interval = '2h';
CREATE TRIGGER kline_rows_h4_inserted AFTER INSERT ON kline_rows_h4 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 14745600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 14745600000), 0); END;
CREATE TRIGGER kline_rows_h4_deleted AFTER DELETE ON kline_rows_h4 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 14745600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 14745600000), 0); END;
CREATE TRIGGER kline_rows_h4_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h4 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 14745600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 14745600000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 14745600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 14745600000), 0); END;
CREATE VIEW klines_h4 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h4 k ON k.series_id = s.id WHERE s.interval = '4h';
CREATE TRIGGER kline_rows_h6_inserted AFTER INSERT ON kline_rows_h6 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 22118400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 22118400000), 0); END;
CREATE TRIGGER kline_rows_h6_deleted AFTER DELETE ON kline_rows_h6 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 22118400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 22118400000), 0); END;
CREATE TRIGGER kline_rows_h6_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h6 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 22118400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 22118400000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 22118400000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 22118400000), 0); END;
CREATE VIEW klines_h6 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h6 k ON k.series_id = s.id WHERE s.interval = '6h';
CREATE TRIGGER kline_rows_h8_inserted AFTER INSERT ON kline_rows_h8 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 29491200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 29491200000), 0); END;
CREATE TRIGGER kline_rows_h8_deleted AFTER DELETE ON kline_rows_h8 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 29491200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 29491200000), 0); END;
CREATE TRIGGER kline_rows_h8_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h8 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 29491200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 29491200000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 29491200000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 29491200000), 0); END;
CREATE VIEW klines_h8 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h8 k ON k.series_id = s.id WHERE s.interval = '8h';
CREATE TRIGGER kline_rows_h12_inserted AFTER INSERT ON kline_rows_h12 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 44236800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 44236800000), 0); END;
CREATE TRIGGER kline_rows_h12_deleted AFTER DELETE ON kline_rows_h12 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 44236800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 44236800000), 0); END;
CREATE TRIGGER kline_rows_h12_moved AFTER UPDATE OF series_id, open_time ON kline_rows_h12 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 44236800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 44236800000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 44236800000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 44236800000), 0); END;
CREATE VIEW klines_h12 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_h12 k ON k.series_id = s.id WHERE s.interval = '12h';
CREATE TRIGGER kline_rows_d1_inserted AFTER INSERT ON kline_rows_d1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 88473600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 88473600000), 0); END;
CREATE TRIGGER kline_rows_d1_deleted AFTER DELETE ON kline_rows_d1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 88473600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 88473600000), 0); END;
CREATE TRIGGER kline_rows_d1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_d1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (old.open_time / 88473600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (old.open_time / 88473600000), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (new.open_time / 88473600000); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (new.open_time / 88473600000), 0); END;
CREATE VIEW klines_d1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_d1 k ON k.series_id = s.id WHERE s.interval = '1d';
CREATE TRIGGER kline_rows_d3_inserted AFTER INSERT ON kline_rows_d3 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = ((new.open_time + 265334400000) / 265420800000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, ((new.open_time + 265334400000) / 265420800000 - 1), 0); END;
CREATE TRIGGER kline_rows_d3_deleted AFTER DELETE ON kline_rows_d3 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = ((old.open_time + 265334400000) / 265420800000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, ((old.open_time + 265334400000) / 265420800000 - 1), 0); END;
CREATE TRIGGER kline_rows_d3_moved AFTER UPDATE OF series_id, open_time ON kline_rows_d3 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = ((old.open_time + 265334400000) / 265420800000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, ((old.open_time + 265334400000) / 265420800000 - 1), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = ((new.open_time + 265334400000) / 265420800000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, ((new.open_time + 265334400000) / 265420800000 - 1), 0); END;
CREATE VIEW klines_d3 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_d3 k ON k.series_id = s.id WHERE s.interval = '3d';
CREATE TRIGGER kline_rows_w1_inserted AFTER INSERT ON kline_rows_w1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = ((new.open_time + 618969600000) / 619315200000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, ((new.open_time + 618969600000) / 619315200000 - 1), 0); END;
CREATE TRIGGER kline_rows_w1_deleted AFTER DELETE ON kline_rows_w1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = ((old.open_time + 618969600000) / 619315200000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, ((old.open_time + 618969600000) / 619315200000 - 1), 0); END;
CREATE TRIGGER kline_rows_w1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_w1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = ((old.open_time + 618969600000) / 619315200000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, ((old.open_time + 618969600000) / 619315200000 - 1), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = ((new.open_time + 618969600000) / 619315200000 - 1); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, ((new.open_time + 618969600000) / 619315200000 - 1), 0); END;
CREATE VIEW klines_w1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_w1 k ON k.series_id = s.id WHERE s.interval = '1w';
CREATE TRIGGER kline_rows_mo1_inserted AFTER INSERT ON kline_rows_mo1 BEGIN DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (((strftime('%Y', new.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', new.open_time / 1000, 'unixepoch') - 1) >> 10); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (((strftime('%Y', new.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', new.open_time / 1000, 'unixepoch') - 1) >> 10), 0); END;
CREATE TRIGGER kline_rows_mo1_deleted AFTER DELETE ON kline_rows_mo1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (((strftime('%Y', old.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', old.open_time / 1000, 'unixepoch') - 1) >> 10); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (((strftime('%Y', old.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', old.open_time / 1000, 'unixepoch') - 1) >> 10), 0); END;
CREATE TRIGGER kline_rows_mo1_moved AFTER UPDATE OF series_id, open_time ON kline_rows_mo1 BEGIN DELETE FROM kline_buckets WHERE series_id = old.series_id AND bucket = (((strftime('%Y', old.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', old.open_time / 1000, 'unixepoch') - 1) >> 10); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (old.series_id, (((strftime('%Y', old.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', old.open_time / 1000, 'unixepoch') - 1) >> 10), 0); DELETE FROM kline_buckets WHERE series_id = new.series_id AND bucket = (((strftime('%Y', new.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', new.open_time / 1000, 'unixepoch') - 1) >> 10); INSERT INTO kline_buckets (series_id, bucket, row_count) VALUES (new.series_id, (((strftime('%Y', new.open_time / 1000, 'unixepoch') - 1970) * 12 + strftime('%m', new.open_time / 1000, 'unixepoch') - 1) >> 10), 0); END;
CREATE VIEW klines_mo1 AS
  SELECT s.market AS market, s.symbol AS symbol, strftime('%Y-%m-%dT%H:%M:%fZ', k.open_time / 1000.0, 'unixepoch') AS open_time, k.open AS open, k.high AS high, k.low AS low,
    k.close AS close, k.volume AS volume, strftime('%Y-%m-%dT%H:%M:%fZ', k.close_time / 1000.0, 'unixepoch') AS close_time, k.quote_volume AS quote_volume, k.count AS count,
    k.taker_buy_volume AS taker_buy_volume, k.taker_buy_quote_volume AS taker_buy_quote_volume
  FROM kline_series s JOIN kline_rows_mo1 k ON k.series_id = s.id WHERE s.interval = '1M';
COMMIT;
