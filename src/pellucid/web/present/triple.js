/** The product that the reader points at, large: for an equation that does not fit. */

import { shading } from "../colors.js";
import { h } from "../element.js";
import { counted } from "../format.js";
import { alone, bracketed } from "./digits.js";

/** @typedef {import("./products.js").Products} Products */
/** @typedef {import("../store.js").PageStore} PageStore */

/** @type {WeakMap<PageStore, {of: string, at: number}>} the pointed product, while the window slides over the map */
const pointed = new WeakMap();

const LEAST = 20; // CSS pixels of a digit
const MOST = 64;
const NARROW = 760;
const LEFT = 300; // CSS pixels of the window

/**
 * @param {PageStore} store
 * @param {Products} products
 * @param {string} of the equation, which keeps the pointed place while it is the same
 * @param {import("./products.js").Room} room
 * @returns {HTMLElement}
 */
export function triple(store, products, of, { width, height }) {
  const { values, at, columns, rows, pick } = products;
  const before = pointed.get(store);
  const sizes = values.map((value) => (Number.isFinite(value) ? Math.abs(value) : 0));
  const strongest = pick === "max" ? Math.max(0, products.winner) : sizes.indexOf(Math.max(...sizes));
  let here = before?.of === of && before.at < values.length ? before.at : strongest;
  const { shade } = shading(values);
  const narrow = width < NARROW;
  const room = narrow ? width : width - LEFT - 40;
  const tiles = values.map((value, each) =>
    h("i", {
      class: shade(value) < 0 ? "below" : "above",
      "data-at": String(each),
      style: {
        "--t": String(Math.abs(shade(value))),
        "grid-area": `${at[each][0] + 1} / ${at[each][1] + 1}`,
      },
    }),
  );
  const what = pick === "max" ? "candidate" : "product";
  const side = Math.max(
    8,
    Math.min(48, Math.floor(Math.min(LEFT / columns, (narrow ? height / 2.4 : height) / rows)) - 4),
  );
  const window = h(
    "div",
    {
      class: "tiles",
      key: "tiles",
      tabindex: "0",
      role: "slider",
      "aria-label": `The ${what}s. Arrow keys choose one.`,
      "aria-valuemin": "1",
      "aria-valuemax": String(values.length),
      style: { "--side": `${side}px` },
      on: {
        pointerover: choose,
        click: choose,
        keydown: (/** @type {KeyboardEvent} */ event) => {
          const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
          if (!step) return;
          event.preventDefault();
          event.stopPropagation(); // elsewhere an arrow slides the window
          const next = neighbour(at, here, step);
          if (next >= 0) point(aroundOf(event), next);
        },
      },
    },
    ...tiles,
  );
  /** @param {PointerEvent | MouseEvent} event */
  function choose(event) {
    const tile = event.target instanceof HTMLElement && event.target.dataset.at;
    if (tile) point(aroundOf(event), Number(tile));
  }
  /**
   * @param {Element} around what is on the page: a redraw may have kept the elements of an earlier drawing
   * @param {number} to
   */
  function point(around, to) {
    here = to;
    pointed.set(store, { of, at: here });
    for (const tile of around.querySelectorAll(".tiles i")) {
      tile.classList.toggle("here", /** @type {HTMLElement} */ (tile).dataset.at === String(here));
    }
    const text = textOf(products, here);
    const size = Math.max(LEAST, Math.min(MOST, Math.floor(room / (0.64 * text.join(" ").length))));
    const shown = /** @type {HTMLElement} */ (around.querySelector(".one-product"));
    shown.style.setProperty("--digit", `${size}px`);
    shown.replaceChildren(...text.map((piece) => h("span", {}, piece)));
    /** @type {HTMLElement} */ (around.querySelector(".which")).textContent = whichOf(products, here, what);
    const chooser = around.querySelector(".tiles");
    chooser?.setAttribute("aria-valuenow", String(here + 1));
    chooser?.setAttribute("aria-valuetext", text.join(" "));
  }
  const written = h("p", { class: "one-product", "aria-live": "polite", "aria-atomic": "true" });
  const drawn = h(
    "div",
    { class: "pointing-at" },
    window,
    h("div", { class: "large-triple" }, written, h("p", { class: "which" })),
  );
  point(drawn, here);
  return drawn;
}

/** @param {Event} event */
function aroundOf({ currentTarget }) {
  return /** @type {Element} */ (/** @type {Element} */ (currentTarget).closest(".pointing-at"));
}

/**
 * The next product in a direction, beyond gaps; -1 for none.
 * @param {number[][]} at
 * @param {number} here
 * @param {number[]} step
 */
function neighbour(at, here, [down, across]) {
  const [row, column] = at[here];
  const far = (/** @type {number[]} */ [y, x]) => (y - row) * down + (x - column) * across;
  const line = at.flatMap((place, each) =>
    (down ? place[1] === column : place[0] === row) && far(place) > 0 ? each : [],
  );
  return line.reduce((best, each) => (best < 0 || far(at[each]) < far(at[best]) ? each : best), -1);
}

/**
 * factor × factor = product, in pieces that stay whole.
 * @param {Products} products
 * @param {number} at
 */
function textOf({ factors, values, formulas, pick }, at) {
  const value = Number.isFinite(values[at]) ? alone(values[at]) : "no candidate";
  if (pick === "max") return [value];
  if (factors.length < 2) return formulas[at] === value ? [value] : [formulas[at], `= ${value}`];
  const shown = factors.map((factor, each) => {
    const text = alone(factor.values[at]);
    return each ? `× ${bracketed(text)}` : text;
  });
  return [...shown, `= ${value}`];
}

/**
 * @param {Products} products
 * @param {number} at
 * @param {string} what
 */
function whichOf({ factors, count, total, pick, map, winner }, at, what) {
  const all = counted(count);
  const padding = factors[0]?.inside[at] === false ? ", in the padding" : "";
  if (pick === "max") return `${what} ${at + 1} of ${all}${at === winner ? ", the largest" : ""}`;
  const order = map ? "" : ", the largest first";
  return `${what} ${counted(at + 1)} of ${all}${order}${padding}. All ${all} add up to ${alone(total)}.`;
}
