//! Klines made up on the spot.
//!
//! A kline depends on the seed, the market, the symbol and its slot alone, and costs the same wherever it lies: there is
//! no history to walk through. The price is a function of time, a sum of noises whose periods run from a second to two
//! years, so a kline closes at exactly the price at which the next one opens, and opens and closes agree between the
//! intervals. Highs, lows and volumes are drawn per kline and do **not** add up from shorter intervals to longer ones.

use kline::{Decimal, Interval, Kline, Market, Millis, Slot, Symbol};

use super::Window;
use crate::random::{hash, hash_text, unit};

/// Periods of the noises: a second times powers of four, the longest about two years.
const OCTAVES: u32 = 14;
/// Swing of the fastest noise as part of the price; each slower one swings twice as far, as a random walk does.
/// All together stay below a half, so a price never comes near zero.
const FINEST_SWING: f64 = 0.000_03;

/// A made-up symbol.
#[derive(Debug, Clone)]
pub(crate) struct Synthetic {
    key: u64,
    market: Market,
    profile: Profile,
    pub(crate) from: Millis,
    pub(crate) until: Option<Millis>,
}

/// What a symbol looks like.
#[derive(Debug, Clone, Copy)]
struct Profile {
    /// Price around which it moves, in ticks.
    base_ticks: f64,
    /// Digits after the point of a price's tick.
    tick_scale: u32,
    /// Digits after the point of a volume.
    lot_scale: u32,
    /// Typical volume per second, in the smallest units of volume.
    lots_per_second: f64,
}

impl Synthetic {
    pub(crate) fn new(
        market: Market,
        symbol: &Symbol,
        from: Millis,
        until: Option<Millis>,
        seed: u64,
    ) -> Self {
        let market_seed = hash_text(seed, market.as_str());
        let key = hash_text(market_seed, symbol.as_str());
        Self {
            key,
            market,
            profile: Profile::of(market, symbol, hash_text(seed, symbol.as_str())),
            from,
            until,
        }
    }

    /// Slot of the first kline: the one that holds the listing, so that long intervals open before it, as they do at
    /// Binance.
    pub(crate) fn first_slot(&self, interval: Interval) -> Slot {
        interval.slot_of(self.from)
    }

    /// The visible klines of a window, ascending.
    pub(crate) fn page(
        &self,
        interval: Interval,
        window: &Window,
        visible: &dyn Fn(Millis) -> bool,
    ) -> Vec<Kline> {
        let aligned_up = interval.slot_of(window.from) + i64::from(!interval.is_aligned(window.from));
        let start = aligned_up.max(self.first_slot(interval));
        let mut end = interval.slot_of(window.to) + 1;
        if let Some(until) = self.until {
            end = end.min(interval.slot_of(until.plus(-1)) + 1);
        }
        let shown = |slot: &Slot| visible(interval.slot_start(*slot));
        let mut slots: Vec<Slot> = if window.newest {
            (start..end).rev().filter(shown).take(window.limit).collect()
        } else {
            (start..end).filter(shown).take(window.limit).collect()
        };
        slots.sort_unstable();
        slots.into_iter().map(|slot| self.kline(interval, slot)).collect()
    }

