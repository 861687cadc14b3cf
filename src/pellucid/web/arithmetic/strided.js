/**
 * A sum over all assignments of a stage, by steps: the same as glassbox/arithmetic/strided.py, to the last bit. Every
 * array lies in a frame of zeros that is large enough for all addresses of the stage, so an assignment's place is a sum
 * of fixed steps. Loops add one block after the other; two assignments of the block's names never lead to one place of
 * the result.
 */

import { evaluate, names } from "./expression.js";

/** @typedef {import("./rows.js").Axis} Axis */
/** @typedef {import("./expression.js").Expression} Expression */
/** @typedef {Record<string, number>} Ranges */
/**
 * How a stage addresses an array.
 * @typedef {object} Frame
 * @property {number[]} shape
 * @property {number[]} before zeros before the array, along each axis
 * @property {number[]} whole the shape with its zeros
 * @property {number} first the flat place of the assignment with all values 0
 * @property {Record<string, number>} steps flat places from one value of an index name to the next
 */

const PIECE = 1 << 14; // assignments that are evaluated at a time

/**
 * How an array is addressed; null if there is a table instead of a step.
 * @param {Axis[]} axes
 * @param {number[]} sizes the array's shape
 * @param {Ranges} ranges
 * @returns {Frame | null}
 */
export function frame(axes, sizes, ranges) {
  if (axes.some(([steps]) => Object.values(steps).some((step) => typeof step !== "number"))) return null;
  const shape = axes.length === sizes.length ? sizes : [size(sizes)];
  const reach = (/** @type {Axis} */ [steps, offset], /** @type {(a: number, b: number) => number} */ pick) =>
    Object.entries(steps).reduce((sum, [name, step]) => sum + pick(0, Number(step) * (ranges[name] - 1)), offset);
  const before = axes.map((axis) => Math.max(0, -reach(axis, Math.min)));
  const after = axes.map((axis, at) => Math.max(0, reach(axis, Math.max) - (shape[at] - 1)));
  const whole = shape.map((count, at) => before[at] + count + after[at]);
  /** @type {Record<string, number>} */
  const steps = Object.fromEntries(Object.keys(ranges).map((name) => [name, 0]));
  let first = 0;
  axes.forEach(([along, offset], at) => {
    const flat = size(whole.slice(at + 1));
    for (const [name, step] of Object.entries(along)) steps[name] += Number(step) * flat;
    first += (offset + before[at]) * flat;
  });
  return { shape, before, whole, first, steps };
}

/**
 * (names of the loops, names of the block), each in the order of the ranges.
 * @param {Ranges} ranges
 * @param {Frame} to
 */
export function parted(ranges, to) {
  const several = Object.keys(ranges).filter((name) => ranges[name] > 1);
  /** @type {string[]} */
  const block = [];
  for (const name of [...several].sort((a, b) => ranges[b] - ranges[a])) {
    if (apart([...block, name], ranges, to.steps)) block.push(name);
  }
  return [several.filter((name) => !block.includes(name)), several.filter((name) => block.includes(name))];
}

/**
 * @param {string[]} names
 * @param {Ranges} ranges
 * @param {Record<string, number>} steps
 */
function apart(names, ranges, steps) {
  let reach = 0;
  for (const name of [...names].sort((a, b) => Math.abs(steps[a]) - Math.abs(steps[b]))) {
    if (Math.abs(steps[name]) <= reach) return false;
    reach += Math.abs(steps[name]) * (ranges[name] - 1);
  }
  return true;
}

/**
 * The sums, flat in the shape of `to`: of `term` over all assignments, each of which reads one number per array.
 * @param {Ranges} ranges
 * @param {Frame} to
 * @param {Record<string, [Frame, ArrayLike<number>]>} reads
 * @param {Expression} term
 */
export function added(ranges, to, reads, term) {
  if (Object.values(ranges).includes(0)) return new Float64Array(size(to.shape));
  const total = new Float64Array(size(to.whole));
  const read = names(term);
  const arrays = read.map((name) => framed(...reads[name]));
  const frames = [to, ...read.map((name) => reads[name][0])];
  const [loops, block] = parted(ranges, to);
  const { sizes, steps } = merged([...loops, ...block], ranges, frames);
  const last = sizes.length - 1;
  const along = steps.map((each) => each[last]);
  const add = typeof term === "string" ? ones : read.length === 2 && bare(term) ? products : any;
  const at = frames.map(({ first }) => first);
  const counter = new Array(last).fill(0);
  for (;;) {
    add(total, arrays, at, along, sizes[last], term, read);
    // on to the next line, the last name but one fastest
    let name = last - 1;
    for (; name >= 0; name--) {
      counter[name] += 1;
      for (let each = 0; each < at.length; each++) at[each] += steps[each][name];
      if (counter[name] < sizes[name]) break;
      for (let each = 0; each < at.length; each++) at[each] -= steps[each][name] * sizes[name];
      counter[name] = 0;
    }
    if (name < 0) return inside(total, to);
  }
}

