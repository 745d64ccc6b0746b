//! Absences, ledger, history, outbox.

use kline::{Interval, Millis, Series, SlotRange};
use store::{
    Absence, AbsentRange, Chunk, Fetched, Finish, KlineStore, LedgerEntry, Message, Outcome, SeriesRun,
    Source,
};

use super::Harness;
use crate::common::*;

const EMPTY: Absence = Absence::EmptyAnswer;
const EARLY: Absence = Absence::NotListedYet;

async fn note<H: Harness>(h: &H, s: &Series, ranges: &[AbsentRange]) {
    let lease = lease(h.store(), s).await;
    let chunk = Chunk { absent: ranges.to_vec(), ..rows(vec![]) };
    h.store().commit(&lease, &chunk).await.unwrap();
    h.store().release(&lease).await.unwrap();
}

async fn absent_in<H: Harness>(h: &H, s: &Series, range: SlotRange) -> Vec<AbsentRange> {
    h.store().absent(s, range).await.unwrap()
}

pub async fn absences_are_remembered_and_clipped<H: Harness>(h: &H) {
    for interval in [Interval::M5, Interval::D3, Interval::Mo1] {
        let (s, b) = (btc(interval), base(interval));
        let known = [
            absent(slots(b - 200, b), EARLY),
            absent(slots(b, b + 2), EMPTY),
            absent(slots(b + 9, b + 12), EMPTY),
        ];
        note(h, &s, &known).await;
        assert_eq!(absent_in(h, &s, slots(b - 999, b + 999)).await, known, "{s}");
        let part = absent_in(h, &s, slots(b - 1, b + 10)).await;
        let want = [
            absent(slots(b - 1, b), EARLY),
            absent(slots(b, b + 2), EMPTY),
            absent(slots(b + 9, b + 10), EMPTY),
        ];
        assert_eq!(part, want, "{s}");
        assert!(absent_in(h, &s, slots(b + 2, b + 9)).await.is_empty());
        assert!(absent_in(h, &s, slots(b + 5, b + 5)).await.is_empty());
    }
}

pub async fn a_stored_kline_ends_its_absence<H: Harness>(h: &H) {
    let (s, b) = (btc(Interval::H1), base(Interval::H1));
    note(h, &s, &[absent(slots(b, b + 10), EMPTY)]).await;
    put(h.store(), &s, [b + 3, b + 4, b + 9]).await;
    let left = [absent(slots(b, b + 3), EMPTY), absent(slots(b + 5, b + 9), EMPTY)];
    assert_eq!(absent_in(h, &s, slots(b, b + 99)).await, left);
}

pub async fn a_stored_slot_is_never_absent<H: Harness>(h: &H) {
    let (s, b) = (btc(Interval::H1), base(Interval::H1));
    put(h.store(), &s, [b + 2]).await;
    let lease = lease(h.store(), &s).await;
    let chunk = Chunk { absent: vec![absent(slots(b, b + 6), EMPTY)], ..rows(klines(Interval::H1, [b + 4])) };
    h.store().commit(&lease, &chunk).await.unwrap();
    let left = [(b, b + 2), (b + 3, b + 4), (b + 5, b + 6)].map(|(from, to)| absent(slots(from, to), EMPTY));
    assert_eq!(absent_in(h, &s, slots(b, b + 9)).await, left);
}

pub async fn absences_are_forgotten_on_request<H: Harness>(h: &H) {
    let (s, b) = (btc(Interval::W1), base(Interval::W1));
    note(h, &s, &[absent(slots(b, b + 10), EMPTY)]).await;
    let lease = lease(h.store(), &s).await;
    h.store().forget_absent(&lease, slots(b + 4, b + 6)).await.unwrap();
    let left = [absent(slots(b, b + 4), EMPTY), absent(slots(b + 6, b + 10), EMPTY)];
    assert_eq!(absent_in(h, &s, slots(b, b + 99)).await, left);
    h.store().forget_absent(&lease, slots(b - 5, b + 50)).await.unwrap();
    assert!(absent_in(h, &s, slots(b, b + 99)).await.is_empty());
}

pub async fn the_ledger_joins_the_pages_of_one_fetch<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M1), base(Interval::M1));
    let lease = lease(store, &s).await;
    let commit = async |run: &str, pages: Vec<Fetched>| {
        let chunk = Chunk { run: run.into(), fetched: pages, ..Chunk::default() };
        store.commit(&lease, &chunk).await.unwrap();
    };
    let page = |n: i64| Fetched { rejected: 1, ..fetched(slots(b + n * 100, b + n * 100 + 100), 99) };
    commit("a", vec![page(0), page(1)]).await;
    commit("a", vec![page(2)]).await;
    commit("a", vec![page(9)]).await;
    commit("a", vec![page(9)]).await;
    commit("b", vec![page(10)]).await;
    commit("b", vec![Fetched { source: Source::Archive, ..page(11) }]).await;
    let entry = |run: &str, fetched| LedgerEntry { run: run.into(), fetched };
    let long = Fetched { rejected: 3, ..fetched(slots(b, b + 300), 297) };
    let want = [
        entry("b", Fetched { source: Source::Archive, ..page(11) }),
        entry("b", page(10)),
        entry("a", page(9)),
        entry("a", long),
    ];
    assert_eq!(store.ledger(&s, 10).await.unwrap(), want);
    assert_eq!(store.ledger(&s, 1).await.unwrap(), want[..1]);
}

