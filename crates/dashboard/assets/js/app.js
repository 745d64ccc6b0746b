// Pages by the address's hash, the theme, live state in the header, and the token.

import { h, fill } from "./dom.js";
import { checkAccess, fillGaps, get, token, verify } from "./api.js";
import { connect, listen } from "./live.js";
import { plural } from "./format.js";
import { overview } from "./overview.js";
import { runsPage } from "./runs.js";
import { seriesPage } from "./series.js";

const $ = (id) => document.getElementById(id);

// Theme: the system's, unless chosen.
const THEMES = ["auto", "light", "dark"];
function theme(next) {
  const chosen = next ?? localStorage.getItem("klines-theme") ?? "auto";
  localStorage.setItem("klines-theme", chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  fill($("theme"), h("span", { "aria-hidden": "true" }, { auto: "◐", light: "○", dark: "●" }[chosen]), h("span", { class: "theme-name" }, ` ${chosen}`));
  $("theme").setAttribute("aria-label", `Theme: ${chosen}`);
  $("theme").title = `Theme: ${chosen}`;
  document.dispatchEvent(new Event("theme"));
}
$("theme").addEventListener("click", () => {
  const at = THEMES.indexOf(localStorage.getItem("klines-theme") ?? "auto");
  theme(THEMES[(at + 1) % THEMES.length]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));

// The token, asked for once per tab.
function askToken() {
  const [dialog, input, problem] = [$("token-dialog"), $("token"), $("token-problem")];
  problem.textContent = "";
  input.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (given) => { dialog.close(); $("token-form").onsubmit = null; dialog.oncancel = null; resolve(given); };
    $("token-cancel").onclick = () => end(false);
    dialog.oncancel = () => end(false);
    $("token-form").onsubmit = async (event) => {
      event.preventDefault();
      token.set(input.value);
      try { await checkAccess(); end(true); } catch (error) { token.clear(); problem.textContent = error.message; }
    };
  });
}

const VERDICTS = { clean: "the same", found: "something was found", failed: "failed" };
/** What can be started: how, and how it is told while it runs and when it has ended. */
const JOBS = {
  fill: {
    start: fillGaps, kind: "primary",
    doing: (series) => `filling ${plural(series.length, "series")}`,
    ended: (job) => `${job.outcome}: ${plural(job.written, "kline")} written${job.error ? `; ${job.error}` : ""}`,
  },
  verify: {
    start: verify, kind: null,
    doing: () => "comparing",
    ended: (job) => `compared: ${VERDICTS[job.outcome] ?? job.outcome}`,
  },
};

/**
 * Buttons that start jobs on the series that `which()` names: `{ fill: "Fill gaps" }`. They are there only when the dashboard
 * may do so, and one line beside them says how it goes. `update({ fill: true })` says which are of use now.
 */
export function jobButtons(which, texts) {
  const said = h("span", { class: "small muted", role: "status" });
  let mine = null;
  let state = { jobs: [] };
  const tell = () => {
    const job = state.jobs.find((job) => job.id === mine?.id);
    if (job?.ended) said.textContent = mine.ended(job);
  };
  const start = async (job, button) => {
    if (!token.get() && !(await askToken())) return;
    button.disabled = true;
    const series = which().map(({ market, symbol, interval }) => ({ market, symbol, interval }));
    try {
      const { id } = await job.start(series);
      mine = { id, ended: job.ended };
      said.textContent = job.doing(series);
      tell();
    } catch (error) {
      if (error.status === 401) token.clear();
      said.textContent = error.message;
    }
    button.disabled = false;
  };
  const buttons = Object.entries(texts).map(([name, text]) => {
    const button = h("button", { type: "button", class: JOBS[name].kind, hidden: true, onclick: () => start(JOBS[name], button) }, text);
    return [name, button];
  });
  const element = h("div", { class: "controls" }, said, buttons.map(([, button]) => button));
  element.update = async (useful) => {
    const { actions } = await about;
    for (const [name, button] of buttons) button.hidden = !actions || !useful[name];
  };
  element.leave = listen((now) => { state = now; tell(); });
  return element;
}

let about = get("overview");
function describe() {
  about.then((whole) => {
    $("store").textContent = whole.store;
    $("store").title = whole.engine ? `${whole.store} (${whole.engine})` : whole.store;
    $("about").textContent = `klines ${whole.version} · all times UTC · ${whole.actions ? "actions take the token" : "for reading only"}`;
  }, () => setTimeout(() => { about = get("overview"); describe(); }, 3000));
}

let page = null;
function route() {
  const [where, query = ""] = location.hash.replace(/^#/, "").split("?");
  const parts = where.split("/").filter(Boolean).map(decodeURIComponent);
  page?.leave();
  const main = $("main");
  fill(main);
  const params = new URLSearchParams(query);
  if (parts[0] === "runs") page = runsPage(main);
  else if (parts[0] === "series" && parts.length === 4) page = seriesPage(main, { market: parts[1], symbol: parts[2], interval: parts[3] }, params);
  else page = overview(main);
  document.title = `${page.title} · klines`;
  document.querySelectorAll("nav a").forEach((a) => {
    if (a.dataset.page === (parts[0] ?? "overview")) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  });
  return page.ready;
}

const STATUS = { connecting: "connecting", live: "live", away: "reconnecting" };
listen((state, status) => {
  $("live").dataset.state = status;
  $("live-text").textContent = status === "busy" ? `${plural(state.running.length, "series")} running` : STATUS[status] ?? status;
});
window.addEventListener("hashchange", async () => { await route(); window.scrollTo(0, 0); $("main").focus({ preventScroll: true }); });
$("main").closest("body").querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
theme();
describe();
connect();
route();
