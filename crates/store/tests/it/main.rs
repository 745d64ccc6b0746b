//! What every engine promises ([`suite`]), and what only SQLite does ([`sqlite`]).

mod common;
mod sqlite;
mod suite;
