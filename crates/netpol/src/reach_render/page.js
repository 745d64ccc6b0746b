"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));
  const details = document.getElementById("details");
  const search = document.getElementById("search");
  const views = ["matrix", "graph", "list"];

  // Views.
  function show(view) {
    for (const id of views) {
      document.getElementById(id).hidden = id !== view;
      const tab = document.getElementById("tab-" + id);
      tab.setAttribute("aria-selected", String(id === view));
      tab.tabIndex = id === view ? 0 : -1;
    }
    // A name that is no element's, so that nothing scrolls.
    history.replaceState(null, "", "#view-" + view);
  }
  const tabs = all("[role=tab]");
  tabs.forEach((tab, at) => {
    tab.addEventListener("click", () => show(tab.dataset.view));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(at + step + tabs.length) % tabs.length];
      show(next.dataset.view);
      next.focus();
    });
  });

  // Theme.
  document.getElementById("theme").addEventListener("click", () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme || (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });

  // Details.
  const node = (index) => data.nodes[index];
  function element(tag, text, name) {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (name) made.className = name;
    return made;
  }
  function chips(ports, certain) {
    const box = element("div", undefined, "chips");
    if (ports === "all") {
      box.append(element("span", "every port of every protocol", certain ? "all" : "unknown"));
      return box;
    }
    let protocol = "";
    for (const word of ports.split(" ")) {
      if (/^[A-Z]+$/.test(word)) { protocol = word; continue; }
      for (const port of word.split(",")) box.append(element("span", port + " " + protocol, certain ? "" : "unknown"));
    }
    return box;
  }
  function listed(items, most) {
    const list = element("ul");
    items.slice(0, most).forEach((item) => list.append(element("li", item)));
    if (items.length > most) list.append(element("li", "and " + (items.length - most) + " more", "more"));
    return list;
  }
  const ruleText = (rule) => rule.policy + " " + rule.direction + " " + rule.rules.map((number) => "#" + number).join(" ");
  function end(title, rules, isolated, other) {
    const box = element("div");
    box.append(element("h4", title));
    if (rules.length) box.append(listed(rules.map(ruleText), 8));
    else if (isolated === null) box.append(element("div", other));
    else if (!isolated.length) box.append(element("div", "no policy isolates it: everything is allowed"));
    else box.append(element("div", "isolated by " + isolated.join(", ")));
    return box;
  }
  let pinned = null;
  function tell(index) {
    const connection = data.connections[index];
    const from = node(connection.from), to = node(connection.to);
    const close = element("button", "×", "close");
    close.type = "button";
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => { if (pinned !== null) pin(pinned); });
    details.replaceChildren(close);
    details.append(element("h3", from.name + " → " + (connection.from === connection.to ? "each other" : to.name)));
    if (connection.ports !== "none") details.append(chips(connection.ports, true));
    if (connection.unknown !== "none") {
      details.append(element("h4", "perhaps, the files do not tell"), chips(connection.unknown, false));
    }
    const columns = element("div", undefined, "columns");
    const outside = "not a pod: no policy applies at this end";
    columns.append(end("allowed at the sender by", connection.egress_rules, from.isolated_egress, outside));
    columns.append(end("allowed at the receiver by", connection.ingress_rules, to.isolated_ingress, outside));
    for (const [title, side] of [["sender", from], ["receiver", to]]) {
      if (side.members.length < 2 && side.kind === "workloads") continue;
      const box = element("div");
      box.append(element("h4", title + (side.kind === "workloads" ? ": " + side.members.length + " workloads" : "")));
      box.append(side.members.length ? listed(side.members, 6) : element("div", side.name));
      columns.append(box);
    }
    details.append(columns);
    details.hidden = false;
    mark(index);
  }
  function mark(index) {
    all(".picked").forEach((item) => item.classList.remove("picked"));
    all("th.on").forEach((item) => item.classList.remove("on"));
    if (index === null) return;
    all('[data-c="' + index + '"]').forEach((item) => item.classList.add("picked"));
    const connection = data.connections[index];
    const heads = 'tbody th[data-n="' + connection.from + '"], thead th[data-n="' + connection.to + '"]';
    all(heads).forEach((item) => item.classList.add("on"));
  }
  function rest() {
    if (pinned !== null) { tell(pinned); return; }
    details.hidden = true;
    mark(null);
  }
  function pin(index) {
    pinned = pinned === index ? null : index;
    details.classList.toggle("pinned", pinned !== null);
    if (pinned === null) rest(); else tell(index);
  }
  for (const item of all("[data-c]")) {
    const index = Number(item.dataset.c);
    item.removeAttribute("title");
    item.addEventListener("mouseenter", () => tell(index));
    item.addEventListener("mouseleave", rest);
    item.addEventListener("focus", () => tell(index));
    item.addEventListener("click", () => pin(index));
  }

  // A node of the graph shows its own connections alone.
  for (const item of all(".graph .node")) {
    const index = Number(item.dataset.n);
    const own = (connection) => (item.dataset.side === "from" ? connection.from : connection.to) === index;
    item.addEventListener("mouseenter", () => fade((at) => own(data.connections[at])));
    item.addEventListener("mouseleave", filter);
    item.addEventListener("click", () => { search.value = node(index).name; filter(); });
  }
  function fade(keeps) {
    const from = new Set(), to = new Set();
    all(".graph .edge").forEach((edge) => {
      const at = Number(edge.dataset.c), kept = keeps(at);
      edge.classList.toggle("faded", !kept);
      if (kept) { from.add(data.connections[at].from); to.add(data.connections[at].to); }
    });
    all(".graph .node").forEach((item) => {
      const kept = (item.dataset.side === "from" ? from : to).has(Number(item.dataset.n));
      item.classList.toggle("faded", !kept);
    });
  }

  // Search: every word must occur somewhere in what is said of a connection.
  const words = data.connections.map((connection) => {
    const ends = [node(connection.from), node(connection.to)];
    const said = ends.flatMap((side) => [side.name, ...side.members]);
    const ports = (connection.ports + " " + connection.unknown).replace(/,/g, " ");
    const label = connection.unknown === "none" ? "" : "perhaps unknown";
    return [...said, ports, label, ...connection.egress_rules.map(ruleText), ...connection.ingress_rules.map(ruleText)].join("\n").toLowerCase();
  });
  const empty = element("p", "Nothing that is allowed matches.");
  empty.id = "nothing";
  empty.hidden = true;
  document.querySelector("main").append(empty);
  function filter() {
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = words.map((text) => asked.every((word) => text.includes(word)));
    const from = new Set(), to = new Set();
    data.connections.forEach((connection, at) => {
      if (fits[at]) { from.add(connection.from); to.add(connection.to); }
    });
    all(".list li[data-c]").forEach((item) => { item.hidden = !fits[Number(item.dataset.c)]; });
    all(".matrix td[data-c]").forEach((cell) => cell.classList.toggle("faded", !fits[Number(cell.dataset.c)]));
    all(".matrix tbody tr").forEach((row) => { row.hidden = !from.has(Number(row.cells[0].dataset.n)); });
    const columns = all(".matrix thead th[data-n]").map((head) => to.has(Number(head.dataset.n)));
    all(".matrix tr").forEach((row) => columns.forEach((kept, at) => { row.cells[at + 1].hidden = !kept; }));
    fade((at) => fits[at]);
    empty.hidden = !asked.length || fits.includes(true);
    reachable();
  }
  search.addEventListener("input", filter);

  // Keyboard: one stop for the whole matrix and the whole list, arrows inside.
  function reachable() {
    for (const scope of [".matrix td[data-c]", ".list li[data-c]"]) {
      const items = all(scope);
      items.forEach((item) => { item.tabIndex = -1; });
      const first = items.find((item) => !item.hidden && !item.closest("[hidden]"));
      if (first) first.tabIndex = 0;
    }
  }
  function step(item, key) {
    if (item.matches("li")) {
      const direction = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[key];
      let next = direction && item[direction];
      while (next && next.hidden) next = next[direction];
      return next;
    }
    const row = item.parentElement, cells = Array.from(row.cells), at = cells.indexOf(item);
    const usable = (cell) => cell && cell.dataset.c !== undefined && !cell.hidden && !cell.parentElement.hidden;
    if (key === "ArrowRight") return cells.slice(at + 1).find(usable);
    if (key === "ArrowLeft") return cells.slice(1, at).reverse().find(usable);
    const rows = Array.from(row.parentElement.rows), own = rows.indexOf(row);
    if (key === "ArrowDown") return rows.slice(own + 1).map((other) => other.cells[at]).find(usable);
    if (key === "ArrowUp") return rows.slice(0, own).reverse().map((other) => other.cells[at]).find(usable);
    return null;
  }
  document.addEventListener("keydown", (event) => {
    const typing = event.target === search;
    if (event.key === "/" && !typing) { event.preventDefault(); search.focus(); search.select(); return; }
    if (event.key === "Escape") {
      if (pinned !== null) { pin(pinned); return; }
      if (search.value) { search.value = ""; filter(); }
      if (typing) search.blur();
      return;
    }
    const item = event.target.closest && event.target.closest("td[data-c], li[data-c]");
    if (!item) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pin(Number(item.dataset.c)); return; }
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    const next = step(item, event.key);
    if (next) { item.tabIndex = -1; next.tabIndex = 0; next.focus(); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  });

  const wanted = location.hash.replace("#view-", "");
  const narrow = matchMedia("(max-width: 760px)").matches;
  show(views.includes(wanted) ? wanted : narrow ? "list" : "matrix");
  filter();
})();
