/** How a window fits on a picture: sliders for both, the squares, the formula, and what is left over. */

import { h } from "../../element.js";
import { moving } from "../../number/play.js";
import { cellsAt, fitting } from "./arithmetic.js";
import { board } from "./board.js";
import { SIZES } from "./material.js";

/** The sliders: letter in the formula, name, least, most. @type {[string, string, number, number][]} */
const SLIDERS = [
  ["W", "picture, W", 1, 12],
  ["F", "window, F", 1, 7],
  ["S", "stride, S", 1, 4],
  ["P", "padding, P", 0, 3],
  ["D", "dilation, D", 1, 3],
];
const FIRST = [6, 3, 1, 0, 1];
const PACE = 350; // milliseconds from one place to the next

/**
 * The output's size in the article's formula: "([6 - 3 + 2*0] / 1) + 1 = 4".
 * @param {number[]} setting W, F, S, P, D
 */
export function inFormula([width, filter, stride, padding, dilation]) {
  const { reach, places } = fitting(width, filter, stride, padding, dilation);
  const exact = (width - reach + 2 * padding) / stride + 1;
  const formula = `([${width} - ${reach} + 2*${padding}] / ${stride}) + 1`;
  if (!places) return `${formula}: the window does not fit`;
  return exact === places
    ? `${formula} = ${places}`
    : `${formula} = ${Number(exact.toFixed(3))}, rounded down: ${places}`;
}

/**
 * The columns that some window reads, counted from the border's first.
 * @param {number[]} setting W, F, S, P, D
 */
function readOf([width, filter, stride, padding, dilation]) {
  const { places } = fitting(width, filter, stride, padding, dilation);
  const numbers = Array.from({ length: filter }, (_, number) => dilation * number);
  return new Set(Array.from({ length: places }, (_, place) => numbers.map((at) => stride * place + at)).flat());
}

/**
 * What the formula does not say: gaps, places, the rest.
 * @param {number[]} setting W, F, S, P, D
 */
export function inWords([width, filter, stride, padding, dilation]) {
  const { reach, places, over } = fitting(width, filter, stride, padding, dilation);
  const gaps = dilation > 1 && filter > 1 ? `With dilation ${dilation} the window reaches over ${reach} columns. ` : "";
  const room = width + 2 * padding;
  if (!places) {
    return `${gaps}A window of ${reach} does not fit into ${room}. Make the picture or the padding larger, or the window smaller.`;
  }
  const between = room - over - readOf([width, filter, stride, padding, dilation]).size;
  const rest = [
    over && `At the right and at the bottom ${over === 1 ? "1 is" : `${over} are`} left over: no window reaches there.`,
    between && `No window reads ${between === 1 ? "1 column" : `${between} columns`} in between, nor as many rows.`,
  ].filter(Boolean);
  return `${gaps}The output has ${places} × ${places} numbers. ${rest.join(" ") || "Nothing is left over."}`;
}

/**
 * @param {import("../../store.js").PageStore} store
 * @returns {import("./sliding.js").Figure}
 */
