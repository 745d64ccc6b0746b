//! Work on the parts of a list at the same time.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this gain nothing for inputs of any usual size.
const MOST_THREADS: usize = 8;

/// Cuts `0..count` into one range for each processor, works on all of them at the same time, and returns the results in
/// order. Fewer than `least` items for each thread are not worth starting one.
pub(crate) fn ranges<R: Send>(count: usize, least: usize, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts = processors.min(MOST_THREADS).min(count / least.max(1)).max(1);
    let cut = |part: usize| count * part / parts;
    thread::scope(|scope| {
        let work = &work;
        let start = |part: usize| {
            let range = cut(part)..cut(part + 1);
            // Where the system gives no thread, this one does the work.
            thread::Builder::new().spawn_scoped(scope, move || work(range)).ok()
        };
        let others: Vec<_> = (1..parts).map(|part| (part, start(part))).collect();
        let mut results = vec![work(cut(0)..cut(1))];
        for (part, thread) in others {
            results.push(match thread.map(thread::ScopedJoinHandle::join) {
                Some(Ok(result)) => result,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => work(cut(part)..cut(part + 1)),
            });
        }
        results
    })
}

/// Works on every item, the next one as soon as a processor is free, and returns the results in order: for few items of
/// which some are much more work than others.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = |_: Range<usize>| {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut all: Vec<(usize, R)> = ranges(items.len(), 1, take).into_iter().flatten().collect();
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_in_order() {
        for count in [0, 1, 7, 1_000] {
            let all: Vec<usize> = ranges(count, 1, |range| range.collect::<Vec<_>>()).concat();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
            assert_eq!(each(&all, |item| item * 2), all.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }
}
