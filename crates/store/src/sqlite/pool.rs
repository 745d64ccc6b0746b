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
    reading: Reading,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// How the connections that only read are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Beside the one that writes, which closes last and tidies up.
    Beside,
    /// In a store that is for reading only. SQLite needs the right to write for its notes beside the file (`-shm`), and to
    /// remove them at the end; statements that write are refused.
    Alone,
    /// From a medium that nobody can write to: no notes, no locks.
    Still,
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
        let (conn, reading) = if options.read_only {
            first_reader(&file, &place)?
        } else {
            (first_writer(&file, &place)?, Reading::Beside)
        };
        Ok(Self {
            place,
            file,
            writer: Arc::new(tokio::sync::Mutex::new(Some(conn))),
            reading,
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
        let reading = self.reading;
        let idle = Arc::clone(&self.idle);
        blocking(doing, move || {
            let kept = lock(&idle).pop();
            let mut conn = match kept {
                Some(conn) => conn,
                None => reader(&path, reading, &place)?,
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
        if self.reading != Reading::Beside {
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
fn first_writer(file: &File, place: &Place) -> StoreResult<Connection> {
    let opening = || format!("opening {}", place.name);
    let mut conn = match file {
        File::Memory => Connection::open_in_memory().doing(place, opening)?,
        File::Path(path) => {
            check_path(path, place, false)?;
            connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE, place)?
        }
    };
    settings(&conn, place, WRITER_CACHE_KIB).doing(place, opening)?;
    schema::check(&conn, place, MIGRATIONS)?;
    log_ahead(&conn).doing(place, opening)?;
    schema::migrate(&mut conn, place, MIGRATIONS)?;
    // Triggers note what others do to the rows; this connection keeps the books itself.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).doing(place, opening)?;
    Ok(conn)
}

/// The connection that finds out whether the file can be read, and how.
fn first_reader(file: &File, place: &Place) -> StoreResult<(Connection, Reading)> {
    let File::Path(path) = file else {
        return Err(StoreError::Empty { place: place.name.clone() });
    };
    check_path(path, place, true)?;
    let attempt = |reading| {
        let conn = reader(path, reading, place)?;
        let found = schema::check(&conn, place, MIGRATIONS)?;
        Ok((conn, reading, found))
    };
    let (conn, reading, found) = match attempt(Reading::Alone) {
        Err(StoreError::Open { .. } | StoreError::ReadOnly { .. }) if is_still(path) => {
            attempt(Reading::Still)?
        }
        opened => opened?,
    };
    // An earlier version is read as it is: what it has not is a table of notes, and no table is as good as an empty one.
    match found {
        0 => Err(StoreError::Empty { place: place.name.clone() }),
        _ => Ok((conn, reading)),
    }
}

/// Whether the file is on a file system that is mounted for reading only, and no log of a writer lies beside it: then
/// nobody changes it while it is read.
fn is_still(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    !has_log && on_read_only_mount(path)
}

#[cfg(unix)]
fn on_read_only_mount(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(not(unix))]
fn on_read_only_mount(_: &Path) -> bool {
    false
}

/// Says what SQLite does not: which part of the path is wrong.
fn check_path(path: &Path, place: &Place, read_only: bool) -> StoreResult<()> {
    let refuse = |why: String| Err(StoreError::BadPath { place: place.name.clone(), why });
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

fn reader(path: &Path, reading: Reading, place: &Place) -> StoreResult<Connection> {
    let opening = || format!("opening {}", place.name);
    let conn = match reading {
        Reading::Beside => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, place)?,
        Reading::Alone => connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, place)?,
        Reading::Still => {
            let uri = format!("file:{}?immutable=1", escape(path));
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            connect(Path::new(&uri), flags, place)?
        }
    };
    settings(&conn, place, READER_CACHE_KIB).doing(place, opening)?;
    conn.pragma_update(None, "query_only", true).doing(place, opening)?;
    Ok(conn)
}

/// A path inside a URI of SQLite's.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
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