export function fit(store) {
  const formula = h("p", { class: "figure-sum" });
  const words = h("p", { class: "note", role: "status" });
  const boards = h("div", { class: "boards small-boards" });
  let setting = FIRST;
  let timer = 0;
  const sliders = SLIDERS.map(([letter, title, least, most], at) => {
    const value = h("output", {});
    const input = /** @type {HTMLInputElement} */ (
      h("input", { type: "range", min: String(least), max: String(most), step: "1", key: `fit/${letter}` })
    );
    input.addEventListener("input", () => {
      const wanted = setting.map((each, other) => (other === at ? Number(input.value) : each));
      void store.set({ place: `fit:${wanted.join(",")}` }, true);
    });
    return { input, value, element: h("label", {}, h("span", {}, title), input, value) };
  });
  const play = h("button", { type: "button", class: "single", key: "figure/slide" }, "Slide");
  // the article's examples that the sliders reach
  const examples = SIZES.filter(([width]) => width <= SLIDERS[0][3]).map(([width, filter, padding, stride]) =>
    h(
      "button",
      {
        type: "button",
        class: "single",
        on: { click: () => void store.set({ place: `fit:${[width, filter, stride, padding, 1]}` }, true) },
      },
      `the article’s ${width} × ${width}${padding ? " with padding" : ""}`,
    ),
  );
  const element = h(
    "div",
    { class: "sliding fit" },
    formula,
    words,
    h("div", { class: "fitted" }, h("div", { class: "sliders" }, ...sliders.map((each) => each.element)), boards),
    h("div", { class: "row" }, play, ...examples),
  );
  let show = (/** @type {number[]} */ _place) => {};
  let places = 0;
  /** @type {number[]} */ let at = [0, 0];
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Slide";
  };
  const slide = () => {
    at = at[1] + 1 < places ? [at[0], at[1] + 1] : [(at[0] + 1) % places, 0];
    show(at);
    if ((at[0] === places - 1 && at[1] === places - 1) || !moving() || !element.isConnected) return stop();
    play.textContent = "Pause";
    timer = setTimeout(slide, PACE);
  };
  play.addEventListener("click", () => (timer ? stop() : places > 0 && slide()));
  return {
    element,
    update: ({ argument, asked, cursor }) => {
      stop();
      setting = settingOf(argument);
      const [width, filter, stride, padding, dilation] = setting;
      const fitted = fitting(width, filter, stride, padding, dilation);
      places = fitted.places;
      formula.textContent = asked
        ? `([${width} - ${fitted.reach} + 2*${padding}] / ${stride}) + 1 = ?`
        : inFormula(setting);
      words.textContent = asked ? "How many places has the window along a row?" : inWords(setting);
      sliders.forEach(({ input, value }, number) => {
        input.value = String(setting[number]);
        value.textContent = String(setting[number]);
      });
      at = [Math.min(cursor?.[0] ?? 0, Math.max(0, places - 1)), Math.min(cursor?.[1] ?? 0, Math.max(0, places - 1))];
      /** @type {import("./arithmetic.js").Window} */
      const window = {
        size: [filter, filter],
        stride: [stride, stride],
        padding: [padding, padding],
        dilation: [dilation, dilation],
      };
      const blank = Array.from({ length: width }, () => Array(width).fill(0));
      const input = board({
        title: padding ? `picture, with a border of ${padding}` : "picture",
        rows: width,
        columns: width,
        border: [padding, padding],
        text: (row, column) => (row < 0 || column < 0 || row >= width || column >= width ? "0" : ""),
      });
      const output = board({
        title: places && !asked ? `output, ${places} × ${places}` : "output",
        rows: asked ? 1 : places,
        columns: asked ? 1 : places,
        text: () => (asked ? "?" : ""),
        says: (row, column) => (asked ? "to be found" : `output, row ${row}, column ${column}`),
        go: (row, column) => void store.set({ cursor: [row, column] }, true),
        look: (place) => show(place ?? at),
      });
      const read = readOf(setting);
      show = (place) => {
        const covered = places
          ? new Set(cellsAt(blank, window, [place[0], place[1]]).map(({ row, column }) => `${row},${column}`))
          : new Set();
        input.mark((row, column) => {
          if (covered.has(`${row},${column}`)) return "on";
          return places && !(read.has(row + padding) && read.has(column + padding)) ? "over" : "";
        });
        output.mark((row, column) => (asked || (row === place[0] && column === place[1]) ? "here" : ""));
      };
      for (const each of [input, output]) each.fill();
      if (places) output.focus(asked ? 0 : at[0], asked ? 0 : at[1]);
      boards.replaceChildren(
        input.element,
        ...(places ? [h("span", { class: "times", "aria-hidden": "true" }, "→"), output.element] : []),
      );
      play.hidden = asked || places < 2;
      show(at);
    },
  };
}

/**
 * The sliders' places in an address, "6,3,1,0,1"; the first ones where a number is missing or out of reach.
 * @param {string} argument
 */
function settingOf(argument) {
  const read = argument.split(",").map(Number);
  return SLIDERS.map(([, , least, most], at) =>
    Number.isInteger(read[at]) && read[at] >= least && read[at] <= most && argument ? read[at] : FIRST[at],
  );
}
