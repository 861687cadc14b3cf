/**
 * The gradient of one number by central differences: the number is moved a little up and a little down, and the change
 * goes on through the declarations, op by op, to the loss:
 *
 *     slope = (loss(value + h) - loss(value - h)) / 2h
 *
 * No derivative is used on the way. Only changes are computed, in float64. Where they reach too many numbers, or an op
 * without a declaration, the recorded gradients stand in for the rest of the way.
 */

import { OUT } from "./declaration.js";
import { evaluate, names } from "./expression.js";
import { flat, places, selected, solve, unflat } from "./rows.js";
import { evaluatorOf } from "./working.js";
import { position } from "../trace.js";

/** @typedef {import("./declaration.js").Stage} Stage */
/** @typedef {import("./evaluator.js").Evaluator} Evaluator */
/** @typedef {import("./evaluator.js").Column} Column */
/** @typedef {import("./rows.js").Rows} Rows */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {Map<number, number[]>} Changes a number's position in its array -> its change after up and after down */
/**
 * @typedef {object} Central
 * @property {number} slope
 * @property {number[]} sides the slopes to either side; where they differ, the loss has a corner
 * @property {number} step h
 * @property {string[]} passed the nodes that the change went through
 * @property {{name: string, why: string}[]} stopped where recorded gradients stand in
 */

const STEP = 1e-6; // times the number, or 1 if it is smaller
const BUDGET = 300_000; // products that are computed for one number
const PIECE = 10_000; // products between two pauses

/**
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} index in the user's notation
 * @param {() => Promise<boolean>} pause called often; false stops the work
 * @returns {Promise<Central | null>} null if stopped
 */
export async function central(trace, name, index, pause) {
  const { shape, data } = await trace.array(`value/${name}`);
  const at = position(trace.whole(name, index), shape);
  const step = STEP * Math.max(1, Math.abs(data[at]));
  /** @type {Map<string, Changes>} */
  const changed = new Map([[name, new Map([[at, [data[at] + step - data[at], data[at] - step - data[at]]]])]]);
  const known = { left: BUDGET, passed: /** @type {string[]} */ ([]), stopped: /** @type {Central["stopped"]} */ ([]) };
  const ends = [0, 0];
  const loss = trace.nodes[trace.nodes.length - 1].name;
  const close = async (/** @type {string} */ array) => {
    const why = array === loss ? "" : await obstacle(trace, array, /** @type {Changes} */ (changed.get(array)), known);
    if (array !== loss && why === "") return;
    if (why) known.stopped.push({ name: array, why });
    const gradients = array === loss ? null : (await trace.array(`gradient/${array}`)).data;
    for (const [place, both] of /** @type {Changes} */ (changed.get(array))) {
      both.forEach((change, side) => (ends[side] += change * (gradients ? gradients[place] : 1)));
    }
    changed.delete(array);
  };
  await close(name);
  for (const node of trace.nodes) {
    const moving = Object.entries(node.reads).filter(([, source]) => changed.has(source));
    if (!moving.length || !trace.has(`gradient/${node.name}`)) continue;
    if (!(await pause())) return null;
    const evaluator = await evaluatorOf(trace, node, false);
    const local = new Map(moving.map(([own, source]) => [own, /** @type {Changes} */ (changed.get(source))]));
    const result = await through(evaluator, local, pause);
    if (!result) return null;
    changed.set(node.name, result);
    known.passed.push(node.name);
    await close(node.name);
  }
  const [up, down] = [ends[0] / step, -ends[1] / step];
  return { slope: (up + down) / 2, sides: [up, down], step, passed: known.passed, stopped: known.stopped };
}

/**
 * Why the recorded gradients stand in from an array on; "" if its change can be followed.
 * @param {Trace} trace
 * @param {string} name
 * @param {Changes} changes
 * @param {{left: number}} budget
 */
async function obstacle(trace, name, changes, budget) {
  if (trace.hook(name)) return `${trace.hook(name)} changes its gradient`;
  let products = 0;
  for (const { node, local } of trace.users(name)) {
    if (!trace.has(`gradient/${node.name}`)) continue;
    if (node.op === null) return `the arithmetic of ${node.name} is not known`;
    if (node.hooked) return `${node.hooked} changes its gradient`;
    const { op } = await evaluatorOf(trace, node, false);
    const made = new Set(op.stages.map((stage) => stage.out));
    for (const stage of op.stages) {
      const reads = names(stage.term);
      // a number in between, such as a mean, may change all others
      if (reads.some((read) => made.has(read))) products += Object.values(stage.ranges).reduce((a, b) => a * b, 1);
      if (!changes.size || !reads.includes(local)) continue;
      const [place] = changes.keys();
      const rows = solve(stage, local, unflat(Int32Array.of(place), op.shapes[local]), op.shapes[local]);
      products += rows.of.length * changes.size;
    }
  }
  if (products > budget.left) return "it would take too many products";
  budget.left -= products;
  return "";
}

/**
 * The changes of an op's result, from those of its inputs.
 * @param {Evaluator} evaluator
 * @param {Map<string, Changes>} changes of each input that changes
 * @param {() => Promise<boolean>} pause
 * @returns {Promise<Changes | null>} null if stopped
 */
async function through(evaluator, changes, pause) {
  const all = new Map(changes);
  for (const stage of evaluator.op.stages) {
    const reads = names(stage.term).filter((name) => all.get(name)?.size);
    if (!stage.through || !reads.length) continue;
    const own = all.get(stage.out) ?? new Map();
    all.set(stage.out, own);
    for (const piece of pieces(evaluator, stage, reads, all)) {
      if (!(await pause())) return null;
      const more =
        stage.pick === "max" ? largest(evaluator, stage, reads, piece) : sums(evaluator, stage, reads, piece);
      for (const [place, both] of more) {
        const before = own.get(place) ?? [0, 0];
        own.set(place, [before[0] + both[0], before[1] + both[1]]);
      }
    }
  }
  return all.get(OUT) ?? new Map();
}

