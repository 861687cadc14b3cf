/** A matrix as a picture in shades of grey, with a frame around a place. */

import { h } from "../../element.js";

/**
 * @param {string} title
 * @param {number[][]} matrix
 * @param {boolean} signed whether the shade is the absolute value, as for edges; otherwise 0 is black and 255 white
 * @param {object} [hands] what the reader can do with it; without them it is only a picture
 * @param {(row: number, column: number) => void} hands.go to a place
 * @param {(key: string, from: [number, number]) => [number, number] | null} hands.keys where a key leads
 */
export function shaded(title, matrix, signed, hands) {
  const [height, width] = [matrix.length, matrix[0].length];
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = surface.createImageData(width, height);
  const largest = Math.max(...matrix.map((row) => Math.max(...row.map(Math.abs)))) || 1;
  matrix.flat().forEach((value, at) => {
    const shade = signed ? (Math.abs(value) * 255) / largest : value;
    image.data.set([shade, shade, shade, 255], 4 * at); // a clamped array: rounds, and cuts at 0 and 255
  });
  surface.putImageData(image, 0, 0);
  const frame = h("i", { class: "frame", hidden: true });
  /** @type {(place: [number, number] | null) => void} */
  let look = () => {};
  /** @type {[number, number]} */
  let at = [0, 0];
  const under = (/** @type {MouseEvent} */ event) => {
    const { left, top, width: across, height: down } = canvas.getBoundingClientRect();
    const place = (/** @type {number} */ share, /** @type {number} */ size) =>
      Math.max(0, Math.min(size - 1, Math.floor(share * size)));
    /** @type {[number, number]} */
    const found = [place((event.clientY - top) / down, height), place((event.clientX - left) / across, width)];
    return found;
  };
  const moved = (/** @type {KeyboardEvent} */ event) => {
    const to = hands?.keys(event.key, at);
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    hands?.go(...to);
  };
  const box = h(
    "div",
    hands
      ? {
          class: "shaded",
          key: "figure/shaded",
          tabindex: "0",
          role: "application",
          on: {
            pointermove: (event) => look(under(event)),
            pointerleave: () => look(null),
            click: (event) => hands.go(...under(event)),
            keydown: moved,
          },
        }
      : { class: "shaded", role: "img", "aria-label": title },
    canvas,
    frame,
  );
  return {
    element: h("figure", {}, h("figcaption", {}, title), box),
    /** @param {(place: [number, number] | null) => void} watch told where the pointer is */
    watch: (watch) => {
      look = watch;
    },
    /**
     * @param {number} row of the frame's first number
     * @param {number} column
     * @param {number} size of the frame, in numbers
     * @param {string} [says] the number there
     */
    frame: (row, column, size, says = "") => {
      const percent = (/** @type {number} */ part, /** @type {number} */ whole) => `${(100 * part) / whole}%`;
      const place = {
        top: percent(row, height),
        left: percent(column, width),
        width: percent(size, width),
        height: percent(size, height),
      };
      for (const [name, value] of Object.entries(place)) frame.style.setProperty(name, value);
      frame.hidden = false;
      if (!hands) return;
      at = [row, column];
      box.setAttribute("aria-label", `${title}: row ${row}, column ${column} is ${says}. Arrow keys move.`);
    },
  };
}
