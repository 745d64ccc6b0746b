//! Two certificates side by side: which months differ, and how.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Certificate, Month, SeriesCertificate};

/// A month (or a series) about which two certificates do not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `um`, `cm` or `spot`.
    pub market: String,
    /// Symbol.
    pub symbol: String,
    /// Interval.
    pub interval: String,
    /// `2025-01`; `null` when a whole series is on one side only.
    pub month: Option<String>,
    /// `values` (as many klines, but not the same), `rows` (another number of klines), `absent` (another number of slots
    /// that are known to be empty at the exchange), `range` (another number of slots), `gone` (not there any more), `new`
    /// (not in the certificate).
    pub kind: &'static str,
    /// Klines by the certificate.
    pub certified: u64,
    /// Klines there are.
    pub found: u64,
    /// In words.
    pub detail: String,
}

/// What differs between a certificate and what was found. Absences are compared only when both sides know of them.
pub fn compare(certified: &Certificate, found: &Certificate) -> Vec<Change> {
    let absences = certified.source == "store" && found.source == "store";
    let mut after: BTreeMap<String, &SeriesCertificate> =
        found.series.iter().map(|s| (s.name(), s)).collect();
    let mut out = Vec::new();
    for old in &certified.series {
        match after.remove(&old.name()) {
            Some(new) => months(old, new, absences, &mut out),
            None => {
                let detail = format!("nothing is there any more of {}", klines(old.stored));
                out.push(change(old, None, "gone", old.stored, 0, detail));
            }
        }
    }
    for new in after.into_values() {
        let detail = "the certificate does not have this series".to_owned();
        out.push(change(new, None, "new", 0, new.stored, detail));
    }
    out
}

fn months(old: &SeriesCertificate, new: &SeriesCertificate, absences: bool, out: &mut Vec<Change>) {
    let mut after: BTreeMap<&str, &Month> = new.months.iter().map(|m| (m.month.as_str(), m)).collect();
    for before in &old.months {
        let now = after.remove(before.month.as_str());
        let Some((kind, detail)) = difference(before, now, absences) else { continue };
        out.push(change(old, Some(&before.month), kind, before.stored, now.map_or(0, |m| m.stored), detail));
    }
    for month in after.into_values() {
        let detail = "the certificate does not have this month".to_owned();
        out.push(change(old, Some(&month.month), "new", 0, month.stored, detail));
    }
}

fn difference(before: &Month, now: Option<&Month>, absences: bool) -> Option<(&'static str, String)> {
    let Some(now) = now else { return Some(("gone", "the month is not there any more".to_owned())) };
    let (a, b) = (before.stored, now.stored);
    if a != b {
        let words =
            if b < a { format!("{} fewer", klines(a - b)) } else { format!("{} more", klines(b - a)) };
        return Some(("rows", words));
    }
    if before.digest != now.digest {
        return Some(("values", "as many klines, but not the same: values or open times differ".to_owned()));
    }
    if before.expected != now.expected {
        let words = format!("{} slots instead of {}", now.expected, before.expected);
        return Some(("range", words));
    }
    if absences && before.absent != now.absent {
        let words =
            format!("{} slots known to be empty at the exchange instead of {}", now.absent, before.absent);
        return Some(("absent", words));
    }
    None
}

fn klines(number: u64) -> String {
    format!("{number} kline{}", if number == 1 { "" } else { "s" })
}

fn change(
    series: &SeriesCertificate,
    month: Option<&str>,
    kind: &'static str,
    certified: u64,
    found: u64,
    detail: String,
) -> Change {
    Change {
        market: series.market.clone(),
        symbol: series.symbol.clone(),
        interval: series.interval.clone(),
        month: month.map(str::to_owned),
        kind,
        certified,
        found,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use kline::{Decimal, Interval, Kline, Market, RangeSet, Series, SlotRange, Symbol};

    use super::*;
    use crate::certify::Tally;

    fn kline(slot: i64, close: u32) -> Kline {
        let d = Decimal::from;
        Kline {
            open_time: Interval::D1.slot_start(slot),
            open: d(5),
            high: d(9),
            low: d(1),
            close: d(close),
            volume: d(7),
            close_time: Interval::D1.slot_end(slot).plus(-1),
            quote_volume: d(8),
            count: 9,
            taker_buy_volume: d(3),
            taker_buy_quote_volume: d(4),
        }
    }

    /// A year of days from 2025-01-01 on, but for what is edited.
    fn certificate(edit: impl Fn(i64) -> Option<u32>, absent: &RangeSet, source: &str) -> Certificate {
        let series = Series::new(Market::Um, Symbol::new("BTCUSDT").unwrap(), Interval::D1).unwrap();
        let start = Interval::D1.slot_of("2025-01-01".parse().unwrap());
        let mut tally = Tally::new(&series);
        for slot in start..start + 365 {
            if let Some(close) = edit(slot - start) {
                tally.push(&kline(slot, close)).unwrap();
            }
        }
        let absent = absent.slots().map(|s| s + start).collect();
        let series = tally.finish(SlotRange::new(start, start + 365), &absent);
        Certificate::new(source, vec![series])
    }

    fn told(found: &Certificate) -> Vec<(String, &'static str, u64)> {
        let whole = certificate(|_| Some(5), &RangeSet::new(), "store");
        compare(&whole, found).into_iter().map(|c| (c.month.unwrap(), c.kind, c.found)).collect()
    }

    #[test]
    fn a_flipped_digit_and_a_missing_row_are_found_in_their_months() {
        assert_eq!(told(&certificate(|_| Some(5), &RangeSet::new(), "files")), []);
        let digit = certificate(|day| Some(if day == 40 { 6 } else { 5 }), &RangeSet::new(), "files");
        assert_eq!(told(&digit), [("2025-02".into(), "values", 28)]);
        let gone = certificate(|day| (day != 364).then_some(5), &RangeSet::new(), "files");
        assert_eq!(told(&gone), [("2025-12".into(), "rows", 30)]);
        let swapped = certificate(|day| (day != 3).then_some(5), &RangeSet::new(), "files");
        let other = certificate(|day| (day != 4).then_some(5), &RangeSet::new(), "files");
        assert_eq!(compare(&swapped, &other).len(), 1, "as many, but others");
    }

    #[test]
    fn absences_count_where_both_sides_know_of_them() {
        let absent: RangeSet = [3].into_iter().collect();
        let edit = |day| (day != 3).then_some(5);
        let (known, unknown) =
            (certificate(edit, &absent, "store"), certificate(edit, &RangeSet::new(), "store"));
        assert_eq!((known.series[0].absent, known.series[0].missing), (1, 0));
        assert_eq!(compare(&known, &unknown)[0].kind, "absent");
        assert_eq!(known.digest, unknown.digest);
        let files = certificate(edit, &RangeSet::new(), "files");
        assert_eq!(compare(&known, &files), []);
    }

    #[test]
    fn a_certificate_that_was_changed_by_hand_is_none() {
        let good = certificate(|_| Some(5), &RangeSet::new(), "store");
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(Certificate::parse(&text), Ok(good.clone()));
        let other = certificate(|_| Some(6), &RangeSet::new(), "store");
        let forged = text.replace(&good.series[0].months[4].digest, &other.series[0].months[4].digest);
        assert!(Certificate::parse(&forged).unwrap_err().contains("changed by hand"));
        assert!(Certificate::parse("{}").is_err());
        let future = text.replace("\"version\":1", "\"version\":2");
        assert!(Certificate::parse(&future).unwrap_err().contains("version 2"));
    }
}
