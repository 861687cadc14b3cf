/** A layer in the strip: a square with its first maps, and their places in it. */

import { h, sharpCanvas } from "../element.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf, numberAt } from "../layer/maps.js";
import { pointable } from "../pointing.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

/** @type {WeakMap<Element, number>} */
const sides = new WeakMap();

/**
 * An empty square.
 * @param {number} side in CSS pixels
 */
export function squareOf(side) {
  const square = h("span", { class: "square", style: { width: `${side}px`, height: `${side}px` } });
  sides.set(square, side);
  return square;
}

/**
 * Draws a layer's first four maps into its square; a picture or a vector fills it alone.
 * @param {Context} context
 * @param {Node} node
 * @param {HTMLElement} square
 */
export async function drawSquare({ trace, state }, node, square) {
  const maps = mapsOf(trace, node.name, state.direction);
  if (!maps) return;
  const side = sides.get(square) ?? 0;
  const { canvas, surface } = sharpCanvas(side, side);
  square.classList.toggle("narrow", narrow(maps));
  try {
    const tiles = tilesOf(trace, node, state, square);
    const picture = isPicture(trace, node.name, state.direction);
    const count = picture ? maps.channels : tiles.length;
    const drawn = await Promise.all(
      Array.from({ length: count }, async (_, channel) => ({ channel, data: await mapData(trace, maps, channel) })),
    );
    if (picture) await drawPicture(surface, trace, maps, tiles[0]);
    else {
      drawn.forEach(({ data }, at) => drawMap(surface, maps, data, limitOf(trace, maps, state.scale, data), tiles[at]));
    }
    square.prepend(canvas);
    pointable(square, (x, y) => {
      const shown = picture ? [drawn] : drawn.map((each) => [each]);
      const pointer = { x, y, exact: state.exact };
      const all = shown.map((numbers, at) => numberAt(trace, maps, numbers, tiles[at], pointer));
      return all.find((each) => each !== null) ?? null;
    });
  } catch (error) {
    square.append(h("span", { class: "none" }, "not available"));
    console.warn(error);
  }
}

/**
 * The places of the maps in a square: x, y, width, height, each map in its own proportions.
 * @param {Trace} trace
 * @param {Node} node
 * @param {PageState} state
 * @param {Element} square
 * @returns {import("../colors.js").Place[]}
 */
export function tilesOf(trace, node, state, square) {
  const maps = mapsOf(trace, node.name, state.direction);
  if (!maps) return [];
  const whole = sides.get(square) ?? 0;
  const gap = whole > 40 ? 4 : 2;
  const alone = maps.channels === 1 || isPicture(trace, node.name, state.direction);
  const side = alone ? whole : (whole - gap) / 2;
  const aspect = maps.vector ? 1 : maps.width / maps.height;
  const [width, height] = aspect >= 1 ? [side, side / aspect] : [side * aspect, side];
  return Array.from({ length: alone ? 1 : Math.min(4, maps.channels) }, (_, tile) => [
    (tile % 2) * (side + gap) + (narrow(maps) ? side / 3 : (side - width) / 2),
    Math.floor(tile / 2) * (side + gap) + (side - height) / 2,
    narrow(maps) ? side / 3 : width,
    height,
  ]);
}

/**
 * Whether the maps are a short vector, which is drawn as a column of a third of the square's width.
 * @param {{vector: boolean, width: number}} maps
 */
function narrow({ vector, width }) {
  return vector && width <= 12;
}
