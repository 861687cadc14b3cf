/** Arrays of maps: the places of their numbers, and their colour scale, for every view that draws them. */

import { drawImage, largestOf, pixelImage, signedImage } from "../colors.js";
import { number, unit } from "../format.js";
import { indexOf } from "../trace.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageState} PageState */
/**
 * @typedef {object} Maps
 * @property {string} name
 * @property {"value" | "gradient"} prefix
 * @property {number} channels
 * @property {number} height
 * @property {number} width
 * @property {boolean} vector
 */

/**
 * A layer's array as maps: (C, H, W) has C of them, (n,) is one of width n, folded into lines; null without numbers.
 * @param {Trace} trace
 * @param {string} name
 * @param {PageState["direction"]} direction
 * @returns {Maps | null}
 */
export function mapsOf(trace, name, direction) {
  const prefix = direction === "backward" ? "gradient" : "value";
  if (!trace.has(`${prefix}/${name}`)) return null;
  const shape = trace.shape(name);
  if (shape.length >= 3) {
    const [height, width] = shape.slice(-2);
    return { name, prefix, channels: count(shape.slice(0, -2)), height, width, vector: false };
  }
  if (shape.length === 2) return { name, prefix, channels: 1, height: shape[0], width: shape[1], vector: false };
  return { name, prefix, channels: 1, height: 1, width: shape[0] ?? 1, vector: true };
}

/**
 * One map's numbers.
 * @param {Trace} trace
 * @param {Maps} maps
 * @param {number} channel
 * @returns {Promise<ArrayLike<number>>}
 */
export async function mapData(trace, maps, channel) {
  const key = `${maps.prefix}/${maps.name}`;
  if (trace.batched(maps.name) && maps.channels > 1 && trace.shape(maps.name).length === 3) {
    return trace.channel(key, channel);
  }
  const size = maps.height * maps.width;
  return (await trace.array(key)).data.subarray(channel * size, (channel + 1) * size);
}

/**
 * The number with the full colour: the largest in this map, its layer, or the network.
 * @param {Trace} trace
 * @param {Maps} maps
 * @param {PageState["scale"]} scale
 * @param {ArrayLike<number>} data
 */
export function limitOf(trace, maps, scale, data) {
  if (scale === "unit") return largestOf(data);
  const nodes = scale === "layer" ? trace.nodes.filter((node) => node.name === maps.name) : trace.nodes.filter(inside);
  if (maps.prefix === "gradient") return Math.max(0, ...nodes.map((node) => node.gradient_largest ?? 0));
  return Math.max(0, ...nodes.flatMap(({ range }) => [Math.abs(range[0] ?? 0), Math.abs(range[2] ?? 0)]));
}

/**
 * Whether a node counts in the network's scale: not the picture, whose 0 to 255 would hide all others.
 * @param {import("../trace.js").Node} node
 */
function inside(node) {
  return Object.keys(node.reads).length > 0;
}

/**
 * Whether a layer's numbers are pixels, to show in their own colours.
 * @param {Trace} trace
 * @param {string} name
 * @param {PageState["direction"]} direction
 */
export function isPicture(trace, name, direction) {
  const shape = trace.shape(name);
  const node = trace.node(name);
  return direction !== "backward" && !!node && name === trace.nodes[0].name && [1, 3].includes(shape[0]);
}

/**
 * Draws one map into a rectangle. A vector is folded into lines.
 * @param {CanvasRenderingContext2D} surface
 * @param {Maps} maps
 * @param {ArrayLike<number>} data
 * @param {number} limit
 * @param {import("../colors.js").Place} place
 */
export function drawMap(surface, maps, data, limit, place) {
  if (!maps.vector) {
    drawImage(surface, signedImage(data, maps.width, maps.height, limit), place);
    return;
  }
  const columns = folded(maps.width);
  const rows = Math.ceil(maps.width / columns);
  const padded = new Float64Array(columns * rows);
  padded.set(data);
  drawImage(surface, signedImage(padded, columns, rows, limit), place);
}

/**
 * The picture in its colours.
 * @param {CanvasRenderingContext2D} surface
 * @param {Trace} trace
 * @param {Maps} maps
 * @param {import("../colors.js").Place} place
 */
export async function drawPicture(surface, trace, maps, place) {
  const channels = await Promise.all(Array.from({ length: maps.channels }, (_, c) => mapData(trace, maps, c)));
  const [low, , high] = trace.node(maps.name)?.range ?? [0, 0, 255];
  const bytes = low >= 0 && high > 1;
  const image = pixelImage(channels, maps.width, maps.height, bytes ? 0 : low, bytes ? 255 : high);
  drawImage(surface, image, place);
}

/**
 * The number of a drawn map at a place of the drawing, as pointing.js names it.
 * @param {Trace} trace
 * @param {Maps} maps
 * @param {{channel: number, data: ArrayLike<number>}[]} drawn the map, or a picture's channels
 * @param {import("../colors.js").Place} place of the map
 * @param {{x: number, y: number, exact: boolean}} pointer
 * @returns {import("../pointing.js").Pointed | null} null beside the map
 */
export function numberAt(trace, maps, drawn, [left, top, wide, tall], { x, y, exact }) {
  const columns = maps.vector ? folded(maps.width) : maps.width;
  const rows = maps.vector ? Math.ceil(maps.width / columns) : maps.height;
  const [cell, line] = [wide / columns, tall / rows];
  const [column, row] = [Math.floor((x - left) / cell), Math.floor((y - top) / line)];
  const at = row * columns + column;
  if (column < 0 || row < 0 || column >= columns || row >= rows || at >= drawn[0].data.length) return null;
  const says = drawn.map(({ channel, data }) => nameOf(trace, maps, channel, [row, column], data[at], exact));
  return { says: says.join(", "), place: [left + column * cell, top + row * line, cell, line] };
}

/**
 * "conv1[3, 10, 12] is 0.5", or "gradient of conv1[3, 10, 12] is 0.5".
 * @param {Trace} trace
 * @param {Maps} maps
 * @param {number} channel
 * @param {[number, number]} at row, column
 * @param {number} value
 * @param {boolean} exact
 */
export function nameOf(trace, maps, channel, [row, column], value, exact) {
  const lead = indexOf(channel, trace.shape(maps.name).slice(0, -2));
  const index = maps.vector ? [row * folded(maps.width) + column] : [...lead, row, column];
  const shown = unit(maps.name, trace.shape(maps.name).length ? index : []);
  return `${maps.prefix === "gradient" ? "gradient of " : ""}${shown} is ${number(value, exact)}`;
}

/** @param {number} length */
export function folded(length) {
  return length <= 12 ? 1 : Math.ceil(Math.sqrt(length));
}

/** @param {number[]} sizes */
function count(sizes) {
  return sizes.reduce((a, b) => a * b, 1);
}
