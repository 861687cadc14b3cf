/** What is said of a filter's way, and of the command that works it out. */

import { counted, number } from "../format.js";

/**
 * @param {import("./data.js").Makers} known
 * @param {import("./data.js").Filter} filter
 * @param {string} name
 */
export function moved({ steps, begins, optimizer, estimate }, { straight, distance }, name) {
  const far = (/** @type {number} */ length) => number(length, false, 3);
  const way = steps
    ? `In ${counted(steps)} steps ${name} went a way of ${far(distance)}, and ended ${far(straight)} from its start: ${begins}.`
    : `${name.charAt(0).toUpperCase()}${name.slice(1)} moved by ${far(straight)} from its start: ${begins}.`;
  const kind = estimate
    ? `With ${optimizer} the pushes are an estimate: they add up to the movement only roughly.`
    : "The pushes of all pictures, with weight decay, add up to the movement.";
  return [way, kind];
}

/**
 * @param {string} model
 * @param {string} layer
 */
export function named(model, layer) {
  const folder = model && !/\s/.test(model) ? model : "MODEL";
  return `This file does not say who made its filters. “pellucid makers ${folder} --layer ${layer}” lists them, and “pellucid open ${folder}” shows them here.`;
}
