/** Logits -> probabilities and predicted classes, as in network/scores.py. */

/** @typedef {import("./about.js").About} About */

/**
 * @param {number[]} logits
 * @param {About} about
 * @returns {number[]}
 */
export function probabilities(logits, { temperature, thresholds }) {
  const scaled = logits.map((logit) => logit / temperature);
  if (thresholds) return scaled.map((x) => 1 / (1 + Math.exp(-x)));
  const most = Math.max(...scaled);
  const powers = scaled.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

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
