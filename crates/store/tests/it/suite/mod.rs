//! What every engine promises, as cases that run on any.
//!
//! An engine brings a [`Harness`] and calls [`conformance!`](crate::conformance) in a module of its own.

mod books;
mod certified;
mod gaps;
mod leases;
mod rows;

pub use books::*;
pub use certified::*;
pub use gaps::*;
pub use leases::*;
pub use rows::*;

use kline::{Kline, Series};
use store::KlineStore;

/// A fresh, empty store of one engine, and what a test may do behind its back.
pub trait Harness: Sized {
    /// The engine.
    type Store: KlineStore;

    /// Whether the number of rows of a series takes rows into account that a person just inserted. Otherwise it does
    /// after the next write into their bucket, or a recount.
    const COUNTS_INSERTS_BY_HAND: bool = true;

    /// Whether the server is a slow stand-in: then cases that write much write a tenth of it.
    fn is_slow() -> bool {
        false
    }

    /// Whether the engine is to be had here; if not, says so on standard output.
    fn is_available() -> bool {
        true
    }

    /// A store of its own for one test.
    async fn new() -> Self;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// A second handle on the same data, as another process would have it; `None` when the data is private.
    async fn other(&self) -> Option<Self::Store>;

    /// Deletes rows of a series that open inside `[since, until)`, as a person with the engine's shell would. False
    /// when nobody can.
    fn delete_by_hand(&self, series: &Series, since: i64, until: i64) -> bool;

    /// Inserts rows of a series that is known, as a person would. False when nobody can.
    fn insert_by_hand(&self, series: &Series, klines: &[Kline]) -> bool;
}

/// A number of things to do, or a tenth of it where the server is slow.
fn many<H: Harness>(number: i64) -> i64 {
    if H::is_slow() { number / 10 } else { number }
}

/// Makes one test of every case for an engine.
#[macro_export]
macro_rules! conformance {
    ($harness:ty) => {
        $crate::conformance! { @async $harness;
            a_new_store_is_empty
            klines_come_back_digit_for_digit
            every_interval_and_market_keeps_its_klines
            writing_again_changes_nothing
            a_revised_kline_is_replaced_and_its_old_values_kept
            trailing_zeros_are_no_revision
            two_klines_in_one_slot_are_both_kept_and_fill_one_slot
            reading_pages_neither_loses_nor_repeats
            series_do_not_mix
            klines_out_of_order_are_refused_whole
            a_series_knows_its_extent
            what_was_listed_first_stays

            gaps_at_the_start_in_the_middle_and_at_the_end_are_found
            an_unknown_series_misses_everything
            huge_and_empty_ranges_are_answered
            rows_deleted_by_hand_are_missing
            rows_inserted_by_hand_are_not_missing
            the_books_are_right_again_after_a_write_or_a_recount
            ten_thousand_single_holes_are_found_and_filled

            absences_are_remembered_and_clipped
            a_stored_kline_ends_its_absence
            a_stored_slot_is_never_absent
            absences_are_forgotten_on_request
            the_ledger_joins_the_pages_of_one_fetch
            the_ledger_and_the_history_do_not_grow_for_ever
            the_outbox_keeps_its_order_and_ignores_repeats
            delivered_messages_are_not_sent_again
            run_history_is_newest_first_and_a_repeat_replaces
            a_chunk_commits_with_its_run_and_messages

            the_books_tell_of_every_change
            notes_of_what_was_certified_replace_those_they_overlap

            one_owner_at_a_time
            running_leases_are_listed_and_no_others
            an_expired_lease_can_be_taken_over_and_the_old_one_writes_no_more
            an_expired_lease_that_nobody_took_goes_on
            a_dead_owners_lease_can_be_taken_over_at_once
            a_given_back_lease_writes_no_more
            a_refused_chunk_leaves_nothing_behind
            two_handles_see_each_other
            writers_on_different_series_do_not_disturb_each_other
            a_closed_store_says_so
        }
        $crate::conformance! { @property $harness; gap_search_agrees_with_a_naive_model }
    };
    (@async $harness:ty; $($case:ident)*) => {
        $(#[tokio::test]
        async fn $case() {
            if <$harness as $crate::suite::Harness>::is_available() {
                $crate::suite::$case(&<$harness as $crate::suite::Harness>::new().await).await;
            }
        })*
    };
    (@property $harness:ty; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $crate::suite::$case::<$harness>();
        })*
    };
}
