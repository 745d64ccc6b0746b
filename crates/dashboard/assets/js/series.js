// One series: its map down to the hour, its candles, its holes, and where its klines came from.

import { h, fill, table, scroll } from "./dom.js";
import { get } from "./api.js";
import { listen } from "./live.js";
import { behind, completeness, intervalMs, marketName, minute, name, number, path, plural, span } from "./format.js";
import { legend } from "./heatmap.js";
import { candles } from "./chart.js";
import { zoomMap } from "./zoom.js";
import { working } from "./overview.js";
import { runTable } from "./runs.js";
import { jobButtons } from "./app.js";
import { advice, certified, comparison } from "./proof.js";

const HOW = { not_listed_yet: "not listed yet", empty_answer: "the exchange answered twice without it" };
const length = (hole) => span(Date.parse(hole.until) - Date.parse(hole.since));

function facts(s) {
  const list = [
    ["Complete", completeness(s)], ["Stored", number(s.rows)], ["Missing", s.gaps ? `${number(s.missing)} in ${plural(s.gaps, "gap")}` : "0"],
    ["Absent", number(s.absent)], ["First", minute(s.first)], ["Last", minute(s.last)], ["Behind", behind(s)],
    ...(s.listed ? [["Listed", minute(s.listed)]] : []), ["Certified", certified(s.certified)],
  ];
  const todo = advice(s.certified);
  return [h("dl", { class: "facts" }, list.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value)))),
    todo && h("p", { class: "small muted" }, todo)];
}

function holesTable(caption, holes, show, absent) {
  if (holes.total === 0) return h("p", { class: "empty" }, absent ? "The exchange has everything that was asked for." : "No gaps: every slot is stored or known to be absent.");
  const columns = [
    { title: "From", class: "t", head: true, cell: (r) => minute(r.since) }, { title: "To", class: "t", cell: (r) => minute(r.until) },
    { title: "Klines", class: "n", cell: (r) => number(r.klines) }, { title: "Time", class: "n", cell: length },
    ...(absent ? [{ title: "Why", cell: (r) => HOW[r.how] ?? r.how }, { title: "Established", class: "t wide", cell: (r) => minute(r.established) }] : []),
    { title: "", cell: (r) => h("button", { type: "button", class: "link", "aria-label": `Show ${minute(r.since)} in the chart`, onclick: () => show(r) }, "show") },
  ];
  const left = holes.total - holes.ranges.length;
  return [scroll(caption, table(caption, columns, holes.ranges)), left > 0 && h("p", { class: "small muted" }, `… and ${number(left)} more: klines gaps lists them all`)];
}

function ledgerTable(ledger) {
  if (ledger.entries.length === 0) return h("p", { class: "empty" }, "Nothing was fetched yet.");
  return scroll("Where klines came from", table("Where klines came from", [
    { title: "Asked", class: "t", head: true, cell: (e) => minute(e.at) }, { title: "Source", cell: (e) => e.source },
    { title: "From", class: "t", cell: (e) => minute(e.since) }, { title: "To", class: "t", cell: (e) => minute(e.until) },
    { title: "Rows", class: "n", cell: (e) => number(e.rows) }, { title: "Refused", class: "n", cell: (e) => number(e.rejected) },
  ], ledger.entries));
}

