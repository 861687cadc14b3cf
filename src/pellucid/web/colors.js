/** Signed numbers and pixels as images. Pixels are drawn as pixels. */

import { DARK, LIGHT, palette, STEPS } from "./signed.js";

/** @typedef {import("./signed.js").Color} Color */
/** @typedef {[number, number, number, number]} Place x, y, width and height of a rectangle, in CSS pixels */

export function dark() {
  return window.matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The colours for above and below zero, for use without shades. */
export function signs() {
  const { above, below } = dark() ? DARK : LIGHT;
  return [above[0], below[0]];
}

/**
 * A colour in CSS notation.
 * @param {Color} color
 */
export function css(color) {
  return `rgb(${color.join(" ")})`;
}

/**
 * A map as an image with one pixel per number.
 * @param {ArrayLike<number>} data rows after rows
 * @param {number} width
 * @param {number} height
 * @param {number} limit the number with the full colour
 */
export function signedImage(data, width, height, limit) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const colors = palette(dark() ? DARK : LIGHT);
  for (let at = 0; at < pixels.length; at++) {
    const t = limit > 0 ? Math.max(-1, Math.min(1, data[at] / limit)) : 0;
    pixels[at] = colors[Math.round((Number.isNaN(t) ? 0 : t) * STEPS) + STEPS];
  }
  return image;
}

/**
 * Channels of pixels: three of them in colour, one in grey.
 * @param {ArrayLike<number>[]} channels
 * @param {number} width
 * @param {number} height
 * @param {number} low the value of black
 * @param {number} high the value of white
 */
export function pixelImage(channels, width, height, low, high) {
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let color = 0; color < 3; color++) {
      const value = channels[channels.length === 3 ? color : 0][at];
      image.data[4 * at + color] = (255 * (value - low)) / (high - low || 1);
    }
    image.data[4 * at + 3] = 255;
  }
  return image;
}

/**
 * Draws an image into a rectangle, with sharp cells if it is enlarged.
 * @param {CanvasRenderingContext2D} surface
 * @param {ImageData} image
 * @param {Place} place
 */
export function drawImage(surface, image, [x, y, width, height]) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  surface.imageSmoothingEnabled = image.width > width * 1.5;
  surface.drawImage(canvas, x, y, width, height);
}

/**
 * The largest magnitude among numbers.
 * @param {ArrayLike<number>} data
 */
export function largestOf(data) {
  let largest = 0;
  for (let at = 0; at < data.length; at++) {
    const size = Math.abs(data[at]);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest;
}

/**
 * The shade of each number of a grid, -1 to 1, and the numbers at paper and at the full shade. Zero is paper, unless
 * all numbers are far on one side of it: then the smallest is paper, because their differences would be invisible
 * otherwise.
 * @param {number[]} values
 * @param {number} limit from the reader's choice of scale, or 0
 * @returns {{paper: number, full: number, shade: (value: number) => number}}
 */
export function shading(values, limit = 0) {
  const finite = values.filter(Number.isFinite);
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const full = limit || Math.max(Math.abs(low), Math.abs(high));
  const oneSided = !limit && finite.length > 1 && low * high > 0;
  const nearest = Math.min(Math.abs(low), Math.abs(high));
  const paper = oneSided && nearest > full / 2 && high > low ? nearest : 0;
  const shade = (/** @type {number} */ value) =>
    full > paper && Number.isFinite(value)
      ? Math.sign(value) * Math.min(1, Math.max(0, (Math.abs(value) - paper) / (full - paper)))
      : 0;
  return { paper: paper * Math.sign(low), full: high <= 0 ? -full : full, shade };
}