    /// The final kline of a slot.
    pub(crate) fn kline(&self, interval: Interval, slot: Slot) -> Kline {
        let (start, end) = (interval.slot_start(slot), interval.slot_end(slot));
        let seconds = end.0.saturating_sub(start.0) as f64 / 1000.0;
        let (open, close) = (self.ticks_at(start), self.ticks_at(end));
        let draw = |what: u64| {
            let id = [interval as u64, slot.cast_unsigned(), what];
            unit(hash(self.key, &id))
        };
        // A wick is as long as the price wanders in the time, which grows with its square root.
        let wander = self.profile.base_ticks * 0.000_06 * seconds.sqrt();
        let high = open.max(close) + (draw(1) * wander) as i64;
        let low = (open.min(close) - (draw(2) * wander) as i64).max(1);

        let busy = 0.3 + 2.5 * draw(3) * draw(4);
        let lots = ((self.profile.lots_per_second * seconds * busy) as i64).max(1);
        let taker_share = 350 + (draw(5) * 300.0) as i128;
        let average = i128::from(open) + i128::from(high) + i128::from(low) + i128::from(close);
        let (quote, quote_scale) = self.quote(i128::from(lots), average);
        let lot_scale = self.profile.lot_scale;
        let decimal = |value: i128, scale: u32| self.decimal(value, scale);
        let tick = |ticks: i64| decimal(i128::from(ticks), self.profile.tick_scale);
        Kline {
            open_time: start,
            open: tick(open),
            high: tick(high),
            low: tick(low),
            close: tick(close),
            volume: decimal(i128::from(lots), lot_scale),
            close_time: end.plus(-1),
            quote_volume: decimal(quote, quote_scale),
            count: (lots.unsigned_abs() / (3 + (draw(6) * 20.0) as u64)).max(1),
            taker_buy_volume: decimal(i128::from(lots) * taker_share / 1000, lot_scale),
            taker_buy_quote_volume: decimal(quote * taker_share / 1000, quote_scale),
        }
    }

    /// Quote volume of a number of lots at an average price that is given four times over: its digits and their scale.
    fn quote(&self, lots: i128, four_prices: i128) -> (i128, u32) {
        if self.market == Market::Cm {
            // Contracts of 100 (BTC) or 10 USD each; the quote volume is in the base asset, eight digits.
            let usd = if self.profile.tick_scale == 1 { 100 } else { 10 };
            let unit = 10i128.pow(self.profile.tick_scale) * 100_000_000;
            return (lots * usd * unit * 4 / four_prices.max(1), 8);
        }
        let scale = self.profile.lot_scale + self.profile.tick_scale;
        let quote = lots * four_prices / 4;
        if scale > 8 { (quote / 10i128.pow(scale - 8), 8) } else { (quote, scale) }
    }

    /// Spot prints eight digits everywhere, futures what the number has.
    fn decimal(&self, value: i128, scale: u32) -> Decimal {
        let (value, scale) = match self.market {
            Market::Spot if scale < 8 => (value * 10i128.pow(8 - scale), 8),
            _ => (value, scale),
        };
        Decimal::from_parts(value, scale).unwrap_or_default()
    }

    /// The price at an instant, in ticks.
    fn ticks_at(&self, at: Millis) -> i64 {
        let mut swing = FINEST_SWING;
        let mut period = 1000i64;
        let mut drift = 0.0;
        for octave in 0..OCTAVES {
            drift += swing * self.noise(octave, at.0, period);
            swing *= 2.0;
            period *= 4;
        }
        // Additions and multiplications only: exact to the last bit on every machine, unlike `exp`.
        ((self.profile.base_ticks * (1.0 + drift)) as i64).max(2)
    }

    /// Noise of one period: drawn at multiples of the period, a straight line in between; in `(-1, 1)`.
    fn noise(&self, octave: u32, at: i64, period: i64) -> f64 {
        let cell = at.div_euclid(period);
        let within = at.rem_euclid(period) as f64 / period as f64;
        let draw =
            |cell: i64| 2.0 * unit(hash(self.key, &[u64::from(octave) + 100, cell.cast_unsigned()])) - 1.0;
        let (left, right) = (draw(cell), draw(cell + 1));
        left + (right - left) * within
    }
}

