/** A layer in the strip: a square with its first maps, and their places in it. */

import { h, sharpCanvas } from "../element.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf } from "../layer/maps.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

const SIDE = 68; // CSS pixels
const GAP = 4;

/**
 * Draws a layer's first four maps into its square; a picture or a vector fills it alone.
 * @param {Context} context
 * @param {Node} node
 * @param {HTMLElement} square
 */
export async function drawSquare({ trace, state }, node, square) {
  const maps = mapsOf(trace, node.name, state.direction);
  if (!maps) return;
  const { canvas, surface } = sharpCanvas(SIDE, SIDE);
  try {
    const tiles = tilesOf(trace, node, state);
    if (isPicture(trace, node.name, state.direction)) await drawPicture(surface, trace, maps, tiles[0]);
    else {
      for (const [channel, place] of tiles.entries()) {
        const data = await mapData(trace, maps, channel);
        drawMap(surface, maps, data, limitOf(trace, maps, state.scale, data), place);
      }
    }
    square.prepend(canvas);
  } catch (error) {
    square.append(h("span", { class: "none" }, "not available"));
    console.warn(error);
  }
}

/**
 * The places of the maps in the square: x, y, width, height, each map in its own proportions.
 * @param {Trace} trace
 * @param {Node} node
 * @param {PageState} state
 * @returns {import("../colors.js").Place[]}
 */
export function tilesOf(trace, node, state) {
  const maps = mapsOf(trace, node.name, state.direction);
  if (!maps) return [];
  const alone = maps.channels === 1 || isPicture(trace, node.name, state.direction);
  const side = alone ? SIDE : (SIDE - GAP) / 2;
  const square = maps.vector ? 1 : maps.width / maps.height;
  const [width, height] = square >= 1 ? [side, side / square] : [side * square, side];
  return Array.from({ length: alone ? 1 : Math.min(4, maps.channels) }, (_, tile) => [
    (tile % 2) * (side + GAP) + (maps.vector && maps.width <= 12 ? side / 3 : (side - width) / 2),
    Math.floor(tile / 2) * (side + GAP) + (side - height) / 2,
    maps.vector && maps.width <= 12 ? side / 3 : width,
    height,
  ]);
}
