//! The connections: one that writes, a few that read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::fail::{Doing, Fault, Place, Step};
use super::schema::{self, MIGRATIONS};
use super::url::File;
use super::{READER_CACHE_KIB, READERS, WRITER_CACHE_KIB};
use crate::{OpenOptions, StoreError, StoreResult};

/// Pages in the log before it is worked back into the file: 16 MiB. Fewer, larger checkpoints write a page that was
/// touched by several chunks once.
const CHECKPOINT_PAGES: u32 = 4096;
/// To what the log is cut back, bytes.
const LOG_LIMIT: i64 = 32 << 20;
/// Statements kept prepared per connection; more than all kinds there are for one interval.
const STATEMENTS: usize = 64;

#[derive(Debug)]
pub(super) struct Pool {
    place: Place,
    file: File,
    /// `None` after closing. Of a read-only store it is the connection that reads.
    writer: Arc<tokio::sync::Mutex<Option<Connection>>>,
    read_only: bool,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// Runs work that blocks on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(lost) => Err(StoreError::Engine { doing: doing.into(), source: lost.into() }),
    }
}

impl Pool {
    /// Opens the file, creating and migrating it unless it is for reading only.
    pub(super) fn open(file: File, options: &OpenOptions) -> StoreResult<Self> {
        let name = match &file {
            File::Memory => "the store in memory".to_owned(),
            File::Path(path) => path.display().to_string(),
        };
        let place = Place { name, busy_timeout: options.busy_timeout };
        let conn = first_connection(&file, &place, options.read_only)?;
        Ok(Self {
            place,
            file,
            writer: Arc::new(tokio::sync::Mutex::new(Some(conn))),
            read_only: options.read_only,
            turns: Arc::new(Semaphore::new(READERS)),
            idle: Arc::default(),
        })
    }

    pub(super) fn path(&self) -> Option<PathBuf> {
        match &self.file {
            File::Memory => None,
            File::Path(path) => Some(path.clone()),
        }
    }

    /// Runs `work` on one snapshot of the store.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> Step<T> + Send + 'static,
    ) -> StoreResult<T> {
        let place = self.place.clone();
        let File::Path(path) = self.file.clone() else {
            let mut writer = self.writer().await;
            return blocking(doing, move || snapshot(open_one(&mut writer, &place)?, &place, doing, work))
                .await;
        };
        let permit = self.turn().await?;
        let idle = Arc::clone(&self.idle);
        blocking(doing, move || {
            let kept = lock(&idle).pop();
            let mut conn = match kept {
                Some(conn) => conn,
                None => reader(&path, &place)?,
            };
            let result = snapshot(&mut conn, &place, doing, work);
            lock(&idle).push(conn);
            drop(permit);
            result
        })
        .await
    }

    /// Runs `work` in one transaction. See [`write_durably`](Self::write_durably).
    pub(super) async fn write<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Step<T> + Send + 'static,
    ) -> StoreResult<T> {
        self.write_durably(false, doing, work).await
    }

    /// Runs `work` in one transaction, which commits if it succeeds. When `durable`, waits until the disk has it, and
    /// everything before it.
    pub(super) async fn write_durably<T: Send + 'static>(
        &self,
        durable: bool,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Step<T> + Send + 'static,
    ) -> StoreResult<T> {
        let place = self.place.clone();
        if self.read_only {
            let source = "the store was opened for reading only".into();
            return Err(StoreError::ReadOnly { place: place.name, source });
        }
        let mut writer = self.writer().await;
        blocking(doing, move || {
            let conn = open_one(&mut writer, &place)?;
            let wait = if durable { "FULL" } else { "NORMAL" };
            let run = || -> Step<T> {
                conn.pragma_update(None, "synchronous", wait)?;
                let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let value = work(&tx)?;
                tx.commit()?;
                Ok(value)
            };
            run().doing(&place, || format!("{doing} in {}", place.name))
        })
        .await
    }

    /// Waits for running work and closes the file; the log is worked in, so that one file is left.
    pub(super) async fn close(&self) -> StoreResult<()> {
        let place = self.place.clone();
        // All turns taken means that nobody reads; closing the semaphore means that nobody will.
        let Ok(turns) = Arc::clone(&self.turns).acquire_many_owned(READERS as u32).await else {
            return Ok(());
        };
        self.turns.close();
        let mut writer = self.writer().await;
        let idle = Arc::clone(&self.idle);
        blocking("closing the store", move || {
            lock(&idle).clear();
            drop(turns);
            match writer.take() {
                Some(conn) => {
                    conn.close().map_err(|(_, e)| e).doing(&place, || format!("closing {}", place.name))
                }
                None => Ok(()),
            }
        })
        .await
    }

    async fn writer(&self) -> OwnedMutexGuard<Option<Connection>> {
        Arc::clone(&self.writer).lock_owned().await
    }

    async fn turn(&self) -> StoreResult<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        turn.map_err(|_| StoreError::Closed { place: self.place.name.clone() })
    }
}

