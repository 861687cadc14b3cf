/** Slides the window from its old place to its new one: in 180 ms, while playing evenly, or at once. */

import { h } from "../element.js";
import { moving } from "./play.js";

const DURATION = 180;
const GRIDS = ["window/", "own/"]; // how the keys of their cells begin

/** @typedef {(number[] | null)[]} Corners the row and column of each grid's window */

/**
 * The places of the windows.
 * @param {HTMLElement} main
 * @returns {Corners}
 */
export function corners(main) {
  return GRIDS.map((grid) => {
    const first = /** @type {HTMLElement | null} */ (main.querySelector(`td.on[data-key^="${grid}"]`));
    return first?.dataset.key?.split("/").at(-1)?.split(",").map(Number) ?? null;
  });
}

/**
 * Slides one frame per window instead of each of its cells: a browser can draw that 60 times a second.
 * @param {HTMLElement} main
 * @param {Corners} before
 * @param {number} pace milliseconds a place while playing; else 0
 */
export function slide(main, before, pace) {
  if (!moving()) return;
  const now = corners(main);
  GRIDS.forEach((grid, at) => {
    const [from, to] = [before[at], now[at]];
    if (!from || !to || Math.abs(from[0] - to[0]) + Math.abs(from[1] - to[1]) === 0) return;
    const cells = /** @type {HTMLElement[]} */ ([...main.querySelectorAll(`td.on[data-key^="${grid}"]`)]);
    const around = cells[0].closest(".scroll");
    if (!around || cells[0].closest(".cropped")) return; // a window without its surroundings stays where it is
    const [corner, last] = [cells[0], cells[cells.length - 1]];
    const frame = around.getBoundingClientRect();
    const [first, end] = [corner.getBoundingClientRect(), last.getBoundingClientRect()];
    const place = {
      left: first.left - frame.left + around.scrollLeft,
      top: first.top - frame.top,
      width: end.right - first.left,
      height: end.bottom - first.top,
    };
    const style = Object.fromEntries(Object.entries(place).map(([key, value]) => [key, `${value}px`]));
    const brush = h("i", { class: "brush", "aria-hidden": "true", style });
    around.append(brush);
    const [down, across] = [(from[0] - to[0]) * (first.height + 2), (from[1] - to[1]) * (first.width + 2)];
    brush
      .animate(
        [{ transform: `translate(${across}px, ${down}px)` }, { transform: "none" }],
        pace ? { duration: pace, easing: "linear" } : { duration: DURATION, easing: "ease-out" },
      )
      .finished.then(
        () => pace || brush.remove(),
        () => {}, // the next step has taken it away
      );
  });
}
