/** Two models on one picture: both traces, and the comparison of their layers that Python computed. */

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {{id: string, title: string}} Choice */
/**
 * The numbers of an array that differ most; null stands for a number that is not finite.
 * @typedef {object} Apart
 * @property {number[]} index
 * @property {number | null} first
 * @property {number | null} second
 * @property {number | null} difference the second minus the first
 * @property {number} largest the largest magnitude in either array
 * @property {number} different how many numbers differ
 * @property {number} count
 * @property {boolean} parted whether they differ beyond rounding
 */
/**
 * @typedef {object} Layer
 * @property {string | null} first its name in the first model; null if only the second has it
 * @property {string | null} second
 * @property {string[]} kinds
 * @property {number[][]} shapes
 * @property {Apart | null} value null if the shapes differ
 * @property {Apart | null} gradient
 * @property {(Apart & {names: [string, string]})[]} weights those that differ, by their names in both models
 * @property {boolean} parted
 */
/**
 * @typedef {object} Comparison as debugging/parting.py describes it
 * @property {string} first the name of the first model
 * @property {string} second
 * @property {number} tolerance share of a layer's largest number
 * @property {number | null} parts the first layer where they part
 * @property {number | null} parts_backward the same for the gradients, from the loss backward
 * @property {Layer[]} layers
 * @property {string[]} notes
 * @property {boolean} [turned] whether the page's own model is the second of the two
 */
/**
 * @typedef {object} Pair
 * @property {Trace} first
 * @property {Trace} second
 * @property {Comparison} comparison
 */

/** @type {WeakMap<Trace, Map<string, Promise<Pair>>>} */
const known = new WeakMap();

/**
 * Both runs. They are fetched once for a run of the page's own model.
 * @param {Trace} trace
 * @param {string} id
 * @returns {Promise<Pair>}
 */
export function pairOf(trace, id) {
  const pairs = known.get(trace) ?? new Map();
  known.set(trace, pairs);
  /** @type {Promise<Pair>} */
  const pair = pairs.get(id) ?? fetched(trace, id);
  pairs.set(id, pair);
  pair.catch(() => pairs.delete(id));
  return pair;
}

/**
 * @param {Trace} trace
 * @param {string} id
 * @returns {Promise<Pair>}
 */
async function fetched(trace, id) {
  const other = await trace.beside(id);
  const { comparison } = other.about;
  return comparison.turned ? { first: other, second: trace, comparison } : { first: trace, second: other, comparison };
}

/**
 * How far apart a layer's numbers, or its gradients, are.
 * @param {Layer} layer
 * @param {import("../store.js").Direction} direction
 */
export function apartOf(layer, direction) {
  return direction === "backward" ? layer.gradient : layer.value;
}

/**
 * The layer where they part first, by its position; null if they agree.
 * @param {Comparison} comparison
 * @param {import("../store.js").Direction} direction
 */
export function partsAt({ parts, parts_backward: back }, direction) {
  return direction === "backward" ? back : parts;
}

/** @param {Layer} layer */
export function nameOf({ first, second }) {
  if (first === null) return second ?? "";
  return second === null || second === first ? first : `${first} | ${second}`;
}
