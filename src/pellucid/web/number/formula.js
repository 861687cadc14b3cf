/** A formula with names that can be followed, and the same with numbers. */

import { written } from "../arithmetic/expression.js";
import { h } from "../element.js";
import { number, unit } from "../format.js";
import { GRADIENT } from "../arithmetic/recipe.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/recipe.js").Column} Column */
/** @typedef {import("../run.js").Run} Run */
/** @typedef {import("../store.js").State} State */
/** @typedef {(target: {name: string, index: number[], direction: State["direction"]}) => void} Follow */

const MARK = "\u0001";

/**
 * Where a term's factor stands, as people write it.
 * @param {Part} part
 * @param {Column} column
 * @param {number} row
 */
export function place(part, column, row) {
  return column.indices.slice(part.lead(column.name)).map((axis) => axis[row]);
}

/**
 * A link to a factor: the number that it is. Text where it is a setting or lies between.
 * @param {Run} run
 * @param {Part} part
 * @param {Column} column
 * @param {number} row
 * @param {Follow} follow
 * @param {string} [text]
 */
export function link(run, part, column, row, follow, text) {
  const name = part.named(column.name);
  const index = place(part, column, row);
  const shown = text ?? unit(readable(name), index);
  if (!column.inside[row]) return h("span", { class: "factor outside" }, `${shown} (padding)`);
  const target = targetOf(run, part, name, index);
  if (!target) return h("span", { class: "factor" }, shown);
  return h(
    "button",
    {
      type: "button",
      class: "factor",
      title: `${unit(name, index)}: show how it came about`,
      on: { click: () => follow(target) },
    },
    shown,
  );
}

/**
 * A module in a sequence is called "0", which in a formula is a number.
 * @param {string} name
 */
function readable(name) {
  return name.replace(/^(gradient of )?([\d.]+(@\d+)?)$/, "$1layer $2");
}

/**
 * The number that a factor is, if it is one that can be followed.
 * @param {Run} run
 * @param {Part} part
 * @param {string} name
 * @param {number[]} index
 * @returns {Parameters<Follow>[0] | null}
 */
function targetOf(run, { updated }, name, index) {
  if (updated) {
    const { changed, ...weight } = updated;
    if (name === "weight") return { ...weight, direction: "forward" };
    return name === "gradient" && !changed ? { ...weight, direction: "backward" } : null;
  }
  const plain = name.replace(GRADIENT, "");
  return run.known(plain) ? { name: plain, index, direction: name === plain ? "forward" : "backward" } : null;
}

/**
 * A term in names, with links, and in numbers: two lines.
 * @param {Run} run
 * @param {Part} part
 * @param {number} row
 * @param {boolean} exact
 * @param {Follow} follow
 */
export function formula(run, part, row, exact, follow) {
  const { columns, formula: tree, values } = part.terms;
  const byName = new Map(columns.map((column) => [column.name, column]));
  const constant = (/** @type {number} */ value) => number(value, exact);
  const text = written(tree, (name) => `${MARK}${name}${MARK}`, constant);
  const names = text.split(MARK).map((piece, at) => {
    const column = at % 2 ? byName.get(piece) : undefined;
    return column ? link(run, part, column, row, follow) : piece.replaceAll(" * ", " × ");
  });
  const numbers = written(tree, (name) => signed(byName.get(name)?.values[row] ?? NaN, exact), constant);
  return h(
    "div",
    { class: "formula-lines" },
    h("code", { class: "names" }, ...names),
    h("code", {}, `= ${numbers.replaceAll(" * ", " × ")}`),
    h("code", { class: "strong" }, `= ${number(values[row], exact)}`),
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
