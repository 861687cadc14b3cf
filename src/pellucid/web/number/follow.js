/** From a number to one of its terms: the place of that number, and whether the reader can go there. */

import { GRADIENT } from "../arithmetic/declaration.js";

/** @typedef {import("../arithmetic/evaluator.js").Column} Column */
/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {{name: string, index: number[], direction: PageState["direction"]}} Target */
/**
 * The additional context of a number's drawings.
 * @typedef {object} Ways
 * @property {(target: Target) => void} follow goes to another number
 * @property {(to: Partial<PageState>) => void} change changes the display of the same number
 * @property {number} room the columns of numbers that fit
 */
/** @typedef {import("../context.js").StageContext & Ways} NumberContext */

/**
 * The place of a term's factor, in the user's notation.
 * @param {Part} part
 * @param {Column} column
 * @param {number} row
 */
export function placeOf(part, column, row) {
  return column.indices.slice(part.lead(column.name)).map((axis) => axis[row]);
}

/**
 * The number behind a factor, if it can be followed.
 * @param {Trace} trace
 * @param {Part} part
 * @param {string} name
 * @param {number[]} index
 * @returns {Target | null}
 */
export function targetOf(trace, { updated }, name, index) {
  if (updated) {
    const { changed, ...weight } = updated;
    if (name === "weight") return { ...weight, direction: "forward" };
    return name === "gradient" && !changed ? { ...weight, direction: "backward" } : null;
  }
  return numberCalled(trace, name, index);
}

/**
 * The number of an array, or of its gradient, if the trace has it.
 * @param {Trace} trace
 * @param {string} name "conv1", or "gradient of conv1"
 * @param {number[]} index
 * @returns {Target | null}
 */
export function numberCalled(trace, name, index) {
  const plain = name.replace(GRADIENT, "");
  return trace.known(plain) ? { name: plain, index, direction: name === plain ? "forward" : "backward" } : null;
}
