//! Which requests fetch a set of missing slots for the least weight.
//!
//! A request asks for a window of at most `L` consecutive slots and costs a weight that grows in steps with `L`. Missing
//! slots may be scattered: a window may run over slots that are already stored, and pays for them as well.
//!
//! [`plan`] is exact: no set of windows covers the slots for less weight, and among those of equal weight none needs
//! fewer requests, and among those none asks for fewer rows ([`Prefer::Requests`] swaps the first two). Every missing
//! slot lies in exactly one window; every window begins and ends at a missing slot, so nothing is asked for that is not
//! needed. [`lower_bound`] is an independent, weaker bound that holds for every plan.
//!
//! # Why a simple recursion is enough
//! Windows of a cheapest plan never need to overlap: where two do, the later one can begin at the first slot the
//! earlier one leaves uncovered. So a plan is a partition of the missing slots, in order, into groups, and a group costs
//! the weight of the smallest step that holds its span. The `sweep` module solves that recursion from the right in constant
//! time per slot and step; this module cuts the input so that it stays small (see [`Windows`]).

mod bound;
mod rules;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use kline::{RangeSet, SlotRange};

pub use bound::lower_bound;
pub use rules::{Prefer, Rules, prefer_for};

use sweep::Sweep;

/// One request: the slots to ask for and what it will cost.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// From the first to the last missing slot it covers, half-open; never more than the rules' largest step.
    pub slots: SlotRange,
    /// Weight of a request whose limit is the number of slots.
    pub weight: u32,
}

/// The least costly windows that cover every missing slot exactly once, ascending.
///
/// Time is linear in the number of missing slots, or in the number of runs where runs are long.
pub fn plan(missing: &RangeSet, rules: &Rules, prefer: Prefer) -> Vec<Window> {
    Windows::new(missing, rules, prefer).collect()
}

/// States whose decision is remembered at once; a longer stretch is solved in blocks of this size, twice.
const BLOCK: usize = 1 << 20;

/// The windows of [`plan`], made as they are asked for.
///
/// Memory, beside the input, does not grow with it in practice: a stretch of slots is solved on its own when the holes
/// around it are too wide for any window; long runs are shortened first; and a stretch with more than a million slots
/// left keeps one checkpoint (some 200 KiB) and 2 bytes per slot for one block of a million only.
pub struct Windows<'a> {
    runs: &'a [SlotRange],
    rules: &'a Rules,
    /// Size and weight of the step with the best rate.
    best: (u32, u32),
    /// Runs are shortened down to this many slots, or a little more.
    keep: u64,
    block: usize,
    sweep: Sweep,
    ready: VecDeque<Window>,
}

/// A run of missing slots as the sweep sees it: shortened by `peeled` windows of the best rate.
#[derive(Clone, Copy)]
struct Run {
    start: i64,
    len: u64,
    peeled: u64,
}

impl<'a> Windows<'a> {
    /// Plans lazily; [`plan`] collects.
    pub fn new(missing: &'a RangeSet, rules: &'a Rules, prefer: Prefer) -> Self {
        Self::with_block(missing, rules, prefer, BLOCK)
    }

    fn with_block(missing: &'a RangeSet, rules: &'a Rules, prefer: Prefer, block: usize) -> Self {
        Self {
            runs: missing.ranges(),
            rules,
            best: rules.best(prefer),
            keep: rules.peel_above(prefer),
            block,
            sweep: Sweep::new(rules, prefer),
            ready: VecDeque::new(),
        }
    }

    /// Number of runs from the front that some window may connect: they are solved together.
    fn stretch(&self) -> usize {
        let reach = i64::from(self.rules.max_slots());
        let apart = |pair: &[SlotRange]| pair[1].start.saturating_sub(pair[0].end - 1) >= reach;
        self.runs.windows(2).position(apart).map_or(self.runs.len(), |i| i + 1)
    }

    fn shorten(&self, run: SlotRange) -> Run {
        let best = u64::from(self.best.0);
        let peeled = run.len().saturating_sub(self.keep) / best;
        Run { start: run.start, len: run.len() - peeled * best, peeled }
    }

    /// Solves one stretch: back to front for the costs, then front to back, block by block, for the windows.
    fn solve(&mut self, runs: &[SlotRange]) {
        // Position of a block's end, counted from the right, with the sweep as it stood there.
        let mut marks: Vec<(Cursor, Sweep)> = Vec::new();
        self.sweep.reset(runs.first().map_or(0, |r| r.start));
        let mut cursor = Cursor::at_end(self, runs);
        let mut states: u64 = runs.iter().map(|run| self.shorten(*run).len).sum();
        let mut choices = Vec::new();
        loop {
            let last = states <= self.block as u64;
            if !last {
                marks.push((cursor, self.sweep.clone()));
            }
            choices.clear();
            self.run_block(runs, &mut cursor, &mut choices);
            if last {
                break;
            }
            states -= self.block as u64;
        }
        let mut walk = Walk { run: 0, offset: 0, inserted: 0, skip: 0 };
        loop {
            self.emit(runs, &choices, &mut walk);
            let Some((mut mark, sweep)) = marks.pop() else { return };
            self.sweep = sweep;
            choices.clear();
            self.run_block(runs, &mut mark, &mut choices);
        }
    }

