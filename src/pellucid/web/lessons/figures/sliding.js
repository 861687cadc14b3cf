/** A small picture, a window of weights or of pooling that slides over it, and the output that it makes. */

import { h } from "../../element.js";
import { number } from "../../format.js";
import { moving } from "../../number/play.js";
import { cellsAt, everywhere, POOLED, weighted } from "./arithmetic.js";
import { board } from "./board.js";
import { sumOf } from "./written.js";

/** @typedef {import("./material.js").Matrix} Matrix */
/** @typedef {import("./arithmetic.js").Window} Window */
/** @typedef {import("../../store.js").PageStore} PageStore */
/**
 * @typedef {object} Figure
 * @property {HTMLElement} element
 * @property {(now: {argument: string, asked: boolean, cursor: number[] | null}) => void} update
 */
/**
 * @typedef {object} Sliding
 * @property {Matrix} picture
 * @property {string} [title] of the picture
 * @property {(argument: string) => Matrix} [kernel] the weights; without them the window pools
 * @property {"max" | "mean" | "norm"} [pick] what pooling takes
 * @property {Omit<Window, "size">} [steps]
 * @property {[number, number]} [size] of a window without weights
 * @property {{at: number[], value: number}} [misprint] a number that the article prints differently
 * @property {(update: (argument: string) => void) => HTMLElement} [control]
 */

const PACE = 350; // milliseconds from one place to the next

/**
 * @param {PageStore} store
 * @param {Sliding} about
 * @returns {Figure}
 */
export function sliding(store, { picture, title = "picture", kernel, pick, steps = {}, size, misprint, control }) {
  let weights = kernel?.("") ?? null;
  /** @type {Window} */
  const window = { ...steps, size: size ?? [weights?.length ?? 1, weights?.[0].length ?? 1] };
  const border = steps.padding ?? [0, 0];
  const becomes = (/** @type {import("./arithmetic.js").Cell[]} */ cells) =>
    pick ? POOLED[pick](cells) : weighted(cells, weights ?? [], 1);
  let output = everywhere(picture, window, becomes);
  /** @type {[number, number]} */
  let at = [0, 0];
  let hidden = false;
  let timer = 0;
  const [height, width] = [output.length, output[0].length];
  const asked = (/** @type {number} */ row, /** @type {number} */ column) =>
    hidden && row === at[0] && column === at[1];
  const input = board({
    title,
    rows: picture.length,
    columns: picture[0].length,
    border,
    text: (row, column) => number(picture[row]?.[column] ?? 0),
  });
  const filter =
    weights &&
    board({
      title: weights.flat().length === 1 ? "weight" : "weights",
      kind: "kernel",
      rows: weights.length,
      columns: weights[0].length,
      text: (row, column) => number(weights?.[row][column] ?? 0),
    });
  const made = board({
    title: "output",
    rows: height,
    columns: width,
    text: (row, column) => (asked(row, column) ? "?" : number(output[row][column])),
    says: (row, column) =>
      `output, row ${row}, column ${column}: ${asked(row, column) ? "to be found" : number(output[row][column])}`,
    go: (row, column) => (stop(), void store.set({ cursor: [row, column] }, true)),
    look: (place) => !timer && !hidden && show(place ?? at),
  });
  const sum = h("p", { class: "figure-sum" });
  const play = h(
    "button",
    { type: "button", class: "single", key: "figure/slide", on: { click: () => (timer ? stop() : slide(at)) } },
    "Slide",
  );
  const printed = h("p", { class: "note" });
  const element = h(
    "div",
    { class: "sliding" },
    sum,
    h(
      "div",
      { class: "boards" },
      input.element,
      filter && h("span", { class: "times", "aria-hidden": "true" }, "×"),
      filter?.element,
      h("span", { class: "times", "aria-hidden": "true" }, "="),
      made.element,
    ),
    misprint ? printed : "",
    h(
      "div",
      { class: "row" },
      play,
      control?.((argument) => void store.set({ place: argument }, true)),
    ),
  );

  /** @param {number[]} place the window there, without moving the reader's place */
  function show(place) {
    const [y, x] = [Math.min(place[0], height - 1), Math.min(place[1], width - 1)];
    const cells = cellsAt(picture, window, [y, x]);
    const covered = new Set(cells.map(({ row, column }) => `${row},${column}`));
    const value = output[y][x];
    sum.textContent = `output[${y}, ${x}]: ${sumOf(
      cells,
      { weights: weights?.flat() ?? null, divisor: 1, pick: pick ?? "sum", value },
      asked(y, x),
    )}`;
    input.mark((row, column) => (covered.has(`${row},${column}`) ? "on" : ""));
    made.mark((row, column) => (row === y && column === x ? "here" : ""));
  }

  /** @param {number[]} from */
  function slide(from) {
    const next = from[1] + 1 < width ? [from[0], from[1] + 1] : [(from[0] + 1) % height, 0];
    show(next);
    at = [next[0], next[1]];
    const last = next[0] === height - 1 && next[1] === width - 1;
    if (last || !moving() || !element.isConnected) return stop();
    play.textContent = "Pause";
    timer = setTimeout(() => slide(next), PACE);
  }

  function halt() {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Slide";
  }

  /** Halts where the window is, which becomes the reader's place. */
  function stop() {
    const slid = String(store.get().cursor ?? [0, 0]) !== String(at);
    halt();
    if (element.isConnected && slid) void store.set({ cursor: at }, true);
  }

  return {
    element,
    update: ({ argument, asked: unknown, cursor }) => {
      halt(); // a lesson's next step, or its question, must not wait for the window
      at = [Math.min(cursor?.[0] ?? 0, height - 1), Math.min(cursor?.[1] ?? 0, width - 1)];
      hidden = unknown;
      play.hidden = unknown;
      if (kernel) weights = kernel(argument);
      output = everywhere(picture, window, becomes);
      if (misprint) {
        const [y, x] = misprint.at;
        printed.textContent =
          `The article prints ${misprint.value} at output[${y}, ${x}]. The arithmetic gives ` +
          `${number(output[y][x])}: ${sumOf(cellsAt(picture, window, [y, x]), {
            weights: weights?.flat() ?? null,
            divisor: 1,
            pick: "sum",
            value: output[y][x],
          })}.`;
      }
      for (const each of [input, filter, made]) each?.fill();
      filter?.mark(() => "");
      made.focus(...at);
      show(at);
    },
  };
}
