/** The map of what mattered: the picture in grey, amber where it spoke for the class, blue where it spoke against it. */

import { h } from "../element.js";
import { LIGHT, LUMA, STRONGEST } from "../signed.js";

/** @typedef {import("./occlusion.js").Heat} Heat */

/**
 * @param {Uint8Array} prepared what the network sees
 * @param {Heat} heat
 * @param {string} name the class
 */
export function heatmap(prepared, { height, width, fall, passes }, name) {
  const canvas = /** @type {HTMLCanvasElement} */ (
    h("canvas", { role: "img", "aria-label": spoken(fall, width, height, name) })
  );
  canvas.width = width;
  canvas.height = height;
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const pixels = surface.createImageData(width, height);
  const channels = prepared.length / fall.length;
  const limit = fall.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let at = 0; at < fall.length; at++) {
    const color = [0, 1, 2].map((channel) => prepared[at * channels + (channels === 3 ? channel : 0)]);
    const grey = LUMA.reduce((sum, share, channel) => sum + share * color[channel], 0);
    const opacity = limit > 0 ? (STRONGEST * Math.abs(fall[at])) / limit : 0;
    const hue = fall[at] > 0 ? LIGHT.above[0] : LIGHT.below[0];
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[4 * at + channel] = Math.round(grey * (1 - opacity) + hue[channel] * opacity);
    }
    pixels.data[4 * at + 3] = 255;
  }
  surface.putImageData(pixels, 0, 0);
  return h(
    "figure",
    { class: "heat" },
    canvas,
    h(
      "figcaption",
      {},
      h(
        "span",
        { class: "legend" },
        h("i", { class: "ramp" }),
        `for ${name}`,
        h("i", { class: "ramp below" }),
        "against",
      ),
      `The network looked ${passes} times, each time with a small window covered. The colour shows how far the score of ` +
        `“${name}” fell. At full colour it fell by ${limit.toPrecision(2)}.`,
    ),
  );
}

/**
 * Where the strongest place is, in words.
 * @param {Float32Array} fall
 * @param {number} width
 * @param {number} height
 * @param {string} name
 */
function spoken(fall, width, height, name) {
  const most = fall.indexOf(Math.max(...fall));
  const row = ["upper", "middle", "lower"][Math.floor((3 * Math.floor(most / width)) / height)];
  const column = ["left", "centre", "right"][Math.floor((3 * (most % width)) / width)];
  return `Map of what mattered. The ${row} ${column} spoke most for ${name}.`;
}
