/**
 * Rebuild the arrays of an offline page that follow from others: compute them again, to the last bit as
 * glassbox/page/rebuild.py does, and correct them by the stored difference. Only float64 + - * / max min sqrt, in
 * order: the same on every machine.
 */

import { evaluate, names } from "./expression.js";
import { limited } from "./precision.js";
import { along, flat, places, withTables } from "./rows.js";
import { added, frame } from "./strided.js";

/** @typedef {import("./declaration.js").Op} Op */
/** @typedef {import("./declaration.js").Stage} Stage */
/** @typedef {import("./declaration.js").Numbers} Numbers */
/** @typedef {import("./rows.js").Rows} Rows */
/** @typedef {(name: string) => Promise<{data: Numbers}>} Load a whole array of the page */

const CHUNK = 1 << 15; // assignments at a time
const ARRIVING = ""; // the gradient of a stage's out, beside the arrays that have names

/**
 * The recorded numbers of an array, from its sources and the stored difference of the bits.
 * @param {any} document
 * @param {string} array "value/relu1"
 * @param {"value" | "gradient" | "update"} kind
 * @param {Uint32Array} stored
 * @param {Load} load
 */
export async function rebuilt(document, array, kind, stored, load) {
  const name = array.slice(array.indexOf("/") + 1);
  const make = { value, gradient, update }[kind];
  const worked = new Float32Array(await make(document, name, load));
  for (let at = 0; at < worked.length; at++) worked[at] += 0; // no -0, whose sign max may or may not keep
  return restored(stored, worked);
}

/**
 * @param {Uint32Array} stored zigzag: 0, -1, 1, -2, 2, ... as 0, 1, 2, 3, 4, ...
 * @param {Float32Array} from
 */
export function restored(stored, from) {
  const bits = new Int32Array(from.buffer.slice(0));
  for (let at = 0; at < bits.length; at++) bits[at] += (stored[at] >>> 1) ^ -(stored[at] & 1);
  return new Float32Array(bits.buffer);
}

/**
 * A node's numbers from those that it reads.
 * @param {any} document
 * @param {string} name
 * @param {Load} load
 */
async function value(document, name, load) {
  const node = document.nodes.find((/** @type {any} */ each) => each.name === name);
  const op = await withTables(document.ops[node.op], load);
  const arrays = await inputs(op, node.reads, load);
  /** @type {Record<string, Float64Array>} */
  const made = {};
  for (const stage of op.stages) {
    const result = forward(stage, op, { ...arrays, ...made });
    const before = made[stage.out];
    made[stage.out] = before ? before.map((each, at) => each + result[at]) : result;
  }
  return made.out;
}

/**
 * A gradient from those of all that read the array.
 * @param {any} document
 * @param {string} name
 * @param {Load} load
 */
async function gradient(document, name, load) {
  /** @type {Float64Array | null} */
  let total = null;
  for (const node of document.nodes) {
    if (!Object.values(node.reads).includes(name) || !(`gradient/${node.name}` in document.arrays)) continue;
    const op = await withTables(document.ops[node.op], load);
    const arrays = await inputs(op, node.reads, load);
    const arriving = (await load(`gradient/${node.name}`)).data;
    for (const local of Object.keys(node.reads).filter((each) => node.reads[each] === name)) {
      for (const stage of op.stages.filter((each) => each.through && names(each.term).includes(local))) {
        const result = backward(stage, op, local, arrays, arriving);
        /** @type {Float64Array} */
        const before = total ?? new Float64Array(result.length);
        total = before.map((each, at) => each + result[at]);
      }
    }
  }
  return /** @type {Float64Array} */ (total);
}

/**
 * All weights of a parameter after an optimizer's step.
 * @param {any} document
 * @param {string} name
 * @param {Load} load
 */
async function update(document, name, load) {
  const step = document.updates[name];
  const before = { weight: `value/${name}`, gradient: step.gradient, ...step.remembered };
  /** @type {Record<string, Float64Array>} */
  const arrays = {};
  for (const [local, array] of Object.entries(before)) arrays[local] = Float64Array.from((await load(array)).data);
  const count = arrays.weight.length;
  const op = /** @type {Op} */ (document.ops[step.op]);
  for (const [name, number] of Object.entries(op.constants)) arrays[name] = new Float64Array(count).fill(number);
  for (const stage of op.stages) {
    const result = evaluate(stage.term, (local) => arrays[local], count);
    arrays[stage.out] = stage.precision ? result.map((each) => limited(each, stage.precision)) : result;
  }
  return arrays.out;
}

/**
 * @param {Op} op
 * @param {Record<string, string>} reads
 * @param {Load} load
 */
async function inputs(op, reads, load) {
  /** @type {Record<string, Numbers>} */
  const arrays = {};
  for (const [local, source] of Object.entries(reads)) arrays[local] = (await load(`value/${source}`)).data;
  for (const [name, nested] of Object.entries(op.constants)) {
    arrays[name] = nested.array ? (await load(nested.array)).data : [nested].flat(Infinity);
  }
  return arrays;
}

/**
 * A stage's out over all its assignments.
 * @param {Stage} stage
 * @param {Op} op
 * @param {Record<string, Numbers>} arrays
 */
