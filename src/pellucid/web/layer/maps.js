/** Arrays of maps: where their numbers are and how strongly they are coloured. One place for all who draw them. */

import { drawImage, largestOf, pixelImage, signedImage } from "../colors.js";

/** @typedef {import("../run.js").Run} Run */
/** @typedef {import("../store.js").State} State */
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
 * A layer's array as maps: (C, H, W) is C of them, (n,) one that is n wide folded into lines. null: no numbers.
 * @param {Run} run
 * @param {string} name
 * @param {State["direction"]} direction
 * @returns {Maps | null}
 */
export function mapsOf(run, name, direction) {
  const prefix = direction === "backward" ? "gradient" : "value";
  if (!run.has(`${prefix}/${name}`)) return null;
  const shape = run.shape(name);
  if (shape.length >= 3) {
    const [height, width] = shape.slice(-2);
    return { name, prefix, channels: count(shape.slice(0, -2)), height, width, vector: false };
  }
  if (shape.length === 2) return { name, prefix, channels: 1, height: shape[0], width: shape[1], vector: false };
  return { name, prefix, channels: 1, height: 1, width: shape[0] ?? 1, vector: true };
}

/**
 * One map's numbers.
 * @param {Run} run
 * @param {Maps} maps
 * @param {number} channel
 * @returns {Promise<ArrayLike<number>>}
 */
export async function mapData(run, maps, channel) {
  const key = `${maps.prefix}/${maps.name}`;
  if (run.batched(maps.name) && maps.channels > 1 && run.shape(maps.name).length === 3) {
    return run.channel(key, channel);
  }
  const size = maps.height * maps.width;
  return (await run.array(key)).data.subarray(channel * size, (channel + 1) * size);
}

/**
 * What has the full colour: in this map, its layer, or the network.
 * @param {Run} run
 * @param {Maps} maps
 * @param {State["scale"]} scale
 * @param {ArrayLike<number>} data
 */
export function limitOf(run, maps, scale, data) {
  if (scale === "unit") return largestOf(data);
  const nodes = scale === "layer" ? run.nodes.filter((node) => node.name === maps.name) : run.nodes.filter(inside);
  if (maps.prefix === "gradient") return Math.max(0, ...nodes.map((node) => node.gradient_largest ?? 0));
  return Math.max(0, ...nodes.flatMap(({ range }) => [Math.abs(range[0] ?? 0), Math.abs(range[2] ?? 0)]));
}

/**
 * Not the picture, whose 0 to 255 would drown all others.
 * @param {import("../run.js").Node} node
 */
function inside(node) {
  return Object.keys(node.reads).length > 0;
}

/**
 * Whether a layer's numbers are pixels, to be seen as such.
 * @param {Run} run
 * @param {string} name
 * @param {State["direction"]} direction
 */
export function isPicture(run, name, direction) {
  const shape = run.shape(name);
  const given = run.node(name);
  return direction !== "backward" && !!given && name === run.nodes[0].name && [1, 3].includes(shape[0]);
}

/**
 * Draws one map into a rectangle. A vector is folded into lines.
 * @param {CanvasRenderingContext2D} context
 * @param {Maps} maps
 * @param {ArrayLike<number>} data
 * @param {number} limit
 * @param {[number, number, number, number]} place x, y, width, height
 */
export function drawMap(context, maps, data, limit, [x, y, width, height]) {
  if (!maps.vector) {
    drawImage(context, signedImage(data, maps.width, maps.height, limit), x, y, width, height);
    return;
  }
  const columns = folded(maps.width);
  const rows = Math.ceil(maps.width / columns);
  const padded = new Float64Array(columns * rows);
  padded.set(data);
  drawImage(context, signedImage(padded, columns, rows, limit), x, y, width, height);
}

/**
 * The picture in its colours.
 * @param {CanvasRenderingContext2D} context
 * @param {Run} run
 * @param {Maps} maps
 * @param {[number, number, number, number]} place
 */
export async function drawPicture(context, run, maps, [x, y, width, height]) {
  const channels = await Promise.all(Array.from({ length: maps.channels }, (_, c) => mapData(run, maps, c)));
  const [low, , high] = run.node(maps.name)?.range ?? [0, 0, 255];
  const bytes = low >= 0 && high > 1;
  const image = pixelImage(channels, maps.width, maps.height, bytes ? 0 : low, bytes ? 255 : high);
  drawImage(context, image, x, y, width, height);
}

/** @param {number} length */
export function folded(length) {
  return length <= 12 ? 1 : Math.ceil(Math.sqrt(length));
}

/** @param {number[]} sizes */
function count(sizes) {
  return sizes.reduce((a, b) => a * b, 1);
}
