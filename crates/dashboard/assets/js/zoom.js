// One series from years to hours: each level is a small table whose cells open the next.

import { h, fill } from "./dom.js";
import { get } from "./api.js";
import { counts, intervalMs, monthName, path, shortMonth } from "./format.js";
import { rove, shade } from "./heatmap.js";

const DAY = 864e5;
const two = (n) => String(n).padStart(2, "0");
const iso = (ms) => new Date(ms).toISOString().replace(".000Z", "Z");

function grid(label, head, rows, readout) {
  const made = h("table", { class: "zoom", role: "grid", "aria-label": label },
    head && h("thead", {}, h("tr", {}, head)),
    h("tbody", {}, rows));
  made.querySelector(".cell.some")?.setAttribute("tabindex", "0");
  rove(made, (words) => { readout.textContent = words; });
  return made;
}

function cell(counted, words, choose, current) {
  if (!counted || counted.expected === 0) return h("td", { class: "cell out" });
  const text = `${words}: ${counts(counted)}`;
  return h("td", { class: "cell some", tabindex: "-1", "aria-label": text, title: text, "aria-current": current ? "true" : null, onclick: choose }, shade(counted));
}

/**
 * Makes the map of a series. `show(since, until)` is called with what was chosen, ms.
 * `choose(month)` opens a month from outside.
 */
export function zoomMap(series, show) {
  const readout = h("p", { class: "readout", "aria-hidden": "true" }, "Choose a month, then a day, then an hour.");
  const levels = h("div", { class: "levels" });
  const chosen = { month: null, day: null, hour: null };
  const step = intervalMs(series.interval);
  let [months, days, hours] = [[], [], []];

  const key = (at, length) => at.slice(0, length);
  const ask = (by, since, until) => get(`series/${path(series)}/map`, { by, since: since && iso(since), until: until && iso(until) }).then((map) => map.cells);

  function yearRows() {
    const byYear = Map.groupBy(months, (cell) => key(cell.at, 4));
    return [...byYear].map(([year, cells]) => h("tr", {}, h("th", { scope: "row" }, year),
      Array.from({ length: 12 }, (_, month) => {
        const at = `${year}-${two(month + 1)}`;
        return cell(cells.find((c) => key(c.at, 7) === at), monthName(year, month), () => choose(at), chosen.month === at);
      })));
  }

  function dayRow() {
    const [year, month] = chosen.month.split("-").map(Number);
    const last = new Date(Date.UTC(year, month, 0)).getUTCDate();
    const all = Array.from({ length: last }, (_, i) => `${chosen.month}-${two(i + 1)}`);
    const offset = (new Date(Date.UTC(year, month - 1, 1)).getUTCDay() + 6) % 7;
    const slots = [...Array.from({ length: offset }, () => null), ...all];
    const weeks = Array.from({ length: Math.ceil(slots.length / 7) }, (_, i) => slots.slice(i * 7, i * 7 + 7));
    return weeks.map((week) => h("tr", {}, h("th", { scope: "row" }, String(Number(week.find(Boolean).slice(8)))),
      week.map((at) => at === null ? h("td", {}) : cell(days.find((c) => key(c.at, 10) === at), at, () => chooseDay(at), chosen.day === at))));
  }

  function hourRows() {
    return [0, 6, 12, 18].map((from) => h("tr", {}, h("th", { scope: "row" }, `${two(from)}:00`),
      Array.from({ length: 6 }, (_, i) => {
        const at = `${chosen.day}T${two(from + i)}`;
        return cell(hours.find((c) => key(c.at, 13) === at), `${chosen.day} ${two(from + i)}:00`, () => chooseHour(at), chosen.hour === at);
      })));
  }

  function draw() {
    const focus = levels.contains(document.activeElement) ? document.activeElement.title.split(":")[0] : null;
    const head = (titles) => [h("td", {}), titles.map((title) => h("th", { scope: "col" }, title))];
    const sections = [h("section", {}, h("h3", {}, "Months"),
      h("div", { class: "scroll" }, grid("Coverage by month", head(Array.from({ length: 12 }, (_, m) => shortMonth(m))), yearRows(), readout)))];
    if (chosen.month && step < 28 * DAY) {
      const [year, month] = chosen.month.split("-").map(Number);
      sections.push(h("section", {}, h("h3", {}, `Days of ${monthName(year, month - 1)}`),
        grid("Coverage by day", head(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]), dayRow(), readout)));
    }
    if (chosen.day && step < DAY) {
      sections.push(h("section", {}, h("h3", {}, `Hours of ${chosen.day}`),
        grid("Coverage by hour", head(["+0", "+1", "+2", "+3", "+4", "+5"]), hourRows(), readout)));
    }
    fill(levels, sections);
    if (focus) [...levels.querySelectorAll(".cell.some")].find((c) => c.title.split(":")[0] === focus)?.focus();
  }

  async function choose(month) {
    Object.assign(chosen, { month, day: null, hour: null });
    const [year, m] = month.split("-").map(Number);
    const [since, until] = [Date.UTC(year, m - 1, 1), Date.UTC(year, m, 1)];
    days = step < 28 * DAY ? await ask("day", since, until) : [];
    draw();
    hole(days, DAY) || show(since, until);
  }
  async function chooseDay(day) {
    Object.assign(chosen, { day, hour: null });
    const since = Date.parse(`${day}T00:00:00Z`);
    hours = step < DAY ? await ask("hour", since, since + DAY) : [];
    draw();
    hole(hours, DAY / 24) || show(since, since + DAY);
  }
  function chooseHour(hour) {
    chosen.hour = hour;
    draw();
    show(Date.parse(`${hour}:00:00Z`), Date.parse(`${hour}:00:00Z`) + DAY / 24);
  }

  /** What lacks something is what one wants to see. */
  function hole(cells, length) {
    const found = cells.find((c) => c.missing > 0);
    if (found) show(Date.parse(found.at), Date.parse(found.at) + length);
    return Boolean(found);
  }

  async function load() {
    months = await ask("month");
    if (chosen.month) {
      const [year, m] = chosen.month.split("-").map(Number);
      if (step < 28 * DAY) days = await ask("day", Date.UTC(year, m - 1, 1), Date.UTC(year, m, 1));
      if (chosen.day && step < DAY) hours = await ask("hour", Date.parse(`${chosen.day}T00:00:00Z`), Date.parse(`${chosen.day}T00:00:00Z`) + DAY);
    }
    draw();
  }
  return { element: h("div", {}, levels, readout), load, choose };
}
