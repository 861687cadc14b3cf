/** A weight's life as data: where it comes from, on a server or in a file. */

import { stored } from "./stored.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("./data.js").Life} Life */
/** @typedef {{state: "done"} & Life | import("../job.js").Progress} Answer */

/**
 * @param {Pick<Context, "trace" | "served">} context
 * @param {string} place
 * @returns {Promise<Answer | null>} null if this file does not have it
 */
export async function lifeOf({ trace, served }, place) {
  if (!served) {
    const life = trace.lives && (await stored(trace.lives(), place));
    return life && { state: "done", ...life };
  }
  return (await served.ask(`api/life?${named(place)}`)).json();
}

/** @param {string} place */
export function named(place) {
  return `weight=${encodeURIComponent(place)}`;
}

/**
 * The values as float32, which the texts of JSON read back to.
 * @param {Life} life
 * @param {number} step
 */
export function stepOf({ values, gradients, rates }, step) {
  const [before, after] = [Math.fround(values[step - 1]), Math.fround(values[step])];
  return { step, before, after, gradient: Math.fround(gradients[step - 1]), rate: rates[step - 1] };
}
