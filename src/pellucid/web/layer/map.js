/** One large map, with a cursor for the arrow keys and the mouse, and the number under it. */

import { h, sharpCanvas } from "../element.js";
import { number, unit } from "../format.js";

/** @typedef {import("../colors.js").Place} Place */

/**
 * @param {object} about
 * @param {string} about.key
 * @param {string} about.name
 * @param {number} about.channel
 * @param {number} about.height rows
 * @param {number} about.width columns
 * @param {ArrayLike<number>} about.data
 * @param {[number, number]} about.cursor row, column
 * @param {number} about.side the longer side in CSS pixels
 * @param {boolean} about.exact
 * @param {(row: number, column: number) => string} [about.says] a number's name and value
 * @param {string} [about.enters] what Enter does, for a screen reader
 * @param {(surface: CanvasRenderingContext2D, place: Place) => void | Promise<void>} about.draw
 * @param {(row: number, column: number) => void} about.hover
 * @param {(row: number, column: number) => void} about.move
 * @param {(row: number, column: number) => void} about.enter
 */
export function largeMap(about) {
  const { key, name, channel, height, width, data, cursor, side, exact, draw, hover, move, enter } = about;
  const enters = about.enters ?? "shows how it was computed";
  const plain = (/** @type {number} */ y, /** @type {number} */ x) =>
    `${unit(name, [channel, y, x])} is ${number(data[y * width + x], exact)}`;
  const says = about.says ?? plain;
  const cell = side / Math.max(width, height);
  const [across, down] = [cell * width, cell * height];
  const { canvas, surface } = sharpCanvas(across, down);
  void draw(surface, [0, 0, across, down]);
  canvas.setAttribute("aria-hidden", "true");
  let [row, column] = cursor; // the number that is named and marked; the mouse moves it too
  const box = Math.max(cell, 7);
  const middle = (/** @type {number} */ at) => `${(at + 0.5) * cell - box / 2}px`;
  const mark = h("i", { class: "chosen", style: { width: `${box}px`, height: `${box}px` } });
  const readout = h("output", { class: "hover" });
  const clamp = (/** @type {number} */ at, /** @type {number} */ size) => Math.max(0, Math.min(size - 1, at));
  const under = (/** @type {MouseEvent} */ event) => {
    const { left, top } = canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([
      clamp(Math.floor((event.clientY - top) / cell), height),
      clamp(Math.floor((event.clientX - left) / cell), width),
    ]);
  };
  const target = h(
    "div",
    {
      class: "large",
      key,
      tabindex: "0",
      role: "application",
      style: { width: `${across}px`, height: `${down}px` },
      on: {
        click: (/** @type {MouseEvent} */ event) => enter(...under(event)),
        mousemove: (/** @type {MouseEvent} */ event) => {
          point(...under(event));
          hover(row, column);
        },
        keydown: (/** @type {KeyboardEvent} */ event) => {
          const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
          if (!step && event.key !== "Enter") return;
          event.preventDefault();
          event.stopPropagation();
          if (!step) return enter(row, column);
          point(clamp(row + step[0], height), clamp(column + step[1], width)); // the next key may come before a drawing
          move(row, column);
        },
      },
    },
    canvas,
    mark,
  );
  const point = (/** @type {number} */ y, /** @type {number} */ x) => {
    [row, column] = [y, x];
    mark.style.setProperty("left", middle(x));
    mark.style.setProperty("top", middle(y));
    readout.textContent = says(y, x);
    const size = `Map ${channel} of ${name}, ${height} rows, ${width} columns.`;
    target.setAttribute("aria-label", `${size} ${says(y, x)}. Arrow keys move, Enter ${enters}.`);
  };
  point(row, column);
  return h(
    "figure",
    { class: "map" },
    h("figcaption", {}, readout),
    target,
    asTable({ name, channel, height, width, data, cursor, exact, says }),
  );
}

const AROUND = 8;

/**
 * The same numbers as a table, made when it is opened; for a large map only those around the cursor.
 * @param {object} about
 * @param {string} about.name
 * @param {number} about.channel
 * @param {number} about.height
 * @param {number} about.width
 * @param {ArrayLike<number>} about.data
 * @param {[number, number]} about.cursor row, column
 * @param {boolean} about.exact
 * @param {(row: number, column: number) => string} about.says
 */
function asTable({ name, channel, height, width, data, cursor: [row, column], exact, says }) {
  const [top, left] = [Math.max(0, row - AROUND), Math.max(0, column - AROUND)];
  const [bottom, right] = [Math.min(height, row + AROUND + 1), Math.min(width, column + AROUND + 1)];
  const all = bottom - top === height && right - left === width;
  const details = h(
    "details",
    {},
    h("summary", {}, all ? "The numbers as a table" : "The numbers around the cursor as a table"),
  );
  details.addEventListener(
    "toggle",
    () => {
      const range = (/** @type {number} */ from, /** @type {number} */ to) =>
        Array.from({ length: to - from }, (_, at) => from + at);
      const head = h("tr", {}, h("td", {}), ...range(left, right).map((x) => h("th", { scope: "col" }, String(x))));
      const rows = range(top, bottom).map((y) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, String(y)),
          ...range(left, right).map((x) => h("td", { "data-says": says(y, x) }, number(data[y * width + x], exact, 4))),
        ),
      );
      const caption = h("caption", {}, `Map ${channel} of ${name}`);
      details.append(
        h(
          "div",
          { class: "scroll", tabindex: "0", role: "region", "aria-label": "numbers" },
          h("table", { class: "plain" }, caption, h("thead", {}, head), h("tbody", {}, ...rows)),
        ),
      );
    },
    { once: true },
  );
  return details;
}
