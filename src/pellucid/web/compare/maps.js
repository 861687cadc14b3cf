/** The maps of one layer in both models, and their difference, with common colours. */

import { largestOf } from "../colors.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf } from "../layer/maps.js";
import { apartOf } from "./pair.js";
import { texts } from "./numbers.js";
import { unit } from "../format.js";
import { indexOf } from "../trace.js";

/** @typedef {import("../layer/maps.js").Maps} Maps */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("./pair.js").Layer} Layer */
/** @typedef {import("./pair.js").Pair} Pair */
/** @typedef {"first" | "second" | "difference"} Side */
/** @typedef {{maps: Maps, data: ArrayLike<number>, limit: number}} Drawn */

/**
 * The maps of a layer in one model; null without.
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {"first" | "second"} side
 * @param {PageState["direction"]} direction
 */
export function mapsIn(pair, layer, side, direction) {
  const name = layer[side];
  return name === null ? null : mapsOf(pair[side], name, direction);
}

/**
 * The map with the number that differs most; the first one if none does.
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {PageState["direction"]} direction
 */
export function usual(pair, layer, direction) {
  const index = apartOf(layer, direction)?.index ?? [];
  if (index.length < 3) return 0;
  return pair.first
    .shape(layer.first ?? "")
    .slice(0, -2)
    .reduce((at, size, axis) => at * size + index[axis], 0);
}

/**
 * One map of a layer with its colour scale; null where there is none.
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {Side} side
 * @param {number} channel
 * @param {Pick<PageState, "direction" | "scale">} state
 * @returns {Promise<Drawn | null>}
 */
export async function mapOf(pair, layer, side, channel, { direction, scale }) {
  if (side === "difference") {
    if (!apartOf(layer, direction)) return null;
    const [one, other] = await Promise.all([
      mapOf(pair, layer, "first", channel, { direction, scale }),
      mapOf(pair, layer, "second", channel, { direction, scale }),
    ]);
    if (!one || !other) return null;
    const data = Float64Array.from(one.data, (value, at) => other.data[at] - value);
    return { maps: one.maps, data, limit: differenceLimit(pair, layer, data, direction, scale) };
  }
  const maps = mapsIn(pair, layer, side, direction);
  if (!maps || channel >= maps.channels) return null;
  const data = await mapData(pair[side], maps, channel);
  const limit = await commonLimit(pair, layer, { maps, side, channel, data }, direction, scale);
  return { maps, data, limit };
}

/**
 * The number with the full colour in both models' maps.
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {{maps: Maps, side: "first" | "second", channel: number, data: ArrayLike<number>}} own
 * @param {PageState["direction"]} direction
 * @param {PageState["scale"]} scale
 */
async function commonLimit(pair, layer, { maps, side, channel, data }, direction, scale) {
  const own = limitOf(pair[side], maps, scale, data);
  const beside = side === "first" ? "second" : "first";
  const others = mapsIn(pair, layer, beside, direction);
  if (!others || channel >= others.channels) return own;
  const twin = scale === "unit" ? await mapData(pair[beside], others, channel) : [];
  return Math.max(own, limitOf(pair[beside], others, scale, twin));
}

/**
 * The difference with the full colour: the largest in this map, this layer, or the network without its picture.
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {ArrayLike<number>} data
 * @param {PageState["direction"]} direction
 * @param {PageState["scale"]} scale
 */
function differenceLimit({ first, comparison }, layer, data, direction, scale) {
  if (scale === "unit") return largestOf(data);
  const inside = comparison.layers.filter((each) => each.first !== null && first.node(each.first)?.op !== null);
  const all = scale === "layer" ? [layer] : inside;
  return Math.max(0, ...all.map((each) => Math.abs(apartOf(each, direction)?.difference ?? 0)));
}

/**
 * @param {CanvasRenderingContext2D} surface
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {Side} side
 * @param {Drawn} drawn
 * @param {import("../colors.js").Place} place
 * @param {PageState["direction"]} direction
 */
export function draw(surface, pair, layer, side, { maps, data, limit }, place, direction) {
  if (side !== "difference" && isPicture(pair[side], layer[side] ?? "", direction))
    return drawPicture(surface, pair[side], maps, place);
  return drawMap(surface, maps, data, limit, place);
}

/**
 * A number of a map in both models: "conv1[3, 5, 1]: A 0.92, B 0.87, B − A −0.05".
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {number} channel
 * @param {[number, number]} at row, column
 * @param {number | null} one
 * @param {number | null} other
 * @param {boolean} exact
 */
export function says(pair, layer, channel, [row, column], one, other, exact) {
  const side = layer.first === null || one === null ? "second" : "first";
  const shape = pair[side].shape(layer[side] ?? "");
  const index =
    shape.length < 2 ? [column].slice(0, shape.length) : [...indexOf(channel, shape.slice(0, -2)), row, column];
  const name = unit(layer[side] ?? "", index);
  if (one !== null && other !== null) {
    const shown = texts(one, other, exact);
    return `${name}: A ${shown.first}, B ${shown.second}, B − A ${shown.difference}`;
  }
  const only = texts(one ?? other, one ?? other, exact).first;
  return `${name}: ${one === null ? "B" : "A"} ${only}`;
}
