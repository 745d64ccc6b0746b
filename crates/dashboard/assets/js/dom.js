// Elements in one call. Styles go through the object model: the page's policy allows no style in markup.

/** Makes an element: `h("p", { class: "x", onclick }, "text", child)`. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A table: `columns` are `{ title, class, cell(row), head }`; the column with `head` names the row. */
export function table(caption, columns, rows) {
  const title = (column) => h("th", { scope: "col", class: column.class, "aria-sort": column.sorted }, column.button ?? column.title);
  const cell = (row) => (column) =>
    h(column.head ? "th" : "td", { scope: column.head ? "row" : null, class: [column.class, column.mark?.(row)].filter(Boolean).join(" ") || null }, column.cell(row));
  return h("table", { class: "list" },
    h("caption", { class: "sr" }, caption),
    h("thead", {}, h("tr", {}, columns.map(title))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(cell(row))))));
}

/** A frame that scrolls sideways, by keyboard as well. */
export function scroll(label, ...children) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, children);
}
