//! How a database gets its tables, and how an older one becomes a current one.
//!
//! The tables, views and triggers themselves are each engine's own.

use super::engine::{Begin, Engine, Migration, Session, Told};
use super::fail::{Class, Fault, Step};
use super::lease;
use super::value::{Cells, values};
use crate::{StoreError, StoreResult};

/// What a database has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// Newest step that was applied, 0 for none.
    pub(crate) version: u32,
    /// Whether all triggers could be made.
    pub(crate) watched: bool,
}

impl State {
    /// What the triggers tell.
    pub(crate) fn told<E: Engine>(self) -> Told {
        if self.watched { E::TOLD } else { Told::Nothing }
    }
}

/// Reads what a database has. Changes nothing.
async fn state<S: Session>(session: &mut S) -> Step<State> {
    let asked = session.query_one("SELECT MAX(version), MIN(watched) FROM kline_migrations", &[]).await;
    let row = match asked {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(State { version: 0, watched: false }),
        Err(fault) if fault.class() == Some(Class::NoTable) => {
            return Ok(State { version: 0, watched: false });
        }
        Err(fault) => return Err(fault),
    };
    let version = row.opt_int(0)?.and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    Ok(State { version, watched: row.opt_int(1)? == Some(1) })
}

/// Checks that this program can work with what a database has, and unless it is for reading only, brings it up to date.
/// Several processes may do so at once.
pub(crate) async fn prepare<E: Engine>(
    session: &mut E::Session,
    place: &str,
    read_only: bool,
    steps: &[Migration],
) -> Step<State> {
    let found = state(session).await?;
    let known = steps.last().map_or(0, |step| step.version);
    if found.version > known {
        return Err(StoreError::Newer { place: place.into(), found: found.version, known }.into());
    }
    if found.version == known {
        return Ok(found);
    }
    if read_only {
        // An earlier version is read as it is: what it has not is a table of notes.
        return match found.version {
            0 => Err(StoreError::Empty { place: place.to_owned() }.into()),
            _ => Ok(found),
        };
    }
    session.lock_schema().await?;
    let done = migrate::<E>(session, place, steps).await;
    session.unlock_schema().await?;
    done
}

async fn migrate<E: Engine>(session: &mut E::Session, place: &str, steps: &[Migration]) -> Step<State> {
    // Somebody else may have done it while we waited for the lock.
    let found = state(session).await?;
    let due: Vec<&Migration> = steps.iter().filter(|step| step.version > found.version).collect();
    apply::<E>(session, &due).await.map_err(|fault| in_words(fault, place))?;
    tracing::debug!(place, steps = due.len(), "schema migrated");
    state(session).await
}

/// Takes all steps, and notes them together: nobody ever sees a version in between.
async fn apply<E: Engine>(session: &mut E::Session, due: &[&Migration]) -> Step<()> {
    if E::TRANSACTIONAL_SCHEMA {
        session.begin(Begin::Write).await?;
    }
    let mut watched = Vec::with_capacity(due.len());
    for step in due {
        for statement in (step.tables)() {
            session.run(&statement).await?;
        }
        watched.push(watch(session, step).await?);
    }
    let now = lease::now(session).await?;
    if !E::TRANSACTIONAL_SCHEMA {
        session.begin(Begin::Write).await?;
    }
    for (step, watched) in due.iter().zip(watched) {
        let sql = "INSERT INTO kline_migrations (version, applied_at, watched) VALUES (?, ?, ?)";
        session.execute(sql, values![i64::from(step.version), now.0, i64::from(watched)]).await?;
    }
    session.commit().await
}

/// Makes the triggers, if the user may.
async fn watch<S: Session>(session: &mut S, step: &Migration) -> Step<bool> {
    for statement in (step.triggers)() {
        match session.run(&statement).await {
            Ok(()) => {}
            Err(fault) if fault.class() == Some(Class::Denied) => {
                tracing::info!(?fault, "no triggers: rows will be counted when gaps are looked for");
                return Ok(false);
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(true)
}

/// What a failed change of the schema means.
fn in_words(fault: Fault, place: &str) -> Fault {
    match fault {
        Fault::Engine(Class::Denied | Class::ReadOnly, source) => {
            Fault::Store(StoreError::NoTables { place: place.into(), source })
        }
        Fault::Engine(Class::Exists, source) => {
            Fault::Store(StoreError::Taken { place: place.into(), source })
        }
        other => other,
    }
}

/// All statements that make the tables of a new database or bring an older one up to date, for an administrator to run.
pub(crate) fn sql<E: Engine>() -> Vec<String> {
    let mut statements = Vec::new();
    for step in E::MIGRATIONS {
        statements.extend((step.tables)());
        statements.extend((step.triggers)());
        // Not twice: an older database is brought up to date by the same statements.
        statements.push(format!(
            "INSERT INTO kline_migrations (version, applied_at, watched) SELECT v.n, {}, 1 FROM (SELECT {} AS n) v \
             WHERE NOT EXISTS (SELECT 1 FROM kline_migrations m WHERE m.version = v.n)",
            E::Session::NOW,
            step.version
        ));
    }
    statements
}

/// The result of opening, in the words of a store.
pub(crate) fn opened<T>(result: Step<T>, place: &str, waited: std::time::Duration) -> StoreResult<T> {
    result.map_err(|fault| match fault {
        Fault::Engine(Class::Lost | Class::Other, source) => StoreError::Open { place: place.into(), source },
        other => other.explain(place, "opening the store", false, waited),
    })
}
