/** The article's figures by name, and the view that shows one: #/~article/six-by-six */

import { h } from "../../element.js";
import { number } from "../../format.js";
import { say, STILL } from "../../say.js";
import { address, START } from "../../store.js";
import { everywhere, weighted } from "./arithmetic.js";
import { board } from "./board.js";
import { scored } from "./chances.js";
import { filters } from "./filters.js";
import { fit } from "./fit.js";
import * as material from "./material.js";
import { parameters } from "./parameters.js";
import { flattened } from "./row.js";
import { sliding } from "./sliding.js";

/** @typedef {import("../../store.js").PageStore} PageStore */
/** @typedef {import("./sliding.js").Figure} Figure */
/** @typedef {import("./sliding.js").Sliding} Sliding */

const { PICTURE, PICTURE_FOR_PAIRS, PICTURE_6X6, CROSS, PAIR, SECOND_PAIR } = material;
/** @type {import("./arithmetic.js").Window} */
const THREE = { size: [3, 3] };

/** The map that the article's pooling reads: its 6 × 6 picture behind its 3 × 3 filter. */
export function mapToPool() {
  return everywhere(PICTURE_6X6, THREE, (cells) => weighted(cells, CROSS, 1));
}

/** @type {Record<string, [string, (store: PageStore) => Figure]>} */
export const FIGURES = {
  matrix: ["A picture as a matrix", () => asMatrix()],
  row: ["A picture as a row", (store) => flattened(store)],
  "one-weight": ["One weight", (store) => oneWeight(store)],
  "two-weights": ["Two weights", (store) => sliding(store, { picture: PICTURE_FOR_PAIRS, kernel: () => PAIR })],
  "second-pair": [
    "A second pair",
    (store) => sliding(store, { picture: PICTURE_FOR_PAIRS, kernel: () => SECOND_PAIR }),
  ],
  zeros: [
    "Zeros at the sides",
    (store) => sliding(store, { picture: PICTURE_FOR_PAIRS, kernel: () => PAIR, steps: { padding: [0, 1] } }),
  ],
  "six-by-six": ["6 × 6 with 3 × 3", (store) => sliding(store, { picture: PICTURE_6X6, kernel: () => CROSS })],
  "stride-two": [
    "Stride 2",
    (store) =>
      sliding(store, {
        picture: PICTURE_6X6,
        kernel: () => CROSS,
        steps: { stride: [2, 2] },
        misprint: { at: material.MISPRINTED_AT, value: material.MISPRINTED },
      }),
  ],
  "same-padding": [
    "A border of zeros",
    (store) => sliding(store, { picture: PICTURE_6X6, kernel: () => CROSS, steps: { padding: [1, 1] } }),
  ],
  "max-pooling": ["Max pooling", (store) => pooling(store, "max")],
  "average-pooling": ["Average pooling", (store) => pooling(store, "mean")],
  "norm-pooling": ["L2-norm pooling", (store) => pooling(store, "norm")],
  photograph: ["Edges, blur and sharpening", (store) => filters(store)],
  fit: ["Stride, padding and the output’s size", (store) => fit(store)],
  parameters: ["The article’s network", () => parameters()],
  softmax: ["Scores, probabilities, loss, gradient", () => scored()],
};

/**
 * The article's strip as numbers, and as shades beside them.
 * @returns {Figure}
 */
function asMatrix() {
  const size = { rows: PICTURE.length, columns: PICTURE[0].length };
  const numbers = board({ title: "as numbers", ...size, text: (row, column) => number(PICTURE[row][column]) });
  const shades = board({
    title: "as shades",
    kind: "greys",
    ...size,
    text: () => "",
    grey: (row, column) => PICTURE[row][column],
  });
  for (const each of [numbers, shades]) {
    each.fill();
    each.mark(() => "");
  }
  shades.element.setAttribute("aria-hidden", "true");
  const element = h("div", { class: "sliding" }, h("div", { class: "boards" }, numbers.element, shades.element));
  return { element, update: () => {} };
}

/**
 * @param {PageStore} store
 * @returns {Figure}
 */
function oneWeight(store) {
  const [[usual]] = material.ONE_WEIGHT;
  const weight = (/** @type {string} */ argument) => {
    const wanted = Number(argument);
    return argument !== "" && Number.isFinite(wanted) ? wanted : usual;
  };
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "range", min: "-3", max: "3", step: "0.5", key: "figure/weight" })
  );
  const figure = sliding(store, {
    picture: PICTURE,
    kernel: (argument) => [[weight(argument)]],
    control: (go) => {
      input.addEventListener("input", () => go(`one-weight:${input.value}`));
      return h("label", { class: "slider" }, h("span", {}, "weight"), input);
    },
  });
  return {
    element: figure.element,
    update: (now) => {
      input.value = String(weight(now.argument));
      figure.update(now);
    },
  };
}

/**
 * @param {PageStore} store
 * @param {"max" | "mean" | "norm"} pick
 */
function pooling(store, pick) {
  return sliding(store, { picture: mapToPool(), title: "map", pick, size: [2, 2], steps: { stride: [2, 2] } });
}

/** A figure's name, its setting, and whether it hides a number: "six-by-six", "fit:6,3,2,0,1", "six-by-six::ask". */
export function parsed(/** @type {string} */ place) {
  const [name, argument = "", ask = ""] = place.split(":");
  return { name, argument, asked: ask === "ask" };
}

/** @type {WeakMap<PageStore, {name: string, figure: Figure, parts: HTMLElement[]}>} */
const shown = new WeakMap();

/**
 * The same nodes as long as the figure is the same: the reader may be dragging one of its sliders.
 * @param {import("../../context.js").Context} context
 * @returns {Promise<Node[]>}
 */
export async function figures({ state, store }) {
  const { name, ...now } = parsed(state.place);
  if (!Object.hasOwn(FIGURES, name)) return contents(store, name);
  const [title, make] = FIGURES[name];
  let here = shown.get(store);
  if (here?.name !== name) {
    const figure = make(store);
    const stage = h("section", { class: "stage article", "aria-label": title }, figure.element);
    const about = say(title, ["A figure of the article. Every number in it is computed here."], STILL);
    here = { name, figure, parts: [about, stage] };
    shown.set(store, here);
  }
  here.figure.update({ ...now, cursor: state.cursor });
  return here.parts;
}

/**
 * @param {PageStore} store
 * @param {string} name of a figure that does not exist; "" if none is named
 */
function contents(store, name) {
  const links = Object.entries(FIGURES).map(([place, [title]]) => {
    const go = (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      void store.set({ view: "article", place, cursor: null });
    };
    const href = address({ ...START, view: "article", place });
    return h("li", {}, h("a", { href, on: { click: go } }, title));
  });
  const sentence = name ? `There is no figure “${name}”. These are the article’s figures.` : "All of them, in order.";
  return [
    say("The article’s figures", [sentence], STILL),
    h("section", { class: "stage lessons", "aria-label": "Figures" }, h("nav", {}, h("ol", {}, ...links))),
  ];
}
