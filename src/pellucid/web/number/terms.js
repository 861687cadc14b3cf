/** The terms of a sum as lines that are added: factor × factor = product, and the running sum. Long lists in pages. */

import { h, choice } from "../element.js";
import { counted, decimals, exact as allDigits, fixed, leftOut, number } from "../format.js";
import { link, signed } from "./formula.js";
import { written } from "../arithmetic/expression.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../run.js").Run} Run */
/** @typedef {import("./formula.js").Follow} Follow */

const PAGE = 40;

/**
 * @param {object} about
 * @param {Run} about.run
 * @param {Part} about.part
 * @param {number[]} about.rows which terms, in the order in which they are added
 * @param {number} about.carry what was added before them
 * @param {string} about.sorted
 * @param {number} about.page
 * @param {boolean} about.exact
 * @param {Follow} about.follow
 * @param {(change: any) => void} about.change
 * @param {(name: string, index: number[]) => string} about.labelled a word for a place, such as its class
 */
export function terms({ run, part, rows, carry, sorted, page, exact, follow, change, labelled }) {
  const { values, pick } = part.terms;
  const order = sorted === "size" ? [...rows].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a])) : rows;
  const pages = Math.max(1, Math.ceil(order.length / PAGE));
  const shownPage = Math.min(page, pages - 1);
  const shown = order.slice(shownPage * PAGE, (shownPage + 1) * PAGE);
  const before = order.slice(0, shownPage * PAGE).reduce((sum, row) => sum + values[row], carry);
  const running = shown.map(
    (
      (sum) => (row) =>
        (sum += values[row])
    )(before),
  );
  const places = decimals([...shown.map((row) => values[row]), ...(pick === "sum" ? running : [])]);
  const text = (/** @type {number} */ value) => (exact ? allDigits(value) : fixed(value, places));
  const lines = shown.map((row, at) => line({ run, part, row, text, running: running[at], exact, follow, labelled }));
  const after = running[running.length - 1] ?? before;
  const rest = exact ? 0 : leftOut([before, ...shown.map((row) => values[row])], after, places);
  return h(
    "div",
    { class: "terms" },
    rows.length > 12
      ? choice(
          "order of the terms",
          [
            ["order", "in order"],
            ["size", "largest first"],
          ],
          sorted,
          (value) => change({ sorted: value, page: 0 }),
        )
      : null,
    pick === "sum" && before !== 0 && h("p", { class: "carry" }, `Added before: ${text(before)}`),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "terms" },
      h(
        "table",
        { class: pick },
        h("caption", { class: "hidden" }, pick === "max" ? "candidates" : "terms"),
        header(part),
        h("tbody", {}, ...lines),
      ),
    ),
    pick === "sum" &&
      rest !== 0 &&
      h("p", { class: "carry" }, `The digits that are not shown add ${fixed(rest, places)}. E shows every digit.`),
    pages > 1 && pager(shownPage, pages, order.length, change),
  );
}

/** @param {Part} part */
function header({ terms: { pick, columns } }) {
  const last = pick === "max" ? [] : [h("th", { scope: "col" }, "term"), h("th", { scope: "col" }, "sum so far")];
  return h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("th", { scope: "col" }, columns.length > 1 ? "factors" : "number"),
      h("th", { scope: "col" }, pick === "max" ? "candidate" : "in numbers"),
      ...last,
    ),
  );
}

/** @param {any} about */
function line({ run, part, row, text, running, exact, follow, labelled }) {
  const { columns, values, pick, winner, formula } = /** @type {Part["terms"]} */ (part.terms);
  const factors = columns.flatMap((column, at) => [
    at > 0 && h("span", { class: "times" }, " · "),
    link(run, part, column, row, follow),
    labelled(
      part.named(column.name),
      column.indices.slice(part.lead(column.name)).map((axis) => axis[row]),
    ),
  ]);
  const byName = new Map(columns.map((column) => [column.name, column.values[row]]));
  const numbers = written(
    formula,
    (name) => signed(byName.get(name) ?? NaN, exact),
    (value) => number(value, exact),
  );
  if (pick === "max") {
    const candidate = Number.isFinite(values[row]) ? text(values[row]) : "no candidate";
    return h(
      "tr",
      { class: row === winner ? "winner" : "" },
      h("td", {}, factors),
      h("td", {}, candidate, row === winner && h("b", {}, " the largest")),
    );
  }
  return h(
    "tr",
    { class: values[row] === 0 ? "zero" : "" },
    h("td", {}, factors),
    h("td", {}, numbers.replaceAll(" * ", " × ")),
    h("td", {}, h("b", {}, text(values[row]))),
    h("td", {}, text(running)),
  );
}

/**
 * @param {number} page
 * @param {number} pages
 * @param {number} count
 * @param {(change: any) => void} change
 */
export function pager(page, pages, count, change) {
  const to = (/** @type {number} */ next, /** @type {string} */ text, /** @type {boolean} */ off) =>
    h(
      "button",
      { type: "button", key: `page/${text}`, disabled: off, on: { click: () => change({ page: next }) } },
      text,
    );
  return h(
    "p",
    { class: "pager" },
    to(page - 1, "before", page === 0),
    h("span", {}, `${page + 1} of ${counted(pages)} pages, ${counted(count)} in all`),
    to(page + 1, "after", page === pages - 1),
  );
}
