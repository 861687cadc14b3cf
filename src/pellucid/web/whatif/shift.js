/** The classes before and after: a bar for the new probability, a mark for the old one, and the shift in points. */

import { h } from "../element.js";
import { number, percent } from "../format.js";

const SHOWN = 4;

/**
 * @param {string[]} classes
 * @param {(number | null)[]} before probabilities
 * @param {(number | null)[]} after
 * @param {number} [shown] how many classes to show, the most probable before or after
 */
export function shifts(classes, before, after, shown = SHOWN) {
  const weight = (/** @type {number} */ at) => Math.max(before[at] ?? 0, after[at] ?? 0);
  const order = classes.map((_, at) => at).sort((a, b) => weight(b) - weight(a));
  const best = after.indexOf(Math.max(...after.map((each) => each ?? 0)));
  const rows = order.slice(0, shown).map((at) => row(classes[at], before[at] ?? 0, after[at] ?? 0, at === best));
  return h("ol", { class: "shifts", "aria-label": "The classes, before and after" }, ...rows);
}

/**
 * @param {string} name
 * @param {number} before
 * @param {number} after
 * @param {boolean} best
 */
function row(name, before, after, best) {
  const [was, is] = [before, after].map(percent);
  const by = 100 * (after - before);
  const track = h(
    "span",
    { class: "moved", "aria-hidden": "true" },
    h("i", { class: "is", style: { width: `${100 * after}%` } }),
    h("i", { class: "was", style: { left: `${100 * before}%` } }),
  );
  return h(
    "li",
    { class: best ? "best" : "" },
    h("span", { class: "label" }, name),
    track,
    h("span", { class: "figures" }, `${was} → `, h("b", {}, is)),
    h("span", { class: "by" }, points(by)),
  );
}

/** @param {number} by in hundredths */
export function points(by) {
  if (Math.abs(by) < 1e-3) return "the same";
  const size = Math.abs(by) >= 1 ? Math.abs(by).toFixed(1) : number(Math.abs(by), false, 2);
  return `${by > 0 ? "+" : "−"}${size} points`;
}
