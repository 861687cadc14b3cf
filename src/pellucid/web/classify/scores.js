/** Probabilities -> predicted classes, as in network/scores.py. */

/** @typedef {import("./about.js").About} About */

/**
 * The numbers of the classes, the most probable first.
 * @param {number[]} p
 */
export function ordered(p) {
  return p.map((_, at) => at).sort((a, b) => p[b] - p[a]);
}

/**
 * The predicted classes, the most probable first: one, or all that reach their thresholds.
 * @param {number[]} p
 * @param {About} about
 */
export function called(p, { thresholds }) {
  const order = ordered(p);
  return thresholds ? order.filter((at) => p[at] >= thresholds[at]) : order.slice(0, 1);
}
