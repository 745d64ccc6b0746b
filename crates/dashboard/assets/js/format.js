// Numbers, times and shares as people read them. All times are UTC.

const grouping = new Intl.NumberFormat("en-US");
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

export const number = (n) => grouping.format(n);
export const plural = (n, noun) => `${number(n)} ${noun}${n === 1 || noun.endsWith("s") ? "" : "s"}`;

/** A share in percent that never rounds up to 100 nor down to 0. */
export function percent(part, whole) {
  if (whole === 0) return "–";
  if (part >= whole) return "100%";
  const hundredths = Math.floor((part * 10000) / whole);
  return `${(Math.max(hundredths, part > 0 ? 1 : 0) / 100).toFixed(2)}%`;
}

/** How complete a row of counts is: what is stored and what the exchange does not have. */
export const completeness = (row) => percent(row.expected - row.missing, row.expected);

/** `2025-02-10T03:00:00Z` as `2025-02-10 03:00`. */
export const minute = (text) => (text ? text.slice(0, 16).replace("T", " ") : "–");
export const date = (text) => (text ? text.slice(0, 10) : "–");

/** `2025-02` as `February 2025`. */
export const monthName = (year, month) => `${MONTHS[month]} ${year}`;
export const shortMonth = (month) => MONTHS[month].slice(0, 3);

/** A length of time in its two largest units. */
export function span(ms) {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(ms)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const two = (large, small, unit, under) => `${large} ${unit}${small > 0 ? ` ${small} ${under}` : ""}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return two(minutes, Math.floor(seconds % 60), "min", "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, minutes % 60, "h", "min");
  const days = Math.floor(hours / 24);
  return days < 90 ? two(days, hours % 24, "d", "h") : `${number(days)} d`;
}

/** How long ago, in one unit. */
export function ago(text, now = Date.now()) {
  if (!text) return "never";
  const seconds = (now - Date.parse(text)) / 1000;
  if (seconds < 5) return "just now";
  const steps = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const [unit, size] = steps.find(([, size]) => seconds >= size * (size === 1 ? 1 : 1.5)) ?? steps.at(-1);
  return `${number(Math.round(seconds / size))} ${unit} ago`;
}

export const name = (s) => `${s.market} ${s.symbol} ${s.interval}`;
export const path = (s) => `${s.market}/${encodeURIComponent(s.symbol)}/${s.interval}`;

const MARKETS = { um: "USD-M futures", cm: "COIN-M futures", spot: "spot" };
export const marketName = (market) => MARKETS[market] ?? market;

const STEPS = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
/** Length of an interval in ms; a month counts as 30 days. */
export const intervalMs = (interval) => (interval.endsWith("M") ? 2592e6 : parseInt(interval, 10) * STEPS[interval.slice(-1)]);

/** How far a series is behind now, as time. */
export const behind = (s) => (s.behind === 0 ? "up to date" : span(s.behind * intervalMs(s.interval)));

/** What of a cell is stored, missing and absent, in words. */
export function counts(cell) {
  const stored = cell.expected - cell.missing - cell.absent;
  const parts = [`${number(stored)} of ${plural(cell.expected, "kline")} stored`];
  if (cell.missing > 0) parts.push(`${number(cell.missing)} missing`);
  if (cell.absent > 0) parts.push(`${number(cell.absent)} absent at the exchange`);
  return parts.join(", ");
}
