/** The progress of a running training. */

import { h } from "../element.js";
import { counted } from "../format.js";

/**
 * The server's report.
 * @typedef {object} Live
 * @property {"preparing" | "training" | "evaluating" | "opening" | "done" | "stopped" | "failed"} state
 * @property {string} message
 * @property {number} [step]
 * @property {number} [steps]
 * @property {number} [epoch]
 * @property {number} [epochs]
 * @property {number} [images_per_second]
 * @property {number} [seconds_left]
 */

/**
 * The progress of a training.
 * @param {Required<Live>} live
 */
export function pace({ step, steps, images_per_second, seconds_left }) {
  const bar = h("progress", { max: String(steps), value: String(step), "aria-label": "Steps done" });
  const speed = `${counted(Math.round(images_per_second))} images/s`;
  const left = `${duration(seconds_left)} left`;
  return [bar, h("p", { class: "note" }, `step ${counted(step)} of ${counted(steps)} · ${speed} · ${left}`)];
}

/** @param {number} seconds */
function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor((whole % 3600) / 60))} h`;
}
