// The first page: is everything there, what goes on, and where are the holes.

import { h, fill, table, scroll } from "./dom.js";
import { get } from "./api.js";
import { listen } from "./live.js";
import { ago, behind, completeness, minute, name, number, path, percent, plural, span } from "./format.js";
import { heatmap, legend } from "./heatmap.js";
import { jobButtons } from "./app.js";
import { certified } from "./proof.js";

const PAGE = 50;

function verdict(overview) {
  const t = overview.totals;
  const [kind, glyph, words] =
    t.series === 0 ? ["none", "–", "Nothing is stored yet"] :
    t.missing === 0 ? ["good", "✓", `Complete: nothing is missing in ${plural(t.series, "series")}`] :
    ["bad", "!", `${plural(t.missing, "kline")} missing in ${plural(t.gaps, "gap")}, in ${number(t.series - t.complete)} of ${plural(t.series, "series")}`];
  const more = t.series === 0 ? h("span", {}, "Bring klines in with ", h("code", {}, "klines extract"), " or ", h("code", {}, "klines fill-gaps --since 2023-01-01"), ".")
    : `Counted ${ago(overview.counted, Date.parse(overview.now))}, from the first to the last stored kline of each series.`;
  return h("div", { class: "verdict" }, h("span", { class: `mark ${kind}`, "aria-hidden": "true" }, glyph), h("h1", {}, words), h("p", {}, more));
}

function tiles(overview) {
  const t = overview.totals;
  const run = overview.last_run;
  const weight = overview.weight.map((w) => ({
    title: `Weight, ${w.pool}, 24 h`, value: number(w.weight),
    note: `heaviest run ${number(w.heaviest_per_minute)}/min of ${number(w.limit_per_minute)}`,
  }));
  const list = [
    { title: "Complete", value: percent(t.expected - t.missing, t.expected), note: `${number(t.complete)} of ${plural(t.series, "series")} whole` },
    { title: "Stored", value: number(t.rows), note: "klines" },
    { title: "Missing", value: number(t.missing), note: plural(t.gaps, "gap") },
    { title: "Absent", value: number(t.absent), note: "not to be had at the exchange" },
    { title: "Last run", value: run ? h("span", { class: `state ${run.outcome}` }, run.outcome) : "none", note: run ? `${run.job}, ${ago(run.ended, Date.parse(overview.now))}` : "no job has run yet" },
    ...weight,
  ];
  if (t.certified + t.changed > 0) list.push({ title: "Certified", value: `${number(t.certified)} of ${number(t.series)}`, note: t.changed > 0 ? `${number(t.changed)} of the series changed since` : "series, none changed since" });
  if (overview.messages_pending > 0) list.push({ title: "Messages waiting", value: overview.messages_pending >= 1000 ? "1,000+" : number(overview.messages_pending), note: "sent by the next run that reaches NATS" });
  return h("dl", { class: "tiles" }, list.map((tile) => h("div", { class: "tile" }, h("dt", {}, tile.title), h("dd", {}, tile.value), h("dd", { class: "note" }, tile.note))));
}

