// What is proven: which months were certified, and how the last comparison with the exchange ended.

import { h, table, scroll } from "./dom.js";
import { date, minute, name, number, plural } from "./format.js";

/**
 * What is known of a series' certification: `kind` chooses the mark, `short` and `words` say it.
 * `c` counts months: all, current, grown, changed; the others were never certified.
 */
export function certification(c) {
  const open = c.months - c.current - c.grown - c.changed;
  const months = plural(c.months, "month");
  const more = (n, words) => (n > 0 ? [`${number(n)} ${words}`] : []);
  const rest = [...more(c.grown, "grown since"), ...more(open, "never certified"), ...(c.since ? [`the oldest certified ${date(c.since)}`] : [])];
  if (c.current + c.grown + c.changed === 0) return { kind: "never", short: "never", words: "never certified" };
  if (c.changed > 0) {
    const short = `${number(c.changed)} of ${number(c.months)} changed`;
    return { kind: "changed", short, words: [`${number(c.changed)} of ${months} changed since`, ...more(c.current, "unchanged"), ...rest].join(", ") };
  }
  const short = c.current < c.months ? `${number(c.current)} of ${months}` : c.months === 1 ? months : `all ${months}`;
  return { kind: open > 0 ? "part" : "whole", short, words: [short, ...rest].join(", ") };
}

/** The same as an element. */
export function certified(c, key = "words") {
  const said = certification(c);
  return h("span", { class: `state ${said.kind}${key === "words" ? " long" : ""}`, title: said.words }, said[key]);
}

/** What a change means and what to do about it; null where nothing has changed. */
export function advice(c) {
  if (c.changed === 0) return null;
  return ["A month changes when gaps in it are filled, klines are replaced, or rows are added or taken by hand. ", h("code", {}, "klines certify --incremental"), " certifies it anew."];
}

const DIFFERENCES = [["drift", "with other values"], ["missing", "only at the exchange"], ["unexpected", "only in the store"]];
const KINDS = { drift: "other values", missing: "only at the exchange", unexpected: "only in the store", invalid: "contradicts itself" };

/** How a comparison ended, in a sentence. */
export function outcome(job) {
  const c = job.comparison;
  if (!job.ended) return `comparing every stored kline with the exchange, since ${minute(job.started)}`;
  if (job.outcome === "failed") return job.error ?? "the comparison failed";
  const unchecked = c.unchecked > 0 ? `; ${plural(c.unchecked, "kline")} could not be checked` : "";
  const invalid = c.invalid > 0 ? `; ${number(c.invalid)} ${c.invalid === 1 ? "contradicts itself" : "contradict themselves"}` : "";
  const same = plural(c.equal, "kline");
  if (c.differ === 0 && c.equal === 0) return `nothing could be compared${invalid}${unchecked}`;
  if (c.differ === 0) return `the same: ${same} as the exchange has them${invalid}${unchecked}`;
  const kinds = DIFFERENCES.filter(([kind]) => c[kind] > 0).map(([kind, words]) => `${number(c[kind])} ${words}`);
  return `${number(c.differ)} ${c.differ === 1 ? "differs" : "differ"}: ${kinds.join(", ")}; ${same} the same${invalid}${unchecked}`;
}

// A kline that differs in one field often differs in all of them: three tell enough.
const FIELDS = 3;
function what(finding) {
  const kind = KINDS[finding.kind] ?? finding.kind;
  const left = finding.fields.length - FIELDS;
  const small = (words) => h("div", { class: "small muted" }, words);
  return [finding.klines > 1 ? `${plural(finding.klines, "kline")} ${kind}` : kind, finding.detail && small(finding.detail),
    finding.fields.slice(0, FIELDS).map((f) => small(`${f.field}: stored ${f.stored}, exchange ${f.source}`)),
    left > 0 && small(`and ${plural(left, "field")} more`)];
}

function findings(job) {
  const c = job.comparison;
  if (!c || c.findings.length === 0) return null;
  const columns = [
    { title: "From", class: "t", head: true, cell: (f) => minute(f.open_time) },
    { title: "To", class: "t wide", cell: (f) => (f.klines > 1 ? minute(f.last) : "") },
    { title: "What", class: "words", cell: what },
    ...(job.series.length > 1 ? [{ title: "Series", class: "t", cell: (f) => f.series }] : []),
  ];
  return [scroll("First differences", table("First differences", columns, c.findings)),
    c.findings_left_out > 0 && h("p", { class: "small muted" }, `… and ${plural(c.findings_left_out, "finding")} more: `, h("code", {}, "klines verify"), " lists them all")];
}

/** The newest comparison of a series that was started here, as a card; null when there is none. */
export function comparison(state, series) {
  const job = state.jobs.findLast((job) => job.job === "verify" && job.series.includes(name(series)));
  if (!job) return null;
  const c = job.comparison;
  const whose = job.series.length > 1 ? `${plural(job.series.length, "series")}, ` : "";
  const cost = c ? `, ${plural(c.requests, "request")} of weight ${number(c.weight)}` : "";
  return h("section", { class: "card", "aria-label": "Compared with the exchange" },
    h("h2", {}, "Compared with the exchange"),
    h("p", {}, h("span", { class: `state long ${job.ended ? job.outcome : "running"}` }, outcome(job))),
    job.hint && h("p", { class: "small muted" }, job.hint),
    findings(job),
    job.ended && h("p", { class: "small muted" }, `${whose}ended ${minute(job.ended)}${cost}; nothing was changed`));
}