pub async fn the_ledger_and_the_history_do_not_grow_for_ever<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M1), base(Interval::M1));
    let lease = lease(store, &s).await;
    let pages = (0..5000).map(|n| fetched(slots(b + 2 * n, b + 2 * n + 1), 1)).collect();
    store.commit(&lease, &Chunk { fetched: pages, ..Chunk::default() }).await.unwrap();
    let kept = store.ledger(&s, 10_000).await.unwrap();
    assert!((1000..5000).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0].fetched.slots.start, b + 9998, "the newest stay");
    for n in 0..520 {
        store.finish(&Finish { run: Some(run(&s, &n.to_string(), n)), messages: vec![] }).await.unwrap();
    }
    let kept = store.runs(Some(&s), 10_000).await.unwrap();
    assert!((100..520).contains(&kept.len()) && kept[0].run == "519", "{}", kept.len());
}

fn message(id: &str) -> Message {
    Message {
        id: id.into(),
        subject: format!("binance.{id}"),
        payload: r#"{"success":true}"#.into(),
        traceparent: (id == "b").then(|| "00-abc-def-01".into()),
    }
}

fn run(s: &Series, id: &str, ended: i64) -> SeriesRun {
    SeriesRun {
        run: id.into(),
        job: "fill-gaps".into(),
        series: s.clone(),
        started: Millis(ended - 5),
        ended: Millis(ended),
        outcome: Outcome::Complete,
        report: r#"{"written":1}"#.into(),
    }
}

async fn post<H: Harness>(h: &H, ids: &[&str]) {
    let messages = ids.iter().map(|id| message(id)).collect();
    h.store().finish(&Finish { run: None, messages }).await.unwrap();
}

async fn waiting<H: Harness>(h: &H) -> Vec<String> {
    h.store().pending(100).await.unwrap().into_iter().map(|p| p.message.id).collect()
}

pub async fn the_outbox_keeps_its_order_and_ignores_repeats<H: Harness>(h: &H) {
    post(h, &["z", "b"]).await;
    post(h, &["a", "z"]).await;
    assert_eq!(waiting(h).await, ["z", "b", "a"]);
    let pending = h.store().pending(2).await.unwrap();
    assert_eq!(pending.iter().map(|p| p.message.clone()).collect::<Vec<_>>(), [message("z"), message("b")]);
    assert!(pending[0].position < pending[1].position);
}

pub async fn delivered_messages_are_not_sent_again<H: Harness>(h: &H) {
    post(h, &["a", "b", "c"]).await;
    let first = h.store().pending(2).await.unwrap();
    let ids: Vec<_> = first.iter().map(|p| p.position).collect();
    h.store().delivered(&ids).await.unwrap();
    h.store().delivered(&ids).await.unwrap();
    post(h, &["b", "d"]).await;
    assert_eq!(waiting(h).await, ["c", "d"]);
}

pub async fn run_history_is_newest_first_and_a_repeat_replaces<H: Harness>(h: &H) {
    let store = h.store();
    let (s, other) = (btc(Interval::M5), btc(Interval::Mo1));
    let end = async |run| store.finish(&Finish { run: Some(run), messages: vec![] }).await.unwrap();
    end(run(&s, "one", 10)).await;
    end(run(&other, "one", 11)).await;
    end(run(&s, "two", 20)).await;
    let failed = SeriesRun { outcome: Outcome::Failed, report: "{}".into(), ..run(&s, "two", 21) };
    end(failed.clone()).await;
    assert_eq!(store.runs(Some(&s), 10).await.unwrap(), [failed.clone(), run(&s, "one", 10)]);
    assert_eq!(store.runs(None, 2).await.unwrap(), [failed, run(&other, "one", 11)]);
    assert!(store.all_series().await.unwrap().is_empty(), "a failed run writes no series");
}

pub async fn a_chunk_commits_with_its_run_and_messages<H: Harness>(h: &H) {
    let (store, s, b) = (h.store(), btc(Interval::M5), base(Interval::M5));
    let lease = lease(store, &s).await;
    let finish = Finish { run: Some(run(&s, "run-1", 5)), messages: vec![message("done")] };
    let chunk = Chunk { finish: Some(finish), ..rows(klines(Interval::M5, b..b + 9)) };
    store.commit(&lease, &chunk).await.unwrap();
    assert_eq!(waiting(h).await, ["done"]);
    assert_eq!(store.runs(Some(&s), 9).await.unwrap(), [run(&s, "run-1", 5)]);
    assert_eq!(all(store, &s).await.len(), 9);
}
