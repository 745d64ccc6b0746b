//! Which of PostgreSQL's errors mean what.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::servers::fail::{Cause, Class, Fault};

/// Sorts an error. What the server says is kept as it says it; of anything else the innermost cause.
pub(super) fn fault(error: Error) -> Fault {
    if error.is_closed() {
        return Fault::Engine(Class::Lost, "the connection is closed".into());
    }
    if let Some(said) = error.as_db_error() {
        return Fault::Engine(class_of(said.code()), said_by(said));
    }
    let is_io = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let class = match is_io {
        // What the TLS library complains about comes as this kind; it will not pass by itself.
        None | Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => Class::Other,
        Some(_) => Class::Lost,
    };
    let text = error.to_string();
    Fault::Engine(class, error.into_source().unwrap_or_else(|| text.into()))
}

fn said_by(error: &DbError) -> Cause {
    let detail = error.detail().map(|d| format!(" ({d})")).unwrap_or_default();
    format!("{}: {}{detail} [{}]", error.severity(), error.message(), error.code().code()).into()
}

fn class_of(code: &SqlState) -> Class {
    match code.code() {
        // Shutting down, starting up, crashed, and the class of connection exceptions.
        "57P01" | "57P02" | "57P03" | "57P05" => Class::Lost,
        code if code.starts_with("08") => Class::Lost,
        // A plan that a change of the schema made void: a new connection has new plans.
        "0A000" => Class::Lost,
        "40001" | "40P01" | "55P03" => Class::Conflict,
        "23505" => Class::Duplicate,
        "28P01" | "28000" | "3D000" => Class::Login,
        // The last: the user has no schema to create anything in.
        "42501" | "3F000" => Class::Denied,
        "25006" => Class::ReadOnly,
        "53100" => Class::Full,
        "57014" => Class::Slow,
        "53300" => Class::Crowded,
        "42P01" => Class::NoTable,
        "42P07" | "42723" | "42710" => Class::Exists,
        _ => Class::Other,
    }
}
