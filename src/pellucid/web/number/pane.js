/** One of the two maps of the whole map: a canvas with a pixel for each number, and a caption. */

import { css, dark, signedImage } from "../colors.js";
import { h } from "../element.js";
import { number } from "../format.js";
import { DARK, LIGHT, MIDDLE } from "../signed.js";

/** @typedef {[[number, number], [number, number]]} Ends first and last row, first and last column */
/**
 * @typedef {object} Plane one map with its numbers
 * @property {string} key
 * @property {string} name as a caption has it, "gradient of conv1[3]"
 * @property {ArrayLike<number>} data rows after rows
 * @property {[number, number]} size rows and columns
 * @property {number} limit the number with the full colour
 */

export function pane() {
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
  const caption = h("figcaption", {});
  const figure = h("figure", {}, canvas, caption);
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const whole = document.createElement("canvas");
  let painted = "";
  let filled = Infinity;
  return {
    figure,
    canvas,
    /**
     * @param {Plane} plane
     * @param {Ends} ends
     * @param {number} cell CSS pixels of a number
     */
    paint({ key, name, data, size: [rows, columns], limit }, [[top, bottom], [first, last]], cell) {
      const [tall, wide] = [bottom - top + 1, last - first + 1];
      const now = String([key, dark(), rows, columns, top, bottom, first, last, cell]);
      if (now === painted) return;
      painted = now;
      [canvas.width, canvas.height, whole.width, whole.height] = [wide, tall, columns, rows];
      canvas.style.setProperty("width", `${wide * cell}px`);
      canvas.style.setProperty("height", `${tall * cell}px`);
      canvas.classList.toggle("shrunk", cell < 1);
      canvas.classList.toggle("padded", tall > rows || wide > columns);
      const image = signedImage(data, columns, rows, limit);
      /** @type {CanvasRenderingContext2D} */ (whole.getContext("2d")).putImageData(image, 0, 0);
      surface.drawImage(whole, -first, -top);
      filled = Infinity;
      caption.replaceChildren(h("span", {}, name), limit > 0 ? scale(limit) : "");
    },
    /**
     * Draws the numbers up to one, row by row.
     * @param {number} at
     * @param {number} columns
     */
    upTo(at, columns) {
      if (at === filled) return;
      filled = at;
      surface.clearRect(0, 0, canvas.width, canvas.height);
      if (at === Infinity) return surface.drawImage(whole, 0, 0);
      const [rows, rest] = [Math.floor(at / columns), (at % columns) + 1];
      if (rows) surface.drawImage(whole, 0, 0, columns, rows, 0, 0, columns, rows);
      surface.drawImage(whole, 0, rows, rest, 1, 0, rows, rest, 1);
    },
    /**
     * The row and column under the pointer.
     * @param {MouseEvent} event
     * @param {Ends} ends
     * @returns {[number, number]}
     */
    under(event, ends) {
      const { left, top, width, height } = canvas.getBoundingClientRect();
      const shares = [(event.clientY - top) / height, (event.clientX - left) / width];
      const [row, column] = ends.map(([low, high], axis) =>
        Math.max(low, Math.min(high, low + Math.floor(shares[axis] * (high - low + 1)))),
      );
      return [row, column];
    },
  };
}

/**
 * The colours of a map, from minus to plus the number with the full colour.
 * @param {number} limit
 */
function scale(limit) {
  const { paper, above, below } = dark() ? DARK : LIGHT;
  const [near, far] = [50 * MIDDLE, 50];
  const stops = [
    [css(below[1]), 50 - far],
    [css(below[0]), 50 - near],
    [css(paper), 50],
    [css(above[0]), 50 + near],
    [css(above[1]), 50 + far],
  ].map(([color, at]) => `${color} ${at}%`);
  const colors = h("i", { class: "scale", style: { background: `linear-gradient(to right, ${stops.join(", ")})` } });
  return h(
    "span",
    { class: "legend", "aria-hidden": "true" },
    number(-limit, false, 3),
    colors,
    number(limit, false, 3),
  );
}
