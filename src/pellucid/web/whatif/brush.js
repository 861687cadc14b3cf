/** A brush on pixels: whole numbers in and out, without a browser's colour management in between. */

import { LUMA } from "../signed.js";

/**
 * @typedef {object} Image
 * @property {Uint8Array} data rows of pixels of channels
 * @property {number} height
 * @property {number} width
 * @property {number} channels
 */
/** @typedef {(at: number, channel: number) => number} Ink a pixel's new value, by its number and channel */

/**
 * A round dab. Its centre is a pixel; a size of 1 is only that pixel.
 * @param {Image} image
 * @param {number} row
 * @param {number} column
 * @param {number} size across, in pixels
 * @param {Ink} ink
 */
export function dab({ data, height, width, channels }, row, column, size, ink) {
  const radius = size / 2;
  const reach = Math.floor(radius);
  for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++) {
    for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x++) {
      if ((y - row) ** 2 + (x - column) ** 2 > Math.max(0.25, radius ** 2 - 0.25)) continue;
      const at = y * width + x;
      for (let channel = 0; channel < channels; channel++) data[at * channels + channel] = ink(at, channel);
    }
  }
}

/**
 * Dabs from one place to another, close enough to form a stroke.
 * @param {Image} image
 * @param {[number, number]} from row, column
 * @param {[number, number]} to
 * @param {number} size
 * @param {Ink} ink
 */
export function stroke(image, from, to, size, ink) {
  const steps = Math.max(1, Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]));
  for (let step = 0; step <= steps; step++) {
    const along = (/** @type {0 | 1} */ axis) => Math.round(from[axis] + ((to[axis] - from[axis]) * step) / steps);
    dab(image, along(0), along(1), size, ink);
  }
}

/**
 * A colour, 0 to 255 a channel; in a grey image its brightness (ITU-R BT.601).
 * @param {number[]} color
 * @param {number} channels
 * @returns {Ink}
 */
export function colored(color, channels) {
  const [red, green, blue] = color.length === 3 ? color : [color[0], color[0], color[0]];
  const grey = Math.round(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue);
  const values = channels === 3 ? [red, green, blue] : [grey];
  return (_, channel) => values[channel];
}

/**
 * Copies from the original picture, or from its blurred copy.
 * @param {Uint8Array} data
 * @param {number} channels
 * @returns {Ink}
 */
export function copied(data, channels) {
  return (at, channel) => data[at * channels + channel];
}

/**
 * Blurred until shapes vanish and colours stay: three means over a square, close to a Gaussian.
 * @param {Image} image
 * @returns {Uint8Array}
 */
export function blurred({ data, height, width, channels }) {
  const radius = Math.max(1, Math.round(Math.min(height, width) / 24));
  let from = Float64Array.from(data);
  for (let pass = 0; pass < 3; pass++) {
    from = averaged(from, height, width, channels, radius, width * channels, channels);
    from = averaged(from, width, height, channels, radius, channels, width * channels);
  }
  return Uint8Array.from(from, Math.round);
}

/**
 * Means along one axis; at the edge, over the existing pixels.
 * @param {Float64Array} from
 * @param {number} lines
 * @param {number} length of a line
 * @param {number} channels
 * @param {number} radius
 * @param {number} next from one line to the next
 * @param {number} step from one pixel of a line to the next
 */
function averaged(from, lines, length, channels, radius, next, step) {
  const to = new Float64Array(from.length);
  for (let line = 0; line < lines; line++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = line * next + channel;
      let sum = 0;
      let count = 0;
      for (let at = -radius; at < length; at++) {
        if (at + radius < length) {
          sum += from[start + (at + radius) * step];
          count++;
        }
        if (at - radius - 1 >= 0) {
          sum -= from[start + (at - radius - 1) * step];
          count--;
        }
        if (at >= 0) to[start + at * step] = sum / count;
      }
    }
  }
  return to;
}
