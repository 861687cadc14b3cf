/** A small map of a layer: in one of the models, or their difference. It is drawn when it comes into sight. */

import { h, sharpCanvas } from "../element.js";
import { draw, mapOf, says, usual } from "./maps.js";
import { apartOf } from "./pair.js";
import { folded } from "../layer/maps.js";
import { pointable } from "../pointing.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./maps.js").Side} Side */
/** @typedef {import("./pair.js").Layer} Layer */
/** @typedef {import("./pair.js").Pair} Pair */

const SIDE = 84; // CSS pixels
const LABELS = { first: "A", second: "B", difference: "B − A" };

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {Side} side
 */
export function thumbnail(context, pair, layer, side) {
  const box = h("span", { class: "square", style: { width: `${SIDE}px`, height: `${SIDE}px` } });
  const figure = h("figure", {}, box, h("figcaption", { "aria-hidden": "true" }, LABELS[side]));
  whenSeen(figure, () => void fill(context, pair, layer, side, box));
  return figure;
}

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {Side} side
 * @param {HTMLElement} box
 */
async function fill({ state }, pair, layer, side, box) {
  try {
    const channel = usual(pair, layer, state.direction);
    const drawn = await mapOf(pair, layer, side, channel, state);
    if (!drawn) {
      box.append(h("span", { class: "none" }, "–"));
      return;
    }
    const { maps } = drawn;
    const columns = maps.vector ? folded(maps.width) : maps.width;
    const lines = maps.vector ? Math.ceil(maps.width / columns) : maps.height;
    const cell = SIDE / Math.max(columns, lines);
    const { canvas, surface } = sharpCanvas(cell * columns, cell * lines);
    await draw(surface, pair, layer, side, drawn, [0, 0, cell * columns, cell * lines], state.direction);
    box.replaceChildren(canvas);
    // numbers of a layer that has another size in the other model do not correspond
    const alike = apartOf(layer, state.direction) !== null;
    const pairs = await Promise.all(
      /** @type {const} */ (["first", "second"]).map((each) =>
        alike || each === side ? mapOf(pair, layer, each, channel, state) : null,
      ),
    );
    pointable(box, (x, y) => {
      const [column, row] = [Math.floor(x / cell), Math.floor(y / cell)];
      const at = row * columns + column;
      if (column < 0 || row < 0 || column >= columns || at >= drawn.data.length) return null;
      const numbers = pairs.map((each) => each?.data[at] ?? null);
      const [place, index] = [[column * cell, row * cell, cell, cell], maps.vector ? [0, at] : [row, column]];
      const text = says(
        pair,
        layer,
        channel,
        /** @type {[number, number]} */ (index),
        numbers[0],
        numbers[1],
        state.exact,
      );
      return { says: text, place: /** @type {import("../colors.js").Place} */ (place) };
    });
  } catch (error) {
    box.append(h("span", { class: "none" }, "not available"));
    console.warn(error);
  }
}

/** @type {WeakMap<Element, () => void>} */
const works = new WeakMap();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target } of entries.filter((each) => each.isIntersecting)) {
      observer.unobserve(target);
      works.get(target)?.();
    }
  },
  { rootMargin: "200px" },
);

/**
 * @param {Element} element
 * @param {() => void} work
 */
function whenSeen(element, work) {
  works.set(element, work);
  observer.observe(element);
}
