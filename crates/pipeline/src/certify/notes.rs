//! Certifying again without reading again: notes of what was certified, and what the books said then.
//!
//! A store keeps books beside its rows (which slots are filled, which klines were ever replaced), and they cost next to
//! nothing to read. Their fingerprint over a month is noted together with the month's digest. As long as the books of a
//! month give the same fingerprint, nothing that this program does has changed a kline of it, and nobody has added or
//! taken one: the digest still holds.

use std::collections::BTreeMap;

use kline::{Millis, RangeSet, Series, SlotRange};
use store::types::absent_slots;
use store::{Books, Certified, KlineStore};

use super::tally::{Piece, Tally, pieces};
use super::{Month, SeriesCertificate, inside, take};
use crate::error::JobError;

/// The certificate of a series, and how much of it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incremental {
    /// The certificate.
    pub certificate: SeriesCertificate,
    /// Months whose klines were read.
    pub read: u64,
    /// Months whose digest was noted, and whose klines have not changed since.
    pub reused: u64,
}

/// As [`of_store`](super::of_store), but klines of a month are read only when its books are not as they were when it was
/// certified last. Notes what it certifies, as of `now`.
///
/// # Errors
/// [`JobError::Store`]
pub async fn incrementally<S: KlineStore>(
    store: &S,
    series: &Series,
    slots: SlotRange,
    now: Millis,
) -> Result<Incremental, JobError> {
    // The books first: what is written after them makes their fingerprint an old one, and the month is read again.
    let books = store.books(series, slots).await?;
    let notes = store.certified(series).await?;
    let absent = absent_slots(&store.absent(series, slots).await?);
    let (mut known, mut stale) = (BTreeMap::new(), Vec::new());
    for piece in pieces(series.interval, slots) {
        match note_of(&books, &piece, &notes) {
            Some(note) => drop(known.insert(piece.name.clone(), month(&piece, note, &books, &absent))),
            None => stale.push(piece),
        }
    }
    let mut tally = Tally::new(series);
    let unread: RangeSet = stale.iter().map(|piece| piece.slots).collect();
    for range in unread.ranges() {
        take(&mut tally, store, series, *range).await?;
    }
    let certificate = tally.finish_beside(slots, &absent, &known);
    let fresh: Vec<Certified> =
        stale.iter().filter_map(|piece| note(&books, piece, &certificate, now)).collect();
    store.keep_certified(series, &fresh).await?;
    Ok(Incremental { certificate, read: stale.len() as u64, reused: known.len() as u64 })
}

/// What is known of the certification of a series without a kline being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// Months of the stored part of the series.
    pub months: u64,
    /// Months that were certified, and whose klines have not changed since.
    pub current: u64,
    /// Months that were certified, and have changed since.
    pub changed: u64,
    /// When the month was certified whose certification is the oldest that still holds.
    pub since: Option<Millis>,
}

/// The state of certification of a range of a series.
///
/// # Errors
/// [`JobError::Store`]
pub async fn state<S: KlineStore>(store: &S, series: &Series, slots: SlotRange) -> Result<State, JobError> {
    let notes = store.certified(series).await?;
    let mut state = State { months: pieces(series.interval, slots).count() as u64, ..State::default() };
    if notes.is_empty() {
        return Ok(state);
    }
    let books = store.books(series, slots).await?;
    for piece in pieces(series.interval, slots) {
        match note_of(&books, &piece, &notes) {
            Some(note) => {
                state.current += 1;
                state.since = Some(state.since.map_or(note.at, |at| at.min(note.at)));
            }
            None => {
                let overlaps = |note: &Certified| !note.slots.intersect(&piece.slots).is_empty();
                state.changed += u64::from(notes.iter().any(overlaps));
            }
        }
    }
    Ok(state)
}

/// The note that still holds of a month.
fn note_of<'a>(books: &Books, piece: &Piece, notes: &'a [Certified]) -> Option<&'a Certified> {
    let at = notes.binary_search_by_key(&piece.slots.start, |note| note.slots.start).ok()?;
    let note = notes.get(at)?;
    (note.slots == piece.slots && fingerprint(books, piece.slots)? == note.books).then_some(note)
}

fn month(piece: &Piece, note: &Certified, books: &Books, absent: &RangeSet) -> Month {
    let empty = books.missing.clip(piece.slots);
    let absent = inside(&empty.intersection(&absent.clip(piece.slots)), piece.slots);
    Month {
        month: piece.name.clone(),
        expected: piece.slots.len(),
        stored: note.rows,
        absent,
        missing: empty.len() - absent,
        digest: note.digest.clone(),
    }
}

fn note(books: &Books, piece: &Piece, certificate: &SeriesCertificate, now: Millis) -> Option<Certified> {
    let month = certificate.months.iter().find(|month| month.month == piece.name)?;
    let books = fingerprint(books, piece.slots)?;
    Some(Certified { slots: piece.slots, books, rows: month.stored, digest: month.digest.clone(), at: now })
}

/// What the books say of some slots, in short. `None` when they cannot tell.
fn fingerprint(books: &Books, slots: SlotRange) -> Option<String> {
    if !books.unknown.clip(slots).is_empty() {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut number = |value: i64| {
        hasher.update(&value.to_le_bytes());
    };
    number(i64::from(super::VERSION)); // a digest in another form is another digest
    number(books.doubled.cast_signed());
    let empty = books.missing.clip(slots);
    number(i64::try_from(empty.ranges().len()).unwrap_or(i64::MAX));
    for range in empty.ranges() {
        number(range.start);
        number(range.end);
    }
    for (slot, times) in books.replaced.range(slots.start..slots.end) {
        number(*slot);
        number(times.cast_signed());
    }
    Some(hasher.finalize().to_hex().chars().take(32).collect())
}
