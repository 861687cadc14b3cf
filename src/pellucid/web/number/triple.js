/** The term under the mouse, the focus or the finger, written out: factors, and their product. */

import { h } from "../element.js";
import { number } from "../format.js";
import { factors, written } from "../arithmetic/expression.js";
import { link, signed } from "./formula.js";
import { morph } from "./morph.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */

/**
 * "−0.036891 × −0.3999 = 0.01475272", with links to the factors.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {number} row
 */
export function triple(context, part, row) {
  const names = part.terms.columns.flatMap((column, at) => [at > 0 && " · ", link(context, part, column, row)]);
  return h(
    "p",
    { class: "triple", "aria-live": "polite", "aria-atomic": "true", "data-term": row },
    h("span", { class: "equality" }, equality(part, row, context.state.exact)),
    " ",
    h("span", { class: "names" }, ...names),
  );
}

/**
 * A term in numbers.
 * @param {Part} part
 * @param {number} row
 * @param {boolean} exact
 */
function equality({ terms: { formula, columns, values } }, row, exact) {
  const byName = new Map(columns.map((column) => [column.name, column.values[row]]));
  const text = (/** @type {number} */ value) => number(value, exact);
  const product = factors(formula);
  const left = product
    ? product.map((factor) => text(typeof factor === "number" ? factor : (byName.get(factor) ?? NaN))).join(" × ")
    : written(formula, (name) => signed(byName.get(name) ?? NaN, exact), text).replaceAll(" * ", " × ");
  return `${left} = ${text(values[row])}`;
}

/**
 * Handlers for an element around cells of terms: the pointed term is marked in each grid and written out.
 * @param {(row: number) => HTMLElement} write
 */
export function pointing(write) {
  const point = (/** @type {Event} */ { target, currentTarget }) => {
    const term = /** @type {Element} */ (target).closest("td")?.dataset.term;
    const around = /** @type {HTMLElement} */ (currentTarget);
    const said = around.querySelector(".triple");
    if (term === undefined || said?.getAttribute("data-term") === term) return;
    mark(around, Number(term));
    if (said) morph(said, write(Number(term))); // a live region speaks only while it stays on the page
  };
  return {
    focusin: point,
    click: point,
    pointerover: (/** @type {PointerEvent} */ event) => event.pointerType !== "touch" && point(event),
  };
}

/**
 * @param {HTMLElement} around
 * @param {number} term
 */
export function mark(around, term) {
  for (const cell of around.querySelectorAll("td[data-term]"))
    cell.classList.toggle("at", /** @type {HTMLElement} */ (cell).dataset.term === String(term));
}

/**
 * The term that the reader is pointing at while the numbers change, if it is among these; else the largest.
 * @param {Part} part
 * @param {number[]} rows
 */
export function pointed({ terms: { values } }, rows) {
  const cell = /** @type {HTMLElement | null} */ (document.querySelector(".equation td:is(:hover, :focus)[data-term]"));
  const term = Number(cell?.dataset.term ?? -1);
  if (rows.includes(term)) return term;
  const size = (/** @type {number} */ row) => (Number.isFinite(values[row]) ? Math.abs(values[row]) : -1);
  return rows.reduce((best, row) => (size(row) > size(best) ? row : best), rows[0]);
}