/**
 * Changes that can be followed apart from each other: those of the only array that changes, if its terms are added.
 * @param {Evaluator} evaluator
 * @param {Stage} stage
 * @param {string[]} reads
 * @param {Map<string, Changes>} changes
 * @returns {Iterable<Map<string, Changes>>}
 */
function* pieces({ op: { shapes } }, stage, reads, changes) {
  const [read, ...others] = reads;
  if (others.length || stage.pick === "max") return void (yield changes);
  const own = [.../** @type {Changes} */ (changes.get(read))];
  const each = solve(stage, read, unflat(Int32Array.of(own[0][0]), shapes[read]), shapes[read]).of.length;
  const size = Math.max(1, Math.floor(PIECE / Math.max(1, each)));
  for (let at = 0; at < own.length; at += size) yield new Map([[read, new Map(own.slice(at, at + size))]]);
}

/**
 * @param {Evaluator} evaluator
 * @param {Stage} stage
 * @param {string[]} reads
 * @param {Map<string, Changes>} changes
 * @returns {Changes}
 */
function sums(evaluator, stage, reads, changes) {
  const { shapes } = evaluator.op;
  const rows = touched(evaluator, stage, reads, changes);
  const { indices } = places(stage.maps[stage.out], rows, shapes[stage.out]);
  const at = flat(indices, shapes[stage.out]);
  const { columns } = evaluator.gather(stage, rows);
  const [before, ...after] = [-1, 0, 1].map((side) => valuesOf(evaluator, stage, columns, changes, side));
  /** @type {Changes} */
  const result = new Map();
  at.forEach((place, row) => {
    const both = result.get(place) ?? [0, 0];
    result.set(place, both);
    after.forEach((values, side) => (both[side] += values[row] - before[row]));
  });
  return result;
}

/**
 * Of the largest: each window with a changed candidate is looked at again.
 * @param {Evaluator} evaluator
 * @param {Stage} stage
 * @param {string[]} reads
 * @param {Map<string, Changes>} changes
 * @returns {Changes}
 */
function largest(evaluator, stage, reads, changes) {
  const { shapes } = evaluator.op;
  const rows = touched(evaluator, stage, reads, changes);
  const { indices } = places(stage.maps[stage.out], rows, shapes[stage.out]);
  const windows = Int32Array.from(new Set(flat(indices, shapes[stage.out])));
  const part = evaluator.forwardStage(stage, unflat(windows, shapes[stage.out]));
  const best = [-1, 0, 1].map((side) => {
    const values = valuesOf(evaluator, stage, part.columns, changes, side);
    const own = new Float64Array(windows.length).fill(-Infinity);
    part.rows.of.forEach((of, row) => {
      if (part.columns.every(({ inside }) => inside[row])) own[of] = Math.max(own[of], values[row]);
    });
    return own;
  });
  const change = (/** @type {number} */ of, /** @type {number} */ side) =>
    best[side][of] === best[0][of] ? 0 : best[side][of] - best[0][of]; // both may be infinite
  return new Map(Array.from(windows, (place, of) => [place, [change(of, 1), change(of, 2)]]));
}

/**
 * The terms with a changed number, each once.
 * @param {Evaluator} evaluator
 * @param {Stage} stage
 * @param {string[]} reads
 * @param {Map<string, Changes>} changes
 * @returns {Rows}
 */
function touched({ op: { shapes } }, stage, reads, changes) {
  const groups = reads.map((read) => {
    const moved = Int32Array.from(/** @type {Changes} */ (changes.get(read)).keys());
    return solve(stage, read, unflat(moved, shapes[read]), shapes[read]);
  });
  const order = Object.keys(stage.ranges);
  const join = (/** @type {(rows: Rows) => Int32Array} */ column) =>
    Int32Array.from(groups.flatMap((rows) => Array.from(column(rows))));
  /** @type {Rows} */
  const rows = {
    of: join(({ of }) => of),
    names: Object.fromEntries(order.map((name) => [name, join(({ names: own }) => own[name])])),
  };
  const seen = new Set();
  const { inside } = places(stage.maps[stage.out], rows, shapes[stage.out]);
  const keep = inside.map((is, row) => {
    const key = order.reduce((sum, name) => sum * stage.ranges[name] + rows.names[name][row], 0);
    const first = is && !seen.has(key);
    seen.add(key);
    return first ? 1 : 0;
  });
  return selected(rows, keep);
}

/**
 * The terms before the change (side -1), after it upwards (0), and after it downwards (1).
 * @param {Evaluator} evaluator
 * @param {Stage} stage
 * @param {Column[]} columns
 * @param {Map<string, Changes>} changes
 * @param {number} side
 */
function valuesOf({ op: { shapes } }, stage, columns, changes, side) {
  const byName = Object.fromEntries(
    columns.map(({ name, indices, values, inside }) => {
      const own = changes.get(name);
      if (!own || side < 0) return [name, values];
      const at = flat({ count: values.length, axes: indices }, shapes[name]);
      return [name, values.map((value, row) => value + (inside[row] ? (own.get(at[row])?.[side] ?? 0) : 0))];
    }),
  );
  return evaluate(stage.term, (name) => byName[name], columns[0]?.values.length ?? 0);
}
