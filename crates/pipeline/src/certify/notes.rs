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
    /// Months that are stored or were certified.
    pub months: u64,
    /// Months that were certified, and whose klines have not changed since.
    pub current: u64,
    /// Months of which a part was certified, and has not changed since; the rest was not: mostly the newest month, which
    /// had not ended then.
    pub grown: u64,
    /// Months that were certified, and have changed since.
    pub changed: u64,
    /// When the month, or part of one, was certified whose certification is the oldest that still holds.
    pub since: Option<Millis>,
}

impl State {
    /// The state of certification of a series, of its notes and of what its books say. `slots` as [`extent`] gives them;
    /// the books must cover them, and of a series without notes they are not looked at.
    pub fn of(series: &Series, slots: SlotRange, notes: &[Certified], books: &Books) -> Self {
        let mut state = Self { months: pieces(series.interval, slots).count() as u64, ..Self::default() };
        if notes.is_empty() {
            return state;
        }
        for piece in pieces(series.interval, slots) {
            let near = || notes.iter().filter(|note| !note.slots.intersect(&piece.slots).is_empty());
            if near().any(|note| !holds(books, note)) {
                state.changed += 1;
                continue;
            }
            let Some(oldest) = near().map(|note| note.at).min() else { continue };
            state.since = Some(state.since.map_or(oldest, |at| at.min(oldest)));
            if near().any(|note| note.slots == piece.slots) {
                state.current += 1;
            } else {
                state.grown += 1;
            }
        }
        state
    }

    /// Months of which nothing was ever certified.
    pub fn open(&self) -> u64 {
        self.months.saturating_sub(self.current + self.grown + self.changed)
    }

    /// Whether anything was ever certified.
    pub fn is_known(&self) -> bool {
        self.current + self.grown + self.changed > 0
    }
}

/// The slots that the state of certification is about: the stored part of a series, and what was certified, of which
/// some may be gone.
pub fn extent(stored: SlotRange, notes: &[Certified]) -> SlotRange {
    let join = |a: SlotRange, b: SlotRange| match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => SlotRange::new(a.start.min(b.start), a.end.max(b.end)),
    };
    notes.iter().map(|note| note.slots).fold(stored, join)
}

/// The state of certification of a series, whose stored part is `stored`.
///
/// # Errors
/// [`JobError::Store`]
pub async fn state<S: KlineStore>(store: &S, series: &Series, stored: SlotRange) -> Result<State, JobError> {
    let notes = store.certified(series).await?;
    let slots = extent(stored, &notes);
    let books = if notes.is_empty() { Books::default() } else { store.books(series, slots).await? };
    Ok(State::of(series, slots, &notes, &books))
}

/// The note that still holds of a month.
fn note_of<'a>(books: &Books, piece: &Piece, notes: &'a [Certified]) -> Option<&'a Certified> {
    let at = notes.binary_search_by_key(&piece.slots.start, |note| note.slots.start).ok()?;
    let note = notes.get(at)?;
    (note.slots == piece.slots && holds(books, note)).then_some(note)
}

/// Whether the books of what was certified are as they were then.
fn holds(books: &Books, note: &Certified) -> bool {
    fingerprint(books, note.slots).is_some_and(|now| now == note.books)
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
    let doubled: Vec<_> =
        books.doubled.iter().filter(|(among, _)| !among.intersect(&slots).is_empty()).collect();
    number(i64::try_from(doubled.len()).unwrap_or(i64::MAX));
    for (among, klines) in doubled {
        number(among.start);
        number(klines.cast_signed());
    }
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

#[cfg(test)]
mod tests {
    use kline::{Interval, Market, Symbol};

    use super::*;

    fn series() -> Series {
        Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::D1).unwrap()
    }

    fn slots(since: &str, until: &str) -> SlotRange {
        let slot = |text: &str| Interval::D1.slot_of(text.parse().unwrap());
        SlotRange::new(slot(since), slot(until))
    }

    /// Books of a range in which every slot is filled.
    fn full() -> Books {
        Books::default()
    }

    fn certified(slots: SlotRange, at: i64) -> Certified {
        let books = fingerprint(&full(), slots).unwrap();
        Certified { slots, books, rows: slots.len(), digest: String::new(), at: Millis(at) }
    }

    /// January to March, certified in that order.
    fn quarter() -> Vec<Certified> {
        let months = ["2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01"];
        months.windows(2).zip(5..).map(|(m, at)| certified(slots(m[0], m[1]), at)).collect()
    }

    fn state(stored: SlotRange, notes: &[Certified], books: &Books) -> State {
        State::of(&series(), extent(stored, notes), notes, books)
    }

    #[test]
    fn a_series_without_notes_was_never_certified() {
        let found = state(slots("2025-01-10", "2025-04-01"), &[], &full());
        assert_eq!(found, State { months: 3, ..State::default() });
        assert!(!found.is_known() && found.open() == 3);
    }

    #[test]
    fn a_certification_holds_until_the_books_say_otherwise() {
        let (all, notes) = (slots("2025-01-01", "2025-04-01"), quarter());
        let whole = State { months: 3, current: 3, since: Some(Millis(5)), ..State::default() };
        assert_eq!(state(all, &notes, &full()), whole);
        let february = slots("2025-02-03", "2025-02-04");
        let others = [
            Books { missing: february.into(), ..full() },
            Books { unknown: february.into(), ..full() },
            Books { replaced: [(february.start, 1)].into(), ..full() },
        ];
        for books in others {
            assert_eq!(state(all, &notes, &books), State { current: 2, changed: 1, ..whole }, "{books:?}");
        }
    }

    #[test]
    fn klines_after_the_certified_ones_change_nothing_and_klines_among_them_do() {
        let mut notes = quarter();
        notes[2] = certified(slots("2025-03-01", "2025-03-20"), 9);
        let all = slots("2025-01-01", "2025-05-02");
        let grown = State { months: 5, current: 2, grown: 1, changed: 0, since: Some(Millis(5)) };
        assert_eq!(state(all, &notes, &full()), grown);
        assert_eq!(state(all, &notes, &full()).open(), 2);
        let books = Books { missing: slots("2025-03-19", "2025-03-20").into(), ..full() };
        assert_eq!(state(all, &notes, &books), State { grown: 0, changed: 1, ..grown });
    }

    #[test]
    fn a_certified_month_that_is_gone_has_changed() {
        let books = Books { missing: slots("2025-03-01", "2025-04-01").into(), ..full() };
        let found = state(slots("2025-01-01", "2025-03-01"), &quarter(), &books);
        assert_eq!((found.months, found.current, found.changed), (3, 2, 1));
    }
}
