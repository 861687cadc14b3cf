/** A photograph, a filter that people wrote by hand, and what the filter makes of it. */

import { choice, h } from "../../element.js";
import { number } from "../../format.js";
import { cellsAt, everywhere, weighted } from "./arithmetic.js";
import { board, step } from "./board.js";
import { FILTERS } from "./material.js";
import { photograph } from "./photograph.js";
import { shaded } from "./shaded.js";
import { sumOf } from "./written.js";

/** @typedef {keyof typeof FILTERS} Kind */

/**
 * The result of a filter on the photograph, as large as the photograph: zeros stand around it.
 * @param {Kind} kind
 */
export function filtered(kind) {
  const { kernel, divisor } = FILTERS[kind];
  return everywhere(photograph(), spread(kernel), (cells) => weighted(cells, kernel, divisor));
}

/** @param {number[][]} kernel */
function spread(kernel) {
  const half = kernel.length >> 1;
  /** @type {import("./arithmetic.js").Window} */
  const window = { size: [kernel.length, kernel.length], padding: [half, half] };
  return window;
}

/**
 * Where a filter answers most strongly: the place that a step shows first.
 * @param {number[][]} matrix
 * @returns {[number, number]}
 */
export function loudest(matrix) {
  /** @type {[number, number]} */
  let best = [0, 0];
  // the zeros around the picture make edges of their own
  for (let y = 2; y < matrix.length - 2; y++) {
    for (let x = 2; x < matrix[0].length - 2; x++) {
      if (Math.abs(matrix[y][x]) > Math.abs(matrix[best[0]][best[1]])) best = [y, x];
    }
  }
  return best;
}

/**
 * @param {import("../../store.js").PageStore} store
 * @returns {import("./sliding.js").Figure}
 */
export function filters(store) {
  const picture = photograph();
  const [height, width] = [picture.length, picture[0].length];
  const before = shaded("the photograph", picture, false);
  const sum = h("p", { class: "figure-sum" });
  const chosen = h("div", {});
  const weights = h("div", { class: "kernels" });
  const after = h("div", {});
  const element = h(
    "div",
    { class: "sliding" },
    chosen,
    sum,
    h("div", { class: "boards pictures" }, before.element, weights, after),
    h("p", { class: "note" }, "Point at a place of the result, or focus it and press the arrow keys."),
  );
  let shown = "";
  /** @type {ReturnType<typeof shaded> | null} */ let result = null;
  /** @type {number[][]} */ let matrix = [];
  return {
    element,
    update: ({ argument, cursor }) => {
      const kind = /** @type {Kind} */ (Object.hasOwn(FILTERS, argument) ? argument : "upright-edges");
      const { kernel, divisor, signed, title } = FILTERS[kind];
      const window = spread(kernel);
      if (shown !== kind) {
        shown = kind;
        matrix = filtered(kind);
        const cells = board({
          title: divisor === 1 ? "weights" : `weights, their sum divided by ${divisor}`,
          kind: "kernel",
          rows: kernel.length,
          columns: kernel[0].length,
          text: (row, column) => number(kernel[row][column]),
        });
        cells.fill();
        weights.replaceChildren(cells.element);
        result = shaded(`the result: ${title}`, matrix, signed, {
          go: (row, column) => void store.set({ cursor: [row, column] }, true),
          keys: (key, from) => step(key, from, height, width),
        });
        after.replaceChildren(result.element);
        const all = Object.entries(FILTERS).map(([name, each]) => /** @type {[string, string]} */ ([name, each.title]));
        const go = (/** @type {string} */ name) => void store.set({ place: `photograph:${name}` }, true);
        chosen.replaceChildren(choice("filter", all, kind, go));
      }
      const at = cursor?.length === 2 ? [Math.min(cursor[0], height - 1), Math.min(cursor[1], width - 1)] : null;
      const here = at ?? loudest(matrix);
      const show = (/** @type {number[] | null} */ place) => {
        const [y, x] = place ?? here;
        const cells = cellsAt(picture, window, [y, x]);
        const value = matrix[y][x];
        sum.textContent = `output[${y}, ${x}]: ${sumOf(cells, { weights: kernel.flat(), divisor, pick: "sum", value })}`;
        before.frame(y - (kernel.length >> 1), x - (kernel.length >> 1), kernel.length);
        result?.frame(y, x, 1, number(value));
      };
      result?.watch(show);
      show(here);
    },
  };
}
