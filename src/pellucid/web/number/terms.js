/** The terms of a sum, line by line: factor × factor = product, and the running sum. Long lists have pages. */

import { h, choice } from "../element.js";
import { decimals, exact as allDigits, fixed, leftOut, number } from "../format.js";
import { link, signed } from "./formula.js";
import { written } from "../arithmetic/expression.js";
import { placeOf } from "./follow.js";
import { classOf } from "../labels.js";
import { pager } from "../pager.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */

const PAGE = 40;

/**
 * @param {NumberContext} context
 * @param {Part} part
 * @param {object} about
 * @param {number[]} about.rows the terms, in their order of addition
 * @param {number} [about.carry] the sum before them
 * @param {"order" | "size"} about.usual the order by default
 */
export function terms(context, part, { rows, carry = 0, usual }) {
  const { state, change } = context;
  const { page, exact } = state;
  const sorted = state.sorted || usual;
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
  const lines = shown.map((row, at) => line(context, part, row, { text, running: running[at] }));
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
      h("p", { class: "carry" }, `The hidden digits add ${fixed(rest, places)}. Press E to show all digits.`),
    pages > 1 && pager({ page: shownPage, pages, count: order.length, change }),
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

/**
 * @param {NumberContext} context
 * @param {Part} part
 * @param {number} row
 * @param {{text: (value: number) => string, running: number}} about the format of a number, and the sum so far
 */
function line(context, part, row, { text, running }) {
  const { exact } = context.state;
  const { columns, values, pick, winner, formula } = part.terms;
  const factors = columns.flatMap((column, at) => [
    at > 0 && h("span", { class: "times" }, " · "),
    link(context, part, column, row),
    labelOf(context, part, column, row),
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
 * The class of a factor, if it has one.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {import("./follow.js").Column} column
 * @param {number} row
 */
function labelOf({ trace }, part, column, row) {
  const index = placeOf(part, column, row);
  const label = index.length === 1 ? classOf(trace, part.named(column.name), index) : "";
  return label && ` ${label}`;
}