fn open_one<'a>(conn: &'a mut Option<Connection>, place: &Place) -> StoreResult<&'a mut Connection> {
    conn.as_mut().ok_or_else(|| StoreError::Closed { place: place.name.clone() })
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn snapshot<T>(
    conn: &mut Connection,
    place: &Place,
    doing: &'static str,
    work: impl FnOnce(&Connection) -> Step<T>,
) -> StoreResult<T> {
    let run = || -> Step<T> {
        let tx = conn.transaction()?;
        let value = work(&tx)?;
        tx.finish()?;
        Ok::<_, Fault>(value)
    };
    run().doing(place, || format!("{doing} in {}", place.name))
}

/// The connection that finds out whether the file can be used, and makes it usable.
fn first_connection(file: &File, place: &Place, read_only: bool) -> StoreResult<Connection> {
    let opening = || format!("opening {}", place.name);
    let mut conn = match file {
        File::Memory => Connection::open_in_memory().doing(place, opening)?,
        File::Path(path) => {
            check_path(path, place, read_only)?;
            let flags = if read_only {
                OpenFlags::SQLITE_OPEN_READ_ONLY
            } else {
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
            };
            connect(path, flags, place)?
        }
    };
    let cache = if read_only { READER_CACHE_KIB } else { WRITER_CACHE_KIB };
    settings(&conn, place, cache).doing(place, opening)?;
    if read_only {
        let found = schema::check(&conn, place, MIGRATIONS)?;
        return if MIGRATIONS.last().is_some_and(|m| m.version == found) {
            Ok(conn)
        } else {
            let source = match found {
                0 => "it holds no klines: run `klines extract` or `klines fill-gaps` on it first".into(),
                _ => format!(
                    "its schema has version {found}, which must be brought up to date by a writing command"
                )
                .into(),
            };
            Err(StoreError::Open { place: place.name.clone(), source })
        };
    }
    schema::check(&conn, place, MIGRATIONS)?;
    log_ahead(&conn).doing(place, opening)?;
    schema::migrate(&mut conn, place, MIGRATIONS)?;
    // Triggers note what others do to the rows; this connection keeps the books itself.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).doing(place, opening)?;
    Ok(conn)
}

/// Says what SQLite does not: which part of the path is wrong.
fn check_path(path: &Path, place: &Place, read_only: bool) -> StoreResult<()> {
    let refuse = |why: String| Err(StoreError::Open { place: place.name.clone(), source: why.into() });
    if path.is_dir() {
        return refuse("it is a folder; name a file in it".into());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    match folder {
        Some(folder) if !folder.exists() => refuse(format!("the folder {} does not exist", folder.display())),
        _ if read_only && !path.exists() => refuse("there is no such file".into()),
        _ => Ok(()),
    }
}

fn connect(path: &Path, flags: OpenFlags, place: &Place) -> StoreResult<Connection> {
    Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .doing(place, || format!("opening {}", place.name))
}

fn reader(path: &Path, place: &Place) -> StoreResult<Connection> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, place)?;
    settings(&conn, place, READER_CACHE_KIB).doing(place, || format!("opening {}", place.name))?;
    Ok(conn)
}

fn settings(conn: &Connection, place: &Place, cache_kib: u32) -> rusqlite::Result<()> {
    conn.busy_timeout(place.busy_timeout)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "temp_store", "FILE")?;
    conn.pragma_update(None, "mmap_size", 0)
}

/// Switches the file to write-ahead logging, if it is not there yet: this needs the file for itself for a moment.
fn log_ahead(conn: &Connection) -> rusqlite::Result<()> {
    let mode: String = conn.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    }
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "journal_size_limit", LOG_LIMIT)
}
