/** Grids on one line, window × weights = products and their sum, and the pointed term written out below. */

import { h } from "../element.js";
import { missing } from "./adding.js";
import { fit } from "./fit.js";
import { sheetsIn } from "./grid.js";
import { mark, pointed, pointing, triple } from "./triple.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */

const GLYPH = 9.3; // CSS pixels of a digit of the sum
const LEAST = 96; // what the sum and its note need

/**
 * @param {NumberContext} context
 * @param {Part} part
 * @param {number[]} rows its terms
 * @param {HTMLElement[]} grids with their operators
 * @param {string} total the sum of the terms as it is shown elsewhere; "" if they are not added
 */
export function equation(context, part, rows, grids, total) {
  const write = (/** @type {number} */ row) => triple(context, part, row);
  const line = onOneLine(context, grids, total ? Math.max(LEAST, 28 + GLYPH * total.length) : 0);
  const at = pointed(part, rows);
  const underneath = h("div", { class: "underneath" }, write(at));
  if (total) {
    const texts = sheetsIn(line.grids).at(-1)?.texts() ?? [];
    const sum = sigma(total, line.fit.font ? missing(texts, total) : "");
    if (line.fit.beside) line.grids.append(sum);
    else underneath.append(sum);
    line.grids.classList.add("cropped"); // the window without its surroundings
  }
  const whole = h("div", { class: "equation", on: pointing(write) }, line.grids, underneath);
  mark(whole, at);
  return whole;
}

/**
 * Grids and operators on one line, with the digits for which there is room.
 * @param {NumberContext} context
 * @param {HTMLElement[]} grids
 * @param {number} [sum] the width of what may stand beside them, in CSS pixels
 */
export function onOneLine({ width, state }, grids, sum = 0) {
  const line = h("div", { class: "row line" }, ...grids);
  return { grids: line, fit: fit(line, { width, exact: state.exact, sum }) };
}

/**
 * @param {string} total
 * @param {string} rest what the hidden digits of the products add
 */
function sigma(total, rest) {
  return h(
    "p",
    { class: "sigma" },
    h("span", { class: "sign", "aria-hidden": "true" }, "Σ"),
    h("span", { class: "hidden" }, "sum of the products: "),
    h("b", {}, total),
    rest && h("small", {}, "hidden digits ", h("span", {}, rest)),
  );
}
