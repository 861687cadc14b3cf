/** A formula with links on its names, and the same with numbers. */

import { compares, written } from "../arithmetic/expression.js";
import { h } from "../element.js";
import { number, unit } from "../format.js";
import { placeOf, targetOf } from "./follow.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").Column} Column */
/** @typedef {import("./follow.js").NumberContext} NumberContext */

/** For a formula such as gradient × (4.099 > 0). */
export const COMPARISON = "A comparison counts as 1 if it is true, and as 0 if it is not.";
const MARK = "\u0001";

/**
 * A link to the number behind a factor; plain text for a setting or an intermediate number.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Column} column
 * @param {number} row
 */
export function link({ trace, follow }, part, column, row) {
  const name = part.named(column.name);
  const index = placeOf(part, column, row);
  const shown = unit(readable(name), index);
  if (!column.inside[row]) return h("span", { class: "factor outside" }, `${shown} (padding)`);
  const target = targetOf(trace, part, name, index);
  if (!target) return h("span", { class: "factor" }, shown);
  return h(
    "button",
    {
      type: "button",
      class: "factor",
      title: `${unit(name, index)}: show how it was computed`,
      on: { click: () => follow(target) },
    },
    shown,
  );
}

/**
 * A module in a sequence may be called "0", which would look like a number in a formula.
 * @param {string} name
 */
function readable(name) {
  return name.replace(/^(gradient of )?([\d.]+(@\d+)?)$/, "$1layer $2");
}

/**
 * A term in names, with links, and in numbers: two lines.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {number} row
 */
export function formula(context, part, row) {
  const { exact } = context.state;
  const { columns, formula: tree, values } = part.terms;
  const byName = new Map(columns.map((column) => [column.name, column]));
  const constant = (/** @type {number} */ value) => number(value, exact);
  const text = written(tree, (name) => `${MARK}${name}${MARK}`, constant);
  const names = text.split(MARK).map((piece, at) => {
    const column = at % 2 ? byName.get(piece) : undefined;
    return column ? link(context, part, column, row) : piece.replaceAll(" * ", " × ");
  });
  const numbers = written(tree, (name) => signed(byName.get(name)?.values[row] ?? NaN, exact), constant);
  return h(
    "div",
    { class: "formula-lines" },
    h("code", { class: "names" }, ...names),
    h("code", {}, `= ${numbers.replaceAll(" * ", " × ")}`),
    h("code", { class: "strong" }, `= ${number(values[row], exact)}`),
    compares(tree) && h("span", { class: "note" }, COMPARISON),
  );
}

/**
 * @param {number} value
 * @param {boolean} exact
 */
export function signed(value, exact) {
  const text = number(value, exact);
  return value < 0 ? `(${text})` : text;
}
