/** Right or wrong, where the truth about a picture is known: at its prediction, and among its classes. */

import { h } from "./element.js";
import { verdict } from "./labels.js";

/** @typedef {import("./trace.js").Trace} Trace */

/** @param {boolean} right */
export function sign(right) {
  const kind = right ? "right" : "wrong";
  return h("span", { class: `sign ${kind}`, role: "img", "aria-label": kind }, right ? "✓" : "✗");
}

/**
 * What stands behind the prediction: "✓", or "✗ it is 9"; nothing if the truth is not known.
 * @param {Trace} trace
 * @returns {(Node | string)[]}
 */
export function judged(trace) {
  const { model, several } = trace.about;
  const known = verdict(trace.about, model.classes, several);
  if (!known) return [];
  return known.right ? [" ", sign(true)] : [" ", sign(false), ` ${known.truth}`];
}

/**
 * The same for a screen reader: ", right", or ", wrong: it is 9".
 * @param {Trace} trace
 */
export function told(trace) {
  const { model, several } = trace.about;
  const known = verdict(trace.about, model.classes, several);
  if (!known) return "";
  return known.right ? ", right" : `, wrong: ${known.truth}`;
}

/**
 * The marks of one class in a list: whether it was predicted rightly, and whether it is the truth.
 * @param {Trace} trace
 * @param {number} at the class
 * @returns {HTMLElement[]} none if the truth is not known
 */
export function marks(trace, at) {
  const { called, truth } = /** @type {{called: number[], truth?: number[] | null}} */ (trace.about);
  if (!truth) return [];
  const true_ = truth.includes(at);
  return [...(called.includes(at) ? [sign(true_)] : []), ...(true_ ? [h("span", { class: "truth" }, "truth")] : [])];
}

/**
 * The most probable classes, and the true ones in any case.
 * @param {Trace} trace
 * @param {number} most
 * @returns {{shown: number[], rest: number}}
 */
export function ranked(trace, most) {
  const { probabilities, truth } = /** @type {{probabilities: number[], truth?: number[] | null}} */ (trace.about);
  const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
  const top = order.slice(0, most);
  const missing = order.filter((at) => truth?.includes(at) && !top.includes(at)).slice(0, most - 1);
  const shown = [...top.slice(0, most - missing.length), ...missing];
  return { shown, rest: order.length - shown.length };
}
