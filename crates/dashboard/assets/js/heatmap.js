// The map of many series by month, and the cells that all maps are made of.

import { h, fill } from "./dom.js";
import { completeness, counts, monthName, name, path } from "./format.js";

/** A part that is not nothing stays visible, and one that is not all never looks like all. */
function share(part, whole) {
  if (whole === 0 || part === 0) return 0;
  if (part === whole) return 100;
  return Math.min(85, Math.max(15, (part / whole) * 100));
}

/** The inside of a cell: stored from below, then absent, the rest missing. */
export function shade({ expected, missing, absent }) {
  const stored = expected - missing - absent;
  const s = share(stored, expected);
  const sa = missing === 0 ? 100 : Math.max(s, share(stored + absent, expected));
  return h("i", { vars: { "--s": `${missing === 0 && absent > 0 ? Math.min(s, 80) : s}%`, "--sa": `${sa}%` } });
}

const SAMPLES = [
  ["complete", { expected: 4, missing: 0, absent: 0 }],
  ["part missing", { expected: 4, missing: 2, absent: 0 }],
  ["all missing", { expected: 4, missing: 4, absent: 0 }],
  ["absent at the exchange", { expected: 4, missing: 0, absent: 4 }],
];

/** What the shades mean. */
export function legend() {
  return h("ul", { class: "legend", "aria-label": "Legend" },
    SAMPLES.map(([words, cell]) => h("li", {}, h("span", { class: "swatch some", "aria-hidden": "true" }, shade(cell)), words)));
}

/** Arrow keys, Home and End move through the cells of a table; only one of them is in the tab order. */
export function rove(grid, onFocus) {
  const cells = () => [...grid.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll(".cell")]);
  const usable = (cell) => cell?.classList.contains("some");
  const enter = (cell) => {
    grid.querySelectorAll('.cell[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", "-1"));
    cell.setAttribute("tabindex", "0");
    cell.focus();
  };
  grid.addEventListener("keydown", (event) => {
    const cell = event.target.closest?.(".cell");
    if (!cell) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      cell.click();
      return;
    }
    const rows = cells();
    const y = rows.findIndex((row) => row.includes(cell));
    const x = rows[y].indexOf(cell);
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    let found = null;
    if (event.key === "Home") found = rows[y].find(usable);
    else if (event.key === "End") found = rows[y].findLast(usable);
    else if (steps) {
      for (let [i, j] = [y + steps[0], x + steps[1]]; rows[i]?.[j]; [i, j] = [i + steps[0], j + steps[1]]) {
        if (usable(rows[i][j])) { found = rows[i][j]; break; }
      }
    } else return;
    event.preventDefault();
    if (found) enter(found);
  });
  for (const kind of ["focusin", "mouseover"]) {
    grid.addEventListener(kind, (event) => {
      const cell = event.target.closest?.(".cell.some");
      if (cell) onFocus(cell.getAttribute("aria-label"));
    });
  }
}

const index = (month) => Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;

/** Makes a map of series; `update(rows)` draws it. `open(row, "2025-02")` is called for a month. */
export function heatmap(open) {
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const grid = h("table", { class: "heat", role: "grid", "aria-label": "Coverage by month: one row per series, one cell per month. Arrow keys move, Enter opens." });
  const frame = h("div", { class: "scroll" }, grid);
  const idle = "Point at a month, or move there with the arrow keys, to read its numbers; Enter opens it.";
  readout.textContent = idle;
  rove(grid, (words) => { readout.textContent = words; });

  const cell = (row, at, counted, first) => {
    if (!counted || counted[0] === 0) return h("td", { class: "cell" });
    const [expected, missing, absent] = counted;
    const [year, month] = [Math.floor(at / 12), at % 12];
    const words = `${name(row)}, ${monthName(year, month)}: ${counts({ expected, missing, absent })}`;
    const key = `${year}-${String(month + 1).padStart(2, "0")}`;
    return h("td", {
      class: "cell some", tabindex: first ? "0" : "-1", "aria-label": words, title: words, "data-key": `${path(row)} ${key}`,
      onclick: () => open(row, key),
    }, shade({ expected, missing, absent }));
  };

  function update(rows) {
    const focused = document.activeElement?.closest?.(".heat .cell")?.dataset.key;
    const spans = rows.filter((row) => row.months?.cells.length > 0).map((row) => [index(row.months.first), row.months.cells.length]);
    const from = Math.min(...spans.map(([first]) => first));
    const to = Math.max(...spans.map(([first, length]) => first + length));
    const months = spans.length > 0 ? to - from : 0;
    let first = true;
    const line = (row) => {
      const start = row.months?.cells.length > 0 ? index(row.months.first) - from : months;
      const cells = Array.from({ length: months }, (_, i) => {
        const made = cell(row, from + i, row.months?.cells[i - start], first);
        if (made.classList.contains("some")) first = false;
        return made;
      });
      return h("tr", {},
        h("th", { scope: "row" }, h("a", { href: `#/series/${path(row)}` }, name(row))),
        cells,
        h("td", { class: row.missing > 0 ? "share short" : "share" }, completeness(row)));
    };
    const years = [];
    for (let at = from; at < from + months; at = (Math.floor(at / 12) + 1) * 12) {
      const end = Math.min((Math.floor(at / 12) + 1) * 12, from + months);
      years.push(h("th", { scope: "colgroup", colspan: end - at }, end - at > 3 || months < 12 ? `${Math.floor(at / 12)}` : ""));
    }
    const atEnd = frame.scrollLeft === 0;
    fill(grid,
      h("thead", {}, h("tr", {}, h("td", {}), years, h("td", { class: "share" }, "complete"))),
      h("tbody", {}, rows.map(line)));
    // The newest months are what matters when not all fit.
    if (atEnd) frame.scrollLeft = frame.scrollWidth;
    if (focused) {
      const again = grid.querySelector(`[data-key="${CSS.escape(focused)}"]`);
      if (again) { grid.querySelector('.cell[tabindex="0"]')?.setAttribute("tabindex", "-1"); again.setAttribute("tabindex", "0"); again.focus({ preventScroll: true }); }
    }
  }
  return { element: h("div", {}, frame, readout), update };
}