export function seriesPage(main, series, query) {
  const base = `series/${path(series)}`;
  const chart = candles(series);
  const step = intervalMs(series.interval);
  let gaps = { total: 0, ranges: [] };
  // The gap that is shown, by its start: where to step on from.
  let at = null;
  /** Shows a stretch of time; where a gap touches it, as much of the gap as there is room for. */
  const reveal = (since, until = since + step) => {
    at = null;
    const gap = gaps.ranges.find((g) => Date.parse(g.since) < until && since < Date.parse(g.until));
    const middle = gap ? Date.parse(gap.since) : (since + until) / 2;
    const where = gap && gap.klines <= 1500 ? { since: new Date(Date.parse(gap.since) - 150 * step).toISOString(), limit: gap.klines + 300, focus: gap }
      : { around: new Date(middle).toISOString(), limit: 400 };
    return chart.go(where).catch(fail);
  };
  const map = zoomMap(series, reveal);
  const top = h("div", { class: "stack" });
  const [work, compared, gapList, absentList, runList, ledgerList] = Array.from({ length: 6 }, () => h("div", {}));
  const problem = h("p", { class: "notice bad", role: "alert", hidden: true });
  const fail = (error) => { problem.hidden = false; problem.textContent = `${error.message}${error.hint ? `: ${error.hint}` : ""}`; };
  const actions = jobButtons(() => [series], { verify: "Compare with the exchange", fill: "Fill gaps now" });

  const showHole = (hole) => {
    reveal(Date.parse(hole.since));
    at = Date.parse(hole.since);
    chart.element.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  };
  const jump = (direction) => () => {
    const shown = chart.shown();
    if (!shown || gaps.ranges.length === 0) return;
    const middle = at ?? Date.parse(direction > 0 ? shown.since : shown.until);
    const starts = gaps.ranges.map((g) => Date.parse(g.since));
    const next = direction > 0 ? starts.find((t) => t > middle) ?? starts[0] : starts.findLast((t) => t < middle) ?? starts.at(-1);
    showHole(gaps.ranges[starts.indexOf(next)]);
  };
  const button = (text, label, onclick) => h("button", { type: "button", "aria-label": label, onclick }, text);
  const previousGap = button("‹ gap", "Previous gap", jump(-1));
  const nextGap = button("gap ›", "Next gap", jump(1));
  const goTo = h("input", { type: "date", "aria-label": "Go to date", onchange: () => { if (goTo.value) reveal(Date.parse(`${goTo.value}T00:00:00Z`), Date.parse(`${goTo.value}T00:00:00Z`) + 864e5); } });
  const controls = h("div", { class: "controls" },
    button("« first", "First candles", () => chart.go({ since: "2000-01-01" }).catch(fail)), button("‹ earlier", "Earlier candles", () => chart.earlier()?.catch(fail)),
    button("later ›", "Later candles", () => chart.later()?.catch(fail)), button("last »", "Last candles", () => chart.go({}).catch(fail)), previousGap, nextGap, goTo);

  let last = "";
  async function load(first) {
    try {
      const [row, g, absent, runs, ledger] = await Promise.all([
        get(base), get(`${base}/gaps`), get(`${base}/absent`), get("runs", { ...series, limit: 10 }), get(`${base}/ledger`, { limit: 20 })]);
      problem.hidden = true;
      const text = JSON.stringify([{ ...row, behind: 0 }, g, absent, runs]);
      if (text === last) return;
      last = text;
      gaps = g;
      fill(top, h("p", { class: "crumbs" }, h("a", { href: "#/" }, "‹ All series")),
        h("div", { class: "head" }, h("h1", {}, `${series.symbol} ${series.interval} `, h("span", { class: "badge" }, marketName(series.market))), actions), facts(row));
      actions.update({ verify: row.rows > 0, fill: row.missing > 0 });
      previousGap.disabled = nextGap.disabled = g.total === 0;
      fill(gapList, holesTable("Gaps", g, showHole, false));
      fill(absentList, holesTable("Absent at the exchange", absent, showHole, true));
      fill(runList, runs.runs.length ? runTable(runs.runs, false) : h("p", { class: "empty" }, "No job has run on this series."));
      fill(ledgerList, ledgerTable(ledger));
      await map.load();
      if (!first) await chart.refresh();
    } catch (error) { fail(error); }
  }

  const card = (title, ...children) => h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
  fill(main, problem, top, work, compared,
    h("section", { class: "card", "aria-label": "Coverage" }, h("div", { class: "head" }, h("h2", {}, "Coverage"), legend()), map.element),
    h("section", { class: "card", "aria-label": "Candles" }, h("div", { class: "head" }, h("h2", {}, "Candles"), controls), chart.element),
    card("Gaps", gapList), card("Absent at the exchange", absentList), card("Last runs", runList), card("Where klines came from", ledgerList));

  const ready = load(true).then(() => query.get("month") ? map.choose(query.get("month")) : gaps.total > 0 && step < 864e5 ? reveal(Date.parse(gaps.ranges.at(-1).since)) : chart.go({})).catch(fail);
  let [newest, busy] = [undefined, false];
  const mine = (w) => name(w) === name(series);
  let told = "";
  const showComparison = (state) => {
    const card = comparison(state, series);
    // Drawn anew only when it says something else: whoever reads or scrolls it is not to be disturbed every second.
    const text = card?.textContent ?? "";
    compared.hidden = !card;
    if (text !== told) fill(compared, card);
    told = text;
  };
  const stop = listen((state) => {
    const running = working(state, mine);
    fill(work, running);
    work.hidden = !running;
    showComparison(state);
    const changed = newest !== undefined && newest !== state.newest_run;
    if (changed || running || busy) load(false);
    [newest, busy] = [state.newest_run, Boolean(running)];
  });
  const theme = () => chart.repaint();
  document.addEventListener("theme", theme);
  return { title: name(series), ready, leave: () => { stop(); actions.leave(); chart.remove(); document.removeEventListener("theme", theme); } };
}