/** What goes on right now. */
export function working(state, only = () => true) {
  const running = state.running.filter(only);
  if (running.length === 0) return null;
  const item = (work) => {
    const done = work.missing_at_first > 0 ? (work.missing_at_first - work.missing) / work.missing_at_first : null;
    const left = done !== null && work.rate > 0 ? `, ${span(work.missing / work.rate * 1000)} left` : "";
    const words = `${work.owner}: ${plural(work.written, "kline")} written in ${span(Date.now() - Date.parse(work.seen))}, ${number(Math.round(work.rate))}/s, ${number(work.missing)} missing${left}`;
    return h("li", {},
      h("a", { href: `#/series/${path(work)}` }, name(work)),
      h("div", { class: "bar", role: "progressbar", "aria-label": `Filling ${name(work)}`, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": done === null ? null : Math.floor(done * 100) },
        h("i", { vars: { "--p": `${(done ?? 0) * 100}%` } })),
      h("span", {}, done === null ? "at work" : percent(work.missing_at_first - work.missing, work.missing_at_first)),
      h("span", { class: "small muted" }, words));
  };
  return h("section", { class: "card", "aria-label": "Running now" }, h("h2", {}, "Running now"), h("ul", { class: "work" }, running.map(item)));
}

const COLUMNS = [
  ["name", "Series"], ["", "First", "t wide"], ["", "Last", "t wide"], ["rows", "Klines", "n wide"], ["completeness", "Complete", "n"],
  ["missing", "Missing", "n"], ["", "Gaps", "n wide"], ["", "Absent", "n wide"], ["behind", "Behind", "n wide"], ["", "Certified", "wide"], ["", "Last run", ""],
];

function seriesTable(page, query, sort) {
  const cells = [
    (s) => h("a", { href: `#/series/${path(s)}` }, name(s)),
    (s) => minute(s.first), (s) => minute(s.last), (s) => number(s.rows), completeness, (s) => number(s.missing),
    (s) => number(s.gaps), (s) => number(s.absent), behind, (s) => certified(s.certified, "short"),
    (s) => s.last_run ? h("span", { class: `state ${s.last_run.outcome}`, title: s.last_run.reason }, h("span", { class: "sr" }, `${s.last_run.outcome}, `), ago(s.last_run.ended)) : "–",
  ];
  const columns = COLUMNS.map(([key, title, kind], i) => ({
    title, class: kind, cell: cells[i], head: i === 0,
    mark: (s) => (i === 4 || i === 5) && s.missing > 0 ? "bad" : null,
    sorted: key && key === query.sort ? (key === "name" || key === "completeness" ? "ascending" : "descending") : null,
    button: key ? h("button", { type: "button", title: `Sort by ${title.toLowerCase()}`, onclick: () => sort(key) }, title) : null,
  }));
  return scroll("Series", table("Every series and how complete it is", columns, page.series));
}

export function overview(main) {
  const query = { q: "", state: "", sort: "name", offset: 0 };
  const top = h("div", {});
  const facts = h("div", {});
  const work = h("div", { hidden: true });
  const map = heatmap((row, month) => { location.hash = `#/series/${path(row)}?month=${month}`; });
  const list = h("div", {});
  const pager = h("div", { class: "pager" });
  const nothing = h("p", { class: "empty", hidden: true }, "No series fits.");
  const problem = h("p", { class: "notice bad", role: "alert", hidden: true });

  let wait;
  const search = h("input", { type: "search", id: "q", placeholder: "BTC 5m", "aria-label": "Find series", oninput: () => {
    clearTimeout(wait);
    wait = setTimeout(() => { Object.assign(query, { q: search.value.trim(), offset: 0 }); load(); }, 150);
  } });
  const choice = h("select", { id: "state", onchange: () => { Object.assign(query, { state: choice.value, offset: 0 }); load(); } },
    [["", "all"], ["incomplete", "incomplete"], ["complete", "complete"], ["failed", "last run failed"], ["changed", "changed since certified"]].map(([value, text]) => h("option", { value }, text)));
  const fillAll = jobButtons(() => shown.filter((s) => s.missing > 0), { fill: "Fill what is missing" });
  const controls = h("div", { class: "controls" }, search, h("label", {}, "show", choice), fillAll);
  const sort = (key) => { Object.assign(query, { sort: key, offset: 0 }); load(); };
  const turn = (by) => () => { query.offset = Math.max(0, query.offset + by * PAGE); load(); };

  let last = "";
  let shown = [];
  async function load() {
    try {
      const [whole, page] = await Promise.all([get("overview"), get("series", { ...query, months: true, limit: PAGE })]);
      problem.hidden = true;
      fill(top, verdict(whole));
      fill(facts, tiles(whole));
      const text = JSON.stringify([page.series, page.matched, query]);
      if (text !== last) {
        last = text;
        shown = page.series;
        map.update(page.series);
        fill(list, seriesTable(page, query, sort));
      }
      nothing.hidden = page.matched > 0 || page.total === 0;
      fillAll.update({ fill: shown.some((s) => s.missing > 0) });
      const end = Math.min(page.offset + page.series.length, page.matched);
      fill(pager, page.matched > PAGE && [
        h("span", {}, `${number(page.offset + 1)} to ${number(end)} of ${number(page.matched)}`),
        h("button", { type: "button", onclick: turn(-1), disabled: page.offset === 0 }, "Previous"),
        h("button", { type: "button", onclick: turn(1), disabled: end >= page.matched }, "Next"),
      ]);
    } catch (error) {
      problem.hidden = false;
      problem.textContent = `${error.message}${error.hint ? `: ${error.hint}` : ""}`;
    }
  }

  fill(main, problem, top, work, facts,
    h("section", { class: "card", "aria-label": "Coverage" }, h("div", { class: "head" }, h("h2", {}, "Coverage by month"), controls), legend(), map.element, nothing, pager),
    h("section", { class: "card", "aria-label": "Series" }, h("h2", {}, "Series"), list));
  let newest;
  const stop = listen((state) => {
    const running = working(state);
    work.hidden = !running;
    fill(work, running);
    if (newest !== undefined && newest !== state.newest_run) setTimeout(load, 400);
    newest = state.newest_run;
  });
  const timer = setInterval(() => { if (!document.hidden) load(); }, 5000);
  return { title: "Coverage", ready: load(), leave: () => { stop(); fillAll.leave(); clearInterval(timer); clearTimeout(wait); } };
}
