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
  const shown = h("p", { class: "one-product", "aria-live": "polite" });
  const which = h("p", { class: "which" });
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
        pointerover: (/** @type {PointerEvent} */ event) => choose(event.target),
        click: (/** @type {MouseEvent} */ event) => choose(event.target),
        keydown: (/** @type {KeyboardEvent} */ event) => {
          const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
          if (!step) return;
          event.preventDefault();
          event.stopPropagation(); // elsewhere an arrow slides the window
          const [row, column] = [at[here][0] + step[0], at[here][1] + step[1]];
          const next = at.findIndex(([y, x]) => y === row && x === column);
          if (next >= 0) point(next);
        },
      },
    },
    ...tiles,
  );
  /** @param {EventTarget | null} target */
  function choose(target) {
    const tile = target instanceof HTMLElement && target.dataset.at;
    if (tile) point(Number(tile));
  }
  /** @param {number} to */
  function point(to) {
    tiles[here].classList.remove("here");
    here = to;
    pointed.set(store, { of, at: here });
    tiles[here].classList.add("here");
    const text = textOf(products, here);
    const size = Math.max(LEAST, Math.min(MOST, Math.floor(room / (0.64 * text.join(" ").length))));
    shown.style.setProperty("--digit", `${size}px`);
    shown.replaceChildren(...text.map((piece) => h("span", {}, piece)));
    which.textContent = whichOf(products, here, what);
    window.setAttribute("aria-valuenow", String(here + 1));
    window.setAttribute("aria-valuetext", text.join(" "));
  }
  point(here);
  return h("div", { class: "pointing-at" }, window, h("div", { class: "large-triple" }, shown, which));
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
