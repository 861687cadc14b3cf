/** Many maps on one canvas, in which the arrow keys choose one: for ten or five hundred maps, it has two elements. */

import { h, sharpCanvas } from "../element.js";
import { pointable } from "../pointing.js";

/**
 * @param {object} about
 * @param {string} about.key
 * @param {string} about.label
 * @param {number[]} about.order the maps' numbers in display order
 * @param {number} about.chosen a map's number
 * @param {number} about.side of a tile, in CSS pixels
 * @param {number} about.width available to the wall
 * @param {(surface: CanvasRenderingContext2D, map: number, place: [number, number, number, number]) => void} about.draw
 * @param {(map: number) => void} about.choose
 * @param {(map: number) => void} [about.enter]
 * @param {(map: number) => string} about.says
 * @param {number} [about.aspect] width divided by height of a map
 * @param {(map: number, x: number, y: number, place: [number, number, number, number]) => import("../pointing.js").Pointed | null} about.numberAt
 *     the number of a map at a place of the wall; `place`: that of the map
 */
export function wall({ key, label, order, chosen, side, width, draw, choose, enter, says, numberAt, aspect = 1 }) {
  const gap = 6;
  const tall = Math.max(6, Math.round(side / aspect));
  const columns = Math.max(1, Math.min(order.length, Math.floor((width + gap) / (side + gap))));
  const rows = Math.ceil(order.length / columns);
  const { canvas, surface } = sharpCanvas(columns * (side + gap), rows * (tall + gap));
  const corner = (/** @type {number} */ at) => [
    (at % columns) * (side + gap) + gap / 2,
    Math.floor(at / columns) * (tall + gap) + gap / 2,
  ];
  order.forEach((map, at) => {
    const [x, y] = corner(at);
    draw(surface, map, [x, y, side, tall]);
  });
  const tileAt = (/** @type {number} */ x, /** @type {number} */ y) => {
    const column = Math.floor(x / (side + gap));
    return column < columns ? Math.floor(y / (tall + gap)) * columns + column : -1;
  };
  const marked = order.indexOf(chosen);
  const here = Math.max(0, marked);
  const [left, top] = corner(here);
  const px = (/** @type {number} */ value) => `${value}px`;
  const mark = h("i", {
    class: "chosen",
    style: { left: px(left - 2), top: px(top - 2), width: px(side + 4), height: px(tall + 4) },
  });
  const to = (/** @type {number} */ at) => at >= 0 && at < order.length && choose(order[at]);
  canvas.setAttribute("aria-hidden", "true");
  const element = h(
    "div",
    {
      class: "wall",
      key,
      tabindex: "0",
      role: "slider",
      "aria-label": label,
      "aria-valuemin": "0",
      "aria-valuemax": String(order.length - 1),
      "aria-valuenow": String(here),
      "aria-valuetext": says(order[here]),
      style: { width: px(columns * (side + gap)) },
      on: {
        click: (/** @type {MouseEvent} */ event) => {
          const box = canvas.getBoundingClientRect();
          to(tileAt(event.clientX - box.left, event.clientY - box.top));
        },
        keydown: (/** @type {KeyboardEvent} */ event) => {
          const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
          if (step === undefined && !(event.key === "Enter" && enter)) return;
          event.preventDefault();
          event.stopPropagation();
          if (step === undefined) enter?.(order[here]);
          else to(here + step);
        },
      },
    },
    canvas,
    marked >= 0 && mark,
  );
  pointable(element, (x, y) => {
    const tile = tileAt(x, y);
    const [left, top] = corner(tile);
    return tile >= 0 && tile < order.length ? numberAt(order[tile], x, y, [left, top, side, tall]) : null;
  });
  return element;
}
