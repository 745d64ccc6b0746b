// What ran, how it ended and why.

import { h, fill, table, scroll } from "./dom.js";
import { get } from "./api.js";
import { listen } from "./live.js";
import { ago, minute, name, number, path, plural, span } from "./format.js";

/** The series of a run, or the runs of a series. */
export function runTable(runs, withSeries) {
  const columns = [
    withSeries ? { title: "Series", head: true, cell: (r) => h("a", { href: `#/series/${path(r)}` }, name(r)) }
      : { title: "Ended", class: "t", head: true, cell: (r) => minute(r.ended) },
    ...(withSeries ? [] : [{ title: "Job", class: "t", cell: (r) => r.job }]),
    { title: "Outcome", cell: (r) => h("span", { class: `state ${r.outcome}` }, r.outcome) },
    { title: "Written", class: "n", cell: (r) => number(r.written) },
    { title: "Missing before", class: "n wide", cell: (r) => number(r.missing_before) },
    { title: "Missing after", class: "n", cell: (r) => number(r.missing_after), mark: (r) => r.missing_after > 0 ? "bad" : null },
    { title: "Weight", class: "n wide", cell: (r) => number(r.weight) },
    { title: "Why", class: "words", cell: (r) => [r.reason, r.hint && h("div", { class: "small muted" }, r.hint)] },
  ];
  return scroll("Runs", table("Runs", columns, runs));
}

const RANK = { failed: 2, incomplete: 1, complete: 0 };

function one(runs, open) {
  const first = runs[0];
  const worst = runs.reduce((a, b) => (RANK[b.outcome] > RANK[a.outcome] ? b : a));
  const sum = (of) => runs.reduce((total, run) => total + of(run), 0);
  const started = Math.min(...runs.map((r) => Date.parse(r.started)));
  const ended = Math.max(...runs.map((r) => Date.parse(r.ended)));
  const missing = sum((r) => r.missing_after);
  const words = [`${number(sum((r) => r.written))} written`, missing > 0 ? `${number(missing)} still missing` : null, plural(runs.length, "series"), `weight ${number(sum((r) => r.weight))}`, `took ${span(ended - started)}`];
  return h("details", { class: "run", open, "data-run": first.run },
    h("summary", {},
      h("span", { class: `state ${worst.outcome}` }, worst.outcome),
      h("span", {}, `${minute(new Date(started).toISOString())}`, h("span", { class: "muted" }, ` · ${ago(new Date(ended).toISOString())}`)),
      h("span", {}, first.job),
      h("span", {}, words.filter(Boolean).join(", "))),
    h("div", {}, runTable(runs, true)));
}

export function runsPage(main) {
  const list = h("div", {});
  const problem = h("p", { class: "notice bad", role: "alert", hidden: true });
  let outcome = "";
  const choice = h("select", { onchange: () => { outcome = choice.value; last = ""; load(); } },
    [["", "all"], ["failed", "failed"], ["incomplete", "incomplete"], ["complete", "complete"]].map(([value, text]) => h("option", { value }, text)));
  let last = "";
  async function load() {
    try {
      const { runs } = await get("runs", { limit: 500, outcome });
      problem.hidden = true;
      const text = JSON.stringify(runs);
      if (text === last) return;
      last = text;
      const grouped = [...Map.groupBy(runs, (run) => run.run).values()];
      const open = new Set([...list.querySelectorAll("details[open]")].map((d) => d.dataset.run));
      fill(list, grouped.length === 0 ? h("p", { class: "empty" }, "No run is recorded.") : grouped.map((runs) => one(runs, open.has(runs[0].run))));
    } catch (error) {
      problem.hidden = false;
      problem.textContent = `${error.message}${error.hint ? `: ${error.hint}` : ""}`;
    }
  }
  fill(main, problem, h("h1", {}, "Runs"),
    h("section", { class: "card", "aria-label": "Run history" }, h("div", { class: "head" }, h("h2", {}, "History"), h("div", { class: "controls" }, h("label", {}, "outcome", choice))), list));
  let newest;
  const stop = listen((state) => { if (newest !== undefined && newest !== state.newest_run) load(); newest = state.newest_run; });
  return { title: "Runs", ready: load(), leave: stop };
}
