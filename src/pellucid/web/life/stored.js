/** The lives that are inside a file: gradients of every step, from which the values follow; the largest steps' pictures. */

import { restored } from "../arithmetic/rebuild.js";

/** @typedef {import("./data.js").Life} Life */
/** @typedef {import("./data.js").Step} Step */
/**
 * The document of the lives; app/lives.py writes it.
 * @typedef {object} Content
 * @property {[string, number[]][]} weights arrays, whose weights follow one another
 * @property {Record<string, any>} about what all lives share
 * @property {number} rate
 * @property {number[]} sizes pictures in each step of an epoch
 * @property {{path: string, label: string}[]} pictures
 * @property {import("../arithmetic/declaration.js").Op} op
 */
/** @typedef {import("../host.js").Lives} Lives */

/**
 * The names and shapes of the arrays whose lives are inside.
 * @param {Lives} lives
 * @returns {Promise<[string, number[]][]>}
 */
export async function inside(lives) {
  return (await lives.document()).weights;
}

/**
 * @param {Lives} lives
 * @param {string} place
 * @returns {Promise<Life | null>} null if it is not inside
 */
export async function stored(lives, place) {
  /** @type {Content} */
  const content = await lives.document();
  const at = rowOf(content.weights, place);
  if (at < 0) return null;
  const part = async (/** @type {string} */ name) => {
    const { shape, data } = await lives.array(name);
    const each = data.length / shape[0];
    return data.subarray(at * each, (at + 1) * each);
  };
  const names = [
    "first",
    "gradients",
    "rounding",
    "largest",
    "rows",
    "parts",
    "others",
    "pushers",
    "up",
    "down",
    "times",
    "pushed",
    "left",
  ];
  const [first, gradients, rounding, largest, rows, parts, others, pushers, up, down, times, pushed, left] =
    await Promise.all(names.map(part));
  const values = valuesOf(first[0], content.rate, gradients, /** @type {any} */ (rounding));
  const { steps } = content.about;
  const many = rows.length / largest.length;
  const picture = (/** @type {number} */ row) => ({ row, ...content.pictures[row] });
  return /** @type {Life} */ ({
    ...content.about,
    weight: place,
    values,
    gradients: Array.from(gradients),
    rates: new Array(steps).fill(content.rate),
    first: values[0],
    last: values[steps],
    saved: values[steps],
    exact: true,
    drift: null,
    pushed: pushed[0],
    rounding: left[0],
    largest: Array.from(largest, (step, number) => ({
      step,
      before: values[step - 1],
      after: values[step],
      gradient: gradients[step - 1],
      rate: content.rate,
      op: content.op,
      remembered: {},
      pictures: Array.from({ length: many }, (_, each) => number * many + each).map((each) => ({
        ...picture(rows[each]),
        part: parts[each],
      })),
      others: { count: content.sizes[(step - 1) % content.sizes.length] - many, part: others[number] },
    })),
    pushers: Array.from(pushers, (row, each) => ({
      ...picture(row),
      up: up[each],
      down: down[each],
      times: times[each],
    })),
  });
}

/**
 * Who made the filters.
 * @param {Lives} lives
 * @returns {Promise<import("./data.js").Makers>}
 */
export async function makersInside(lives) {
  const { makers, pictures } = await lives.document();
  return { ...makers, pictures };
}

/**
 * A picture of the training, drawn from the file.
 * @param {Lives} lives
 * @param {number} row
 * @param {CanvasRenderingContext2D} surface
 */
export async function draw(lives, row, surface) {
  const { shape, data } = await lives.array("pictures");
  const [, height, width] = shape;
  const image = surface.createImageData(width, height);
  for (let at = 0; at < height * width; at++) {
    const grey = data[row * height * width + at];
    image.data.set([grey, grey, grey, 255], 4 * at);
  }
  [surface.canvas.width, surface.canvas.height] = [width, height];
  surface.putImageData(image, 0, 0);
}

/**
 * Plain gradient descent, in double precision and rounded once; the stored distance leads to what PyTorch computed.
 * @param {number} first
 * @param {number} rate
 * @param {ArrayLike<number>} gradients
 * @param {Uint32Array} rounding
 */
function valuesOf(first, rate, gradients, rounding) {
  const values = [first];
  for (let step = 0; step < gradients.length; step++) {
    const worked = Float32Array.of(values[step] - rate * gradients[step]);
    values.push(restored(rounding.subarray(step, step + 1), worked)[0]);
  }
  return values;
}

/**
 * @param {[string, number[]][]} weights
 * @param {string} place
 */
function rowOf(weights, place) {
  let before = 0;
  for (const [name, shape] of weights) {
    const count = shape.reduce((a, b) => a * b, 1);
    if (place.startsWith(`${name},`)) {
      const index = place
        .slice(name.length + 1)
        .split(",")
        .map(Number);
      if (index.length === shape.length && index.every((at, axis) => at < shape[axis]))
        return before + index.reduce((sum, at, axis) => sum * shape[axis] + at, 0);
    }
    before += count;
  }
  return -1;
}
