/** The training pictures, small: from the server, as the network saw them in a step; from a file, as they are. */

import { h } from "../element.js";
import { named } from "./source.js";
import { placeOf } from "./place.js";
import { draw } from "./stored.js";

/**
 * @param {import("../context.js").StageContext} context
 * @param {import("./place.js").Weight} weight
 * @param {import("./data.js").Life} life
 * @returns {import("./pictures.js").Thumbnail} of a row of the training pictures, in a step or as it is
 */
export function thumbnails({ trace, served }, weight, { augmented }) {
  return (row, step) => {
    if (served) {
      const seen = augmented && step !== null ? `&step=${step}` : "";
      return ofServer(served.source(`api/life/picture?${named(placeOf(weight))}&row=${row}${seen}`));
    }
    return ofFile(trace, row);
  };
}

/**
 * A training picture from the server, or a word in its place.
 * @param {string} src
 */
export function ofServer(src) {
  const error = (/** @type {any} */ event) => event.target.replaceWith(h("span", { class: "gone" }, "no longer there"));
  return h("img", { src, alt: "", loading: "lazy", on: { error } });
}

/**
 * A training picture that is inside the file, or a place without it.
 * @param {import("../trace.js").Trace} trace
 * @param {number} row
 */
export function ofFile(trace, row) {
  if (!trace.lives) return h("span", { class: "gone" }, "not inside");
  const canvas = /** @type {HTMLCanvasElement} */ (h("canvas", { "aria-hidden": "true" }));
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  void draw(trace.lives(), row, surface);
  return canvas;
}