impl Profile {
    fn of(market: Market, symbol: &Symbol, draw: u64) -> Self {
        let name = symbol.as_str();
        let (base, tick_scale, lot_scale, lots_per_second) = match name {
            _ if name.starts_with("BTCUSD") => (64_000.0, 2, 3, 700.0),
            _ if name.starts_with("ETHUSD") => (3_200.0, 2, 3, 9_000.0),
            _ if name.starts_with("SOLUSD") => (160.0, 4, 2, 9_000.0),
            _ if name.starts_with("1000PEPE") => (0.012, 7, 0, 900_000.0),
            _ => match draw % 4 {
                0 => (0.05 + 0.4 * unit(draw), 5, 0, 20_000.0),
                1 => (1.0 + 8.0 * unit(draw), 4, 0, 3_000.0),
                2 => (10.0 + 80.0 * unit(draw), 3, 1, 4_000.0),
                _ => (100.0 + 800.0 * unit(draw), 2, 2, 5_000.0),
            },
        };
        let (tick_scale, lot_scale, lots_per_second): (u32, u32, f64) = match market {
            // COIN-M counts whole contracts; BTC and ETH tick in tenths and hundredths there.
            Market::Cm => (if name.starts_with("BTC") { 1 } else { tick_scale.min(3) }, 0, 90.0),
            Market::Spot => (tick_scale, lot_scale.max(2), lots_per_second * 0.1),
            Market::Um => (tick_scale, lot_scale, lots_per_second),
        };
        Self {
            base_ticks: base * 10f64.powi(tick_scale.cast_signed()),
            tick_scale,
            lot_scale,
            lots_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use kline::validate::check_values;

    use super::*;

    const FROM: Millis = Millis(1_567_900_800_000); // 2019-09-08

    fn symbol(market: Market, name: &str) -> Synthetic {
        Synthetic::new(market, &Symbol::new(name).unwrap(), FROM, None, 1)
    }

    #[test]
    fn every_kline_is_plausible_and_opens_where_the_last_one_closed() {
        for market in Market::ALL {
            for name in
                ["BTCUSDT", "ETHUSD_PERP", "1000PEPEUSDT", "AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT"]
            {
                let source = symbol(market, name);
                for interval in Interval::of_market(market) {
                    let first = source.first_slot(interval) + 5;
                    let rows: Vec<_> =
                        (first..first + 200).map(|slot| source.kline(interval, slot)).collect();
                    for pair in rows.windows(2) {
                        let [a, b] = pair else { panic!("two rows") };
                        assert_eq!(check_values(a), Ok(()), "{market} {name} {interval} {a:?}");
                        assert_eq!(
                            (a.close, a.close_time.plus(1)),
                            (b.open, b.open_time),
                            "{market} {name} {interval}"
                        );
                        assert!(!a.volume.is_zero() && a.count > 0 && a.open != Decimal::ZERO);
                        assert!(a.taker_buy_volume <= a.volume && a.taker_buy_quote_volume <= a.quote_volume);
                    }
                }
            }
        }
    }

    #[test]
    fn a_kline_depends_on_seed_market_symbol_and_slot_alone() {
        let slot = Interval::M5.slot_of(Millis(1_700_000_000_000));
        let row = |market, name: &str, seed| {
            Synthetic::new(market, &Symbol::new(name).unwrap(), FROM, None, seed).kline(Interval::M5, slot)
        };
        let base = row(Market::Um, "BTCUSDT", 1);
        assert_eq!(row(Market::Um, "BTCUSDT", 1), base);
        for other in
            [row(Market::Spot, "BTCUSDT", 1), row(Market::Um, "BTCUSDC", 1), row(Market::Um, "BTCUSDT", 2)]
        {
            assert_ne!((other.open, other.volume), (base.open, base.volume));
        }
    }

    #[test]
    fn opens_and_closes_agree_between_intervals() {
        let source = symbol(Market::Um, "BTCUSDT");
        let day = source.kline(Interval::D1, Interval::D1.slot_of(FROM) + 100);
        let first = source.kline(Interval::M1, Interval::M1.slot_of(day.open_time));
        let last = source.kline(Interval::M1, Interval::M1.slot_of(day.close_time));
        assert_eq!((first.open, last.close), (day.open, day.close));
    }

    #[test]
    fn the_first_week_opens_before_the_listing_and_nothing_before_it() {
        let source = symbol(Market::Um, "BTCUSDT");
        let all = Window { from: Millis(0), to: Millis(1_570_000_000_000), limit: 1, newest: false };
        let first = |interval| source.page(interval, &all, &|_| true)[0].open_time;
        assert_eq!(first(Interval::M1), FROM);
        assert_eq!(first(Interval::W1).to_string(), "2019-09-02T00:00:00Z");
        assert_eq!(first(Interval::Mo1).to_string(), "2019-09-01T00:00:00Z");
    }
}
