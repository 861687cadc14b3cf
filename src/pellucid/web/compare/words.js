/** What the comparison says in sentences. */

import { counted, size } from "../format.js";
import { apartOf, nameOf, partsAt } from "./pair.js";

/** @typedef {import("./pair.js").Comparison} Comparison */
/** @typedef {import("./pair.js").Layer} Layer */
/** @typedef {import("../store.js").Direction} Direction */

/**
 * Where they part, and what comes before it.
 * @param {Comparison} comparison
 * @param {Direction} direction
 */
export function verdict(comparison, direction) {
  const { layers } = comparison;
  const at = partsAt(comparison, direction);
  const numbers = direction === "backward" ? "gradients" : "numbers";
  if (at === null) return `No ${numbers} of a layer that both have differ beyond rounding.${alone(layers)}`;
  const apart = apartOf(layers[at], direction);
  const before = direction === "backward" ? layers.slice(at + 1) : layers.slice(0, at);
  const order = direction === "backward" ? "From the loss backward, " : "";
  const name = nameOf(layers[at]);
  const what = apart
    ? `${counted(apart.different)} of ${counted(apart.count)} ${numbers} of ${name} differ.`
    : `${order ? "the" : "The"} layer ${name} is ${size(layers[at].shapes[0])} in A and ${size(layers[at].shapes[1])} in B.`;
  return `${order}${what}${alone(before)}`;
}

/**
 * The layers that only one model has.
 * @param {Layer[]} layers
 */
function alone(layers) {
  const of = (/** @type {Layer[]} */ all, /** @type {string} */ model) =>
    all.length ? ` Only ${model} has ${all.map(nameOf).join(", ")}.` : "";
  const [one, other] = [layers.filter(({ second }) => second === null), layers.filter(({ first }) => first === null)];
  return of(one, "A") + of(other, "B");
}

/**
 * The state of a layer in one or two words.
 * @param {Layer} layer
 * @param {Direction} direction
 * @param {boolean} first whether they part first here
 */
export function stateOf(layer, direction, first) {
  if (layer.first === null) return "only in B";
  if (layer.second === null) return "only in A";
  const apart = apartOf(layer, direction);
  if (first) return "they part first";
  if (!apart)
    return direction === "backward" && String(layer.shapes[0]) === String(layer.shapes[1])
      ? "no gradient"
      : "other size";
  return apart.parted ? "apart" : apart.different ? "rounding" : "equal";
}
