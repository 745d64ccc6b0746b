//! Klines in files.