/**
 * One line of assignments of a * b.
 * @param {Float64Array} total
 * @param {Float64Array[]} arrays
 * @param {number[]} at
 * @param {number[]} along
 * @param {number} count
 */
function products(total, [first, second], at, along, count) {
  let [to, a, b] = at;
  const [onward, stepA, stepB] = along;
  for (let row = 0; row < count; row++) {
    total[to] += first[a] * second[b];
    to += onward;
    a += stepA;
    b += stepB;
  }
}

/**
 * One line of assignments of a bare name.
 * @param {Float64Array} total
 * @param {Float64Array[]} arrays
 * @param {number[]} at
 * @param {number[]} along
 * @param {number} count
 */
function ones(total, [only], [to, from], [onward, step], count) {
  for (let row = 0; row < count; row++) total[to + row * onward] += only[from + row * step];
}

/**
 * One line of assignments of any formula.
 * @param {Float64Array} total
 * @param {Float64Array[]} arrays
 * @param {number[]} at
 * @param {number[]} along
 * @param {number} count
 * @param {Expression} term
 * @param {string[]} read
 */
function any(total, arrays, at, along, count, term, read) {
  for (let start = 0; start < count; start += PIECE) {
    const some = Math.min(PIECE, count - start);
    const columns = arrays.map((array, number) => {
      const step = along[number + 1];
      const first = at[number + 1] + start * step;
      if (step === 1) return array.subarray(first, first + some);
      const column = new Float64Array(some);
      for (let row = 0; row < some; row++) column[row] = array[first + row * step];
      return column;
    });
    const terms = evaluate(term, (name) => columns[read.indexOf(name)], some);
    const to = at[0] + start * along[0];
    for (let row = 0; row < some; row++) total[to + row * along[0]] += terms[row];
  }
}

/** @param {Expression} term */
function bare(term) {
  return Array.isArray(term) && term[0] === "*" && typeof term[1] === "string" && typeof term[2] === "string";
}

/**
 * Merge names that step through every array as one name would, for longer lines.
 * @param {string[]} order
 * @param {Ranges} ranges
 * @param {Frame[]} frames
 */
function merged(order, ranges, frames) {
  /** @type {number[]} */
  const sizes = [];
  /** @type {number[][]} */
  const steps = frames.map(() => []);
  for (const name of [...order].reverse()) {
    const here = frames.map((each) => each.steps[name]);
    if (sizes.length && here.every((step, each) => step === steps[each][0] * sizes[0])) {
      sizes[0] *= ranges[name];
      continue;
    }
    sizes.unshift(ranges[name]);
    steps.forEach((each, number) => {
      each.unshift(here[number]);
    });
  }
  if (!sizes.length) return { sizes: [1], steps: frames.map(() => [0]) };
  return { sizes, steps };
}

/**
 * The array in its frame, flat.
 * @param {Frame} frame
 * @param {ArrayLike<number>} array
 */
function framed({ shape, before, whole }, array) {
  if (size(shape) === size(whole)) return new Float64Array(array);
  const values = new Float64Array(size(whole));
  lines(shape, before, whole, (from, to, count) => {
    for (let at = 0; at < count; at++) values[to + at] = array[from + at];
  });
  return values;
}

/**
 * The array without its frame, flat.
 * @param {Float64Array} array
 * @param {Frame} frame
 */
function inside(array, { shape, before, whole }) {
  if (size(shape) === size(whole)) return array;
  const values = new Float64Array(size(shape));
  lines(shape, before, whole, (from, to, count) => {
    for (let at = 0; at < count; at++) values[from + at] = array[to + at];
  });
  return values;
}

/**
 * The place of each line along the last axis, without the frame and in it.
 * @param {number[]} shape
 * @param {number[]} before
 * @param {number[]} whole
 * @param {(plain: number, framed: number, count: number) => void} each
 */
function lines(shape, before, whole, each) {
  const count = shape[shape.length - 1];
  for (let plain = 0; plain < size(shape); plain += count) {
    let rest = plain;
    let place = 0;
    let flat = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += ((rest % shape[axis]) + before[axis]) * flat;
      rest = Math.floor(rest / shape[axis]);
      flat *= whole[axis];
    }
    each(plain, place, count);
  }
}

/** @param {number[]} shape */
function size(shape) {
  return shape.reduce((a, b) => a * b, 1);
}