function forward(stage, op, arrays) {
  const frames = framesOf(stage, [stage.out, ...names(stage.term)], op);
  if (frames) return added(stage.ranges, frames[stage.out], framed(names(stage.term), frames, arrays), stage.term);
  const result = new Float64Array(size(op.shapes[stage.out])).fill(stage.pick === "max" ? -Infinity : 0);
  for (const rows of assignments(stage.ranges)) {
    const to = where(stage, stage.out, op, rows);
    const terms = evaluate(stage.term, (name) => read(stage, name, op, rows, arrays), rows.of.length);
    if (stage.pick === "max") {
      const from = names(stage.term).map((name) => where(stage, name, op, rows));
      to.at.forEach((place, row) => {
        if (to.inside[row] && from.every(({ inside }) => inside[row]))
          result[place] = Math.max(result[place], terms[row]);
      });
    } else {
      to.at.forEach((place, row) => {
        if (to.inside[row]) result[place] += terms[row];
      });
    }
  }
  return result;
}

/**
 * A stage's contribution to the gradient of one of the arrays that it reads.
 * @param {Stage} stage
 * @param {Op} op
 * @param {string} name
 * @param {Record<string, Numbers>} arrays
 * @param {Numbers} arriving
 */
function backward(stage, op, name, arrays, arriving) {
  const slope = stage.derivatives?.[name] ?? 0;
  const frames = framesOf(stage, [name, stage.out, ...names(stage.term)], op);
  if (frames) {
    const reads = framed(names(slope), frames, arrays);
    reads[ARRIVING] = [frames[stage.out], arriving];
    return added(stage.ranges, frames[name], reads, ["*", ARRIVING, slope]);
  }
  const result = new Float64Array(size(op.shapes[name]));
  if (stage.pick === "max") {
    const largest = forward(stage, op, arrays);
    const taken = new Uint8Array(largest.length); // to the first of the largest
    for (const rows of assignments(stage.ranges)) {
      const to = where(stage, name, op, rows);
      const out = where(stage, stage.out, op, rows);
      to.at.forEach((place, row) => {
        const window = out.at[row];
        if (!to.inside[row] || !out.inside[row] || taken[window] || arrays[name][place] !== largest[window]) return;
        taken[window] = 1;
        result[place] += arriving[window];
      });
    }
    return result;
  }
  for (const rows of assignments(stage.ranges)) {
    const to = where(stage, name, op, rows);
    const out = where(stage, stage.out, op, rows);
    const slopes = evaluate(slope, (each) => read(stage, each, op, rows, arrays), rows.of.length);
    to.at.forEach((place, row) => {
      if (to.inside[row] && out.inside[row]) result[place] += arriving[out.at[row]] * slopes[row];
    });
  }
  return result;
}

/**
 * How a stage addresses these arrays by steps; null if it picks, or if there is a table instead of a step.
 * @param {Stage} stage
 * @param {string[]} wanted
 * @param {Op} op
 * @returns {Record<string, import("./strided.js").Frame> | null}
 */
function framesOf(stage, wanted, op) {
  if (stage.pick !== "sum") return null;
  /** @type {Record<string, import("./strided.js").Frame>} */
  const frames = {};
  for (const name of wanted) {
    const known = frame(stage.maps[name], op.shapes[name], stage.ranges);
    if (!known) return null;
    frames[name] = known;
  }
  return frames;
}

/**
 * @param {string[]} read
 * @param {Record<string, import("./strided.js").Frame>} frames
 * @param {Record<string, Numbers>} arrays
 * @returns {Record<string, [import("./strided.js").Frame, Numbers]>}
 */
function framed(read, frames, arrays) {
  return Object.fromEntries(read.map((name) => [name, [frames[name], arrays[name]]]));
}

/**
 * All assignments of the index names, the last one fastest, in batches.
 * @param {Record<string, number>} ranges
 * @returns {Generator<Rows>}
 */
function* assignments(ranges) {
  const each = Object.entries(ranges);
  const all = size(each.map(([, count]) => count));
  for (let start = 0; start < all; start += CHUNK) {
    const of = Int32Array.from({ length: Math.min(CHUNK, all - start) }, (_, row) => start + row);
    /** @type {Record<string, Int32Array>} */
    const named = {};
    let inner = 1;
    for (const [name, count] of [...each].reverse()) {
      const block = inner;
      named[name] = of.map((row) => ((row / block) | 0) % count);
      inner *= count;
    }
    yield { of, names: named };
  }
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {Op} op
 * @param {Rows} rows
 */
function where(stage, name, op, rows) {
  const shape = op.shapes[name];
  const axes = stage.maps[name];
  if (axes.length === 1 && shape.length !== 1) {
    return { at: along(axes[0], rows), inside: new Uint8Array(rows.of.length).fill(1) }; // addressed flattened
  }
  const { indices, inside } = places(axes, rows, shape);
  return { at: flat(indices, shape), inside };
}

/**
 * @param {Stage} stage
 * @param {string} name
 * @param {Op} op
 * @param {Rows} rows
 * @param {Record<string, Numbers>} arrays
 */
function read(stage, name, op, rows, arrays) {
  const { at, inside } = where(stage, name, op, rows);
  const numbers = arrays[name];
  return Float64Array.from(at, (place, row) => (inside[row] ? numbers[place] : 0));
}

/** @param {number[]} shape */
function size(shape) {
  return shape.reduce((a, b) => a * b, 1);
}