    /// Takes up to one block of slots, right to left, and leaves the span chosen at each, in ascending order of slot.
    fn run_block(&mut self, runs: &[SlotRange], cursor: &mut Cursor, choices: &mut Vec<u16>) {
        while choices.len() < self.block {
            let Some(at) = cursor.previous(self, runs) else { break };
            choices.push(self.sweep.step(at));
        }
        choices.reverse();
    }

    /// Follows the choices of one block from where the walk stands.
    fn emit(&mut self, runs: &[SlotRange], choices: &[u16], walk: &mut Walk) {
        let (best, weight) = self.best;
        let mut state = walk.skip;
        while let Some(&span) = choices.get(state) {
            let Some(&range) = runs.get(walk.run) else { break };
            let run = self.shorten(range);
            if walk.inserted < run.peeled {
                // A group begins inside the run: here the peeled windows go back in.
                for _ in 0..run.peeled {
                    let start =
                        run.start.saturating_add_unsigned(walk.offset + walk.inserted * u64::from(best));
                    let slots = SlotRange::new(start, start.saturating_add(i64::from(best)));
                    self.ready.push_back(Window { slots, weight });
                    walk.inserted += 1;
                }
            }
            let start = run.start.saturating_add_unsigned(walk.offset + walk.inserted * u64::from(best));
            let slots = SlotRange::new(start, start.saturating_add(i64::from(span)));
            self.ready.push_back(Window { slots, weight: self.rules.weight_of(slots.len()) });
            state += self.advance(runs, walk, slots.end);
        }
        walk.skip = state - choices.len();
    }

    /// Moves the walk to the first missing slot at or after `end`; returns how many slots that leaves behind.
    fn advance(&self, runs: &[SlotRange], walk: &mut Walk, end: i64) -> usize {
        let mut passed = 0;
        while let Some(&range) = runs.get(walk.run) {
            let run = self.shorten(range);
            if range.end > end {
                let best = i64::from(self.best.0);
                let inserted = i64::try_from(walk.inserted).unwrap_or(i64::MAX).saturating_mul(best);
                let offset = end.saturating_sub(run.start).saturating_sub(inserted).max(0).unsigned_abs();
                passed += offset.saturating_sub(walk.offset);
                walk.offset = offset.max(walk.offset);
                break;
            }
            passed += run.len - walk.offset;
            (walk.run, walk.offset, walk.inserted) = (walk.run + 1, 0, 0);
        }
        usize::try_from(passed).unwrap_or(usize::MAX)
    }
}

impl Iterator for Windows<'_> {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        if self.ready.is_empty() && !self.runs.is_empty() {
            let (now, later) = self.runs.split_at(self.stretch());
            self.runs = later;
            self.solve(now);
        }
        self.ready.pop_front()
    }
}

/// Where the forward walk stands.
struct Walk {
    run: usize,
    /// Slots of the shortened run already covered.
    offset: u64,
    /// Peeled windows already put back into this run.
    inserted: u64,
    /// Slots at the head of the next block that the last window covered already.
    skip: usize,
}

/// Walks the slots of a stretch from right to left, in coordinates in which every peeled window has been cut out.
#[derive(Clone, Copy)]
struct Cursor {
    /// Runs not yet begun.
    runs_left: usize,
    /// Slots left in the current run.
    slots_left: u64,
    start: i64,
    /// Slots cut out to the right of the current position.
    shift: i64,
}

impl Cursor {
    fn at_end(plan: &Windows, runs: &[SlotRange]) -> Self {
        let mut cursor = Self { runs_left: runs.len(), slots_left: 0, start: 0, shift: 0 };
        cursor.enter(plan, runs);
        cursor
    }

    fn enter(&mut self, plan: &Windows, runs: &[SlotRange]) {
        while self.slots_left == 0 && self.runs_left > 0 {
            self.runs_left -= 1;
            let run = plan.shorten(runs[self.runs_left]);
            let cut = runs[self.runs_left].len() - run.len;
            self.shift = self.shift.saturating_add_unsigned(cut);
            (self.slots_left, self.start) = (run.len, run.start);
        }
    }

    /// The next slot to the left, in shortened coordinates.
    fn previous(&mut self, plan: &Windows, runs: &[SlotRange]) -> Option<i64> {
        if self.slots_left == 0 {
            return None;
        }
        self.slots_left -= 1;
        let at = self.start.saturating_add_unsigned(self.slots_left).saturating_add(self.shift);
        self.enter(plan, runs);
        Some(at)
    }
}
