/** Filters and maps of every layer, redrawn in place. A click on a weight chooses it. */

import { largestOf, signedImage } from "../colors.js";
import { h } from "../element.js";
import { number, size } from "../format.js";
import { wall } from "../training/moment.js";
import { decoded } from "./numbers.js";

/** @typedef {import("./numbers.js").Layer} Layer */
/** @typedef {import("./numbers.js").Weight} Weight */

const SIDES = { filter: 56, map: 72, row: 10 }; // CSS pixels of a tile, and of a number in a row
const LOWEST = 14; // pixels of a row of numbers

/** @param {(name: string, at: number) => void} choose */
export function createWalls(choose) {
  const node = h("div", { class: "stack live-walls" });
  /** @type {Map<string, {wall: ReturnType<typeof wall>, place: (x: number, y: number) => number}>} */
  const walls = new Map();
  let shown = "";

  /**
   * @param {string} key
   * @param {string} name of the weights; "" for a map
   */
  function made(key, name) {
    const entry = { wall: wall(), place: (/** @type {number} */ _x, /** @type {number} */ _y) => -1 };
    if (name)
      entry.wall.node.addEventListener("click", (event) => {
        const canvas = /** @type {HTMLElement} */ (event.target);
        if (!canvas.matches("canvas")) return;
        const { left, top } = canvas.getBoundingClientRect();
        const at = entry.place(event.clientX - left, event.clientY - top);
        if (at >= 0) choose(name, at);
      });
    walls.set(key, entry);
    return entry;
  }

  return {
    node,
    /**
     * @param {Layer[]} layers
     * @param {number} width
     */
    show(layers, width) {
      const keys = layers.flatMap(({ name, weights }) => [
        ...weights.filter(({ shape }) => shape.length > 1).map((each) => each.name),
        `${name}/map`,
      ]);
      if (keys.join() !== shown) {
        shown = keys.join();
        walls.clear();
        node.replaceChildren(...keys.map((key) => made(key, key.endsWith("/map") ? "" : key).wall.node));
      }
      for (const layer of layers) {
        for (const weight of layer.weights)
          if (weight.shape.length > 1) draw(weight.name, ofWeight(layer, weight), width);
        draw(`${layer.name}/map`, ofMap(layer), width);
      }
    },
  };

  /**
   * @param {string} key
   * @param {ReturnType<typeof tiles>} drawn
   * @param {number} width
   */
  function draw(key, { title, data, count, each, columns, rows, side }, width) {
    const entry = walls.get(key);
    if (!entry) return;
    const most = largestOf(data);
    const image = (/** @type {number} */ at) =>
      signedImage(data.subarray(at * each, at * each + rows * columns), columns, rows, most);
    const wanted = Math.min(side, width);
    const {
      columns: inRow,
      across,
      down,
    } = entry.wall.draw(
      title,
      `full colour at ±${number(most, false, 3)}`,
      { count, aspect: columns / rows, side: wanted, image },
      width,
    );
    entry.place = (x, y) => {
      const [tile, line] = [Math.floor(x / across), Math.floor(y / down)];
      const at = line * inRow + tile;
      const [column, row] = [
        Math.floor(((x - tile * across) / (across - 6)) * columns),
        Math.floor(((y - line * down) / (down - 6)) * rows),
      ];
      if (tile >= inRow || at >= count || column >= columns || row >= rows) return -1;
      return at * each + row * columns + column;
    };
  }
}

/**
 * @param {string} title
 * @param {Float32Array} data
 * @param {number} count of tiles
 * @param {number} each numbers from one tile to the next; the first rows × columns of them are drawn
 * @param {number} columns
 * @param {number} rows
 * @param {number} side
 */
function tiles(title, data, count, each, columns, rows, side) {
  return { title, data, count, each, columns, rows, side };
}

/**
 * @param {Layer} layer
 * @param {Weight} weight
 */
function ofWeight(layer, weight) {
  const { shape, of } = weight;
  const data = decoded(weight.now);
  const some = shape.join() === of.join() ? size(of) : `the first ${size(shape)} of ${size(of)}`;
  if (shape.length === 2)
    return tiles(
      `Weights of ${layer.name}: ${some}, a row for each output`,
      data,
      1,
      data.length,
      shape[1],
      shape[0],
      shape[1] * SIDES.row,
    );
  const [rows, columns] = shape.slice(-2);
  const kernels = shape[0] * shape[1];
  return tiles(`Filters of ${layer.name}: ${some}`, data, kernels, rows * columns, columns, rows, SIDES.filter);
}

/** @param {Layer} layer */
function ofMap(layer) {
  const { shape, of, numbers } = layer.output;
  const data = decoded(numbers);
  if (shape.length === 1)
    return tiles(
      `Outputs of ${layer.name}: ${size(of)}`,
      data,
      1,
      data.length,
      shape[0],
      1,
      Math.max(shape[0] * LOWEST, 20),
    );
  const [count, rows, columns] = shape;
  const less = rows < of[1] || columns < of[2] ? `, averaged to ${rows} × ${columns}` : "";
  const some = count < of[0] ? `the first ${count} of ${size(of)}` : size(of);
  return tiles(`Maps of ${layer.name}: ${some}${less}`, data, count, rows * columns, columns, rows, SIDES.map);
}
