/** From a number to one that it is made of: where that stands, and whether the reader can go there. */

import { GRADIENT } from "../arithmetic/declaration.js";

/** @typedef {import("../arithmetic/evaluator.js").Column} Column */
/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {{name: string, index: number[], direction: PageState["direction"]}} Target */
/**
 * What the drawings of a number have besides the stage's context.
 * @typedef {object} Ways
 * @property {(target: Target) => void} follow goes to another number
 * @property {(to: Partial<PageState>) => void} change shows the same number in another way
 * @property {number} room how many columns of numbers fit
 */
/** @typedef {import("../context.js").StageContext & Ways} NumberContext */

/**
 * Where a term's factor stands, as people write it.
 * @param {Part} part
 * @param {Column} column
 * @param {number} row
 */
export function placeOf(part, column, row) {
  return column.indices.slice(part.lead(column.name)).map((axis) => axis[row]);
}

/**
 * The number that a factor is, if it is one that can be followed.
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
