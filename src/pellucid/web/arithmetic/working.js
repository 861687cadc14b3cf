/**
 * The working of one number: its terms, their sum, the value that PyTorch computed, and the difference. The same as
 * glassbox/trace/working.py. Arrays are fetched first, then everything is computed at once.
 */

import { GRADIENT, OUT } from "./declaration.js";
import { Evaluator } from "./evaluator.js";
import { withTables } from "./rows.js";
import { indexOf, position } from "../trace.js";

/** @typedef {import("./evaluator.js").Terms} Terms */
/** @typedef {import("./evaluator.js").Column} Column */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../trace.js").Node} Node */
/**
 * Terms that are added: those of one stage of one op.
 * @typedef {object} Part
 * @property {string} through the node with the terms' op
 * @property {string} of the name of their sum if that is not the number itself: "total"; else ""
 * @property {number[]} index
 * @property {Terms} terms
 * @property {(column: string) => string} named a column -> the trace's array with its numbers
 * @property {boolean} windows whether the op has windows, with a stride and a dilation
 * @property {(column: string) => number} lead how many leading axes of its indices are the batch's
 * @property {{name: string, index: number[], changed: boolean}} [updated] the weight, in an optimizer's lines, and
 *   whether a hook has changed its gradient before
 */
/**
 * @typedef {object} Working
 * @property {string} name
 * @property {number[]} index
 * @property {"value" | "gradient" | "update"} quantity
 * @property {string} kind
 * @property {Part[]} parts
 * @property {Part[]} between intermediate numbers that no array holds, in their order of computation
 * @property {number} recorded PyTorch's value
 * @property {number} total
 * @property {number} difference
 * @property {number} bound the largest difference that rounding explains
 * @property {string[]} unwritten nodes whose arithmetic is not supported
 * @property {Record<string, any>} settings of an optimizer
 * @property {string} note why the arithmetic is not supported, if that is known
 * @property {number} leftOut intermediate numbers that are not shown, because there are too many
 */

const LINES = 5000; // numbers between that one working looks at
const ROUND = /** @type {Record<string, number>} */ ({ float32: 2 ** -24, float64: 2 ** -53 });

/**
 * How a unit came about.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} index in the user's notation
 * @returns {Promise<Working>}
 */
export async function value(trace, name, index) {
  const whole = trace.whole(name, index);
  const recorded = await stored(trace, `value/${name}`, whole);
  const node = trace.node(name);
  const kind = node?.kind ?? (trace.parameter(name) ? "a weight" : "a stored number");
  const start = { name, index, quantity: /** @type {const} */ ("value"), kind };
  if (!node || !Object.keys(node.reads).length) return closed(start, [], [], recorded, 0);
  if (node.op === null) return closed(start, [], [], recorded, 0, [name]);
  const evaluator = await evaluatorOf(trace, node, false);
  const sums = evaluator.forward(whole);
  const parts = sums.map((terms) => part(trace, node, evaluator, terms, "", whole));
  const [between, leftOut] = betweens(trace, node, evaluator, sums);
  return { ...closed(start, parts, between, recorded, boundOf(trace, name, sums)), leftOut };
}

/**
 * How the gradient of the loss with respect to a unit or a weight came about.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} index
 * @returns {Promise<Working>}
 */
export async function gradient(trace, name, index) {
  const whole = trace.whole(name, index);
  const recorded = await stored(trace, `gradient/${name}`, whole);
  const start = { name, index, quantity: /** @type {const} */ ("gradient"), kind: "gradient" };
  if (name === trace.nodes[trace.nodes.length - 1].name) {
    return { ...closed(start, [], [], recorded, 0), kind: "the loss", total: 1, difference: 1 - recorded };
  }
  /** @type {Part[]} */ const parts = [];
  /** @type {Part[]} */ const between = [];
  /** @type {string[]} */ const unwritten = [];
  /** @type {Terms[]} */ const all = [];
  const hooks = [trace.hook(name)];
  let leftOut = 0;
  for (const { node, local } of trace.users(name)) {
    if (!trace.has(`gradient/${node.name}`)) continue;
    if (node.op === null) {
      if (!unwritten.includes(node.name)) unwritten.push(node.name);
      continue;
    }
    hooks.push(node.hooked);
    const evaluator = await evaluatorOf(trace, node, true);
    const sums = evaluator.backward(local, whole);
    all.push(...sums);
    parts.push(...sums.map((terms) => part(trace, node, evaluator, terms, "", whole)));
    const [inner, more] = betweens(trace, node, evaluator, sums);
    between.push(...inner);
    leftOut += more;
  }
  const worked = closed(start, parts, between, recorded, boundOf(trace, name, all), unwritten);
  return { ...hooked(worked, hooks), leftOut };
}

/**
 * The step that the optimizer would make with a weight; null if it makes none.
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} index
 * @returns {Promise<Working | null>}
 */
export async function update(trace, name, index) {
  const step = trace.update(name);
  if (!step) return null;
  const recorded = await stored(trace, `after/${name}`, index);
  const weight = await stored(trace, `value/${name}`, index);
  const start = { name, index, quantity: /** @type {const} */ ("update"), kind: trace.about.optimizer };
  const settings = { ...step.settings, weight };
  if (step.op === null)
    return { ...closed(start, [], [], recorded, 0, [trace.about.optimizer]), settings, note: step.unwritten };
  const op = trace.opNumber(step.op);
  /** @type {Record<string, number[]>} */
  const arrays = { weight: [weight], gradient: [await stored(trace, step.gradient, index)] };
  for (const [local, array] of Object.entries(step.remembered)) arrays[local] = [await stored(trace, array, index)];
  for (const local of op.inputs) arrays[local] ??= [0];
  const evaluator = new Evaluator(op, arrays);
  const bare = (/** @type {Terms} */ terms, /** @type {string} */ of) => ({
    through: name,
    of,
    index: [],
    terms,
    named: (/** @type {string} */ column) => inner(trace, name, column),
    windows: false,
    lead: () => 0,
    updated: { name, index, changed: step.gradient !== `gradient/${name}` },
  });
  const sums = evaluator.forward([]);
  const lines = op.stages.map((stage) => stage.out).filter((line) => line !== OUT);
  const between = lines.flatMap((line) => evaluator.forward([], line).map((terms) => bare(terms, line)));
  const parts = sums.map((terms) => bare(terms, ""));
  const kind =
    step.gradient === `gradient/${name}`
      ? op.kind
      : `${op.kind}, with the gradient that a hook of the optimizer changed`;
  const worked = closed({ ...start, kind }, parts, between, recorded, boundOf(trace, name, sums));
  return { ...hooked(worked, [step.hooked]), settings };
}

/**
 * One number of an array.
 * @param {Trace} trace
 * @param {string} array
 * @param {number[]} whole
 */
export async function stored(trace, array, whole) {
  const { shape, data } = await trace.array(array);
  return data[position(whole, shape)];
}

/** @type {WeakMap<Trace, Map<string, Promise<Evaluator>>>} */
const evaluators = new WeakMap();

/**
 * A node's op with its numbers, made once; it caches its results.
 * @param {Trace} trace
 * @param {Node} node
 * @param {boolean} backward
 * @returns {Promise<Evaluator>}
 */
export function evaluatorOf(trace, node, backward) {
  const known = evaluators.get(trace) ?? new Map();
  evaluators.set(trace, known);
  const key = `${backward}/${node.name}`;
  const made = known.get(key) ?? makeEvaluator(trace, node, backward);
  known.set(key, made);
  made.catch(() => known.delete(key));
  return made;
}

/**
 * @param {Trace} trace
 * @param {Node} node
 * @param {boolean} backward
 */
async function makeEvaluator(trace, node, backward) {
  const written = /** @type {import("./declaration.js").Op} */ (trace.op(node.name));
  const op = await withTables(written, (array) => trace.array(array));
  const names = Object.entries(node.reads);
  const data = await Promise.all(names.map(async ([, source]) => (await trace.array(`value/${source}`)).data));
  const arriving = backward ? (await trace.array(`gradient/${node.name}`)).data : null;
  const arrays = Object.fromEntries(names.map(([local], at) => [local, data[at]]));
  /** @type {Record<string, any>} */
  const constants = {};
  for (const [name, nested] of Object.entries(op.constants)) {
    if (nested.array)
      arrays[name] = (await trace.array(nested.array)).data; // a large one travels as an array
    else constants[name] = nested;
  }
  return new Evaluator({ ...op, constants }, arrays, arriving);
}

/**
 * @param {{name: string, index: number[], quantity: Working["quantity"], kind: string}} start
 * @param {Part[]} parts
 * @param {Part[]} between
 * @param {number} recorded
 * @param {number} bound
 * @param {string[]} unwritten
 * @returns {Working}
 */
function closed(start, parts, between, recorded, bound, unwritten = []) {
  const total = parts.reduce((sum, each) => sum + each.terms.total, 0);
  const difference = total === recorded ? 0 : total - recorded; // infinity minus itself is no number
  return {
    ...start,
    parts,
    between,
    recorded,
    total,
    difference,
    bound,
    unwritten,
    settings: {},
    leftOut: 0,
    note: "",
  };
}

/**
 * The working, with the hooks in `unwritten` if one has changed the number.
 * @param {Working} working
 * @param {string[]} hooks "" for none
 * @returns {Working}
 */
function hooked(working, hooks) {
  const there = [...new Set(hooks.filter(Boolean))];
  if (!there.length || working.unwritten.length || Math.abs(working.difference) <= working.bound) return working;
  const text = there.join(" and ");
  const note = `${text[0].toUpperCase()}${text.slice(1)} changed this number. The terms add up to what it was before.`;
  return { ...working, unwritten: there, note };
}

/**
 * A name for an op's own array that no array of the trace has.
 * @param {Trace} trace
 * @param {string} through
 * @param {string} local
 */
function inner(trace, through, local) {
  return trace.known(local.replace(GRADIENT, "")) ? `${local} in ${through}` : local;
}

/**
 * @param {Trace} trace
 * @param {string} name
 * @param {Terms[]} sums
 */
function boundOf(trace, name, sums) {
  const [unit, smallest] = trace.precision(name) ?? [ROUND[trace.dtype(`value/${name}`)], 0];
  return trace.about.rounding * (unit * sums.reduce((sum, terms) => sum + terms.scale, 0) + smallest);
}

/**
 * @param {Trace} trace
 * @param {Node} node
 * @param {Evaluator} evaluator
 * @param {Terms} terms
 * @param {string} of
 * @param {number[]} index
 * @returns {Part}
 */
function part(trace, node, evaluator, terms, of, index) {
  /** @param {string} column */
  const named = (column) => {
    const local = column.replace(GRADIENT, "");
    const source = local === OUT && column !== local ? node.name : node.reads[local];
    if (source === undefined) return inner(trace, node.name, column);
    return column === local ? source : GRADIENT + source;
  };
  const lead = (/** @type {string} */ column) =>
    batchAxes(trace, node, evaluator.op, column === "won" ? OUT : column.replace(GRADIENT, ""));
  const windows = /convolution|pooling/.test(node.kind);
  return {
    through: node.name,
    of: of && named(of),
    index: index.slice(of ? lead(of) : 0),
    terms,
    windows,
    named,
    lead,
  };
}

/**
 * How many leading axes of an op's array are the batch's: 0 or 1.
 * @param {Trace} trace
 * @param {Node} node
 * @param {import("./declaration.js").Op} op
 * @param {string} local
 */
function batchAxes(trace, node, op, local) {
  if (local in node.reads) return trace.batched(node.reads[local]) ? 1 : 0;
  const shape = op.shapes[local] ?? [];
  // a loss has no batch axis, but its input has
  const batched = node.batched || !node.shape.length;
  const constant = node.op !== null && local in trace.opNumber(node.op).constants;
  const own = constant && String(shape) !== String(op.shapes[op.inputs[0]]); // such as pooling's shares
  return batched && shape.length > 0 && shape[0] === 1 && !own ? 1 : 0;
}

/**
 * The intermediate numbers behind `sums`, in their order of computation, each once.
 * @param {Trace} trace
 * @param {Node} node
 * @param {Evaluator} evaluator
 * @param {Terms[]} sums
 * @returns {[Part[], number]} and how many there are beyond LINES
 */
function betweens(trace, node, evaluator, sums) {
  const { op } = evaluator;
  const made = new Set(op.stages.map((stage) => stage.out).filter((name) => name !== OUT));
  /** @type {Map<string, Part[]>} */
  const seen = new Map();
  /** @type {Set<string>} */
  const passed = new Set();
  const visit = (/** @type {Terms[]} */ groups) => {
    for (const terms of groups) {
      for (const column of terms.columns) if (made.has(column.name.replace(GRADIENT, ""))) look(column);
    }
  };
  const look = (/** @type {Column} */ column) => {
    const array = column.name.replace(GRADIENT, "");
    const shape = op.shapes[array];
    const places = Array.from(column.values, (_, row) =>
      position(
        column.indices.map((axis) => axis[row]),
        shape,
      ),
    );
    for (const place of [...new Set(places)].sort((a, b) => a - b)) {
      const key = `${column.name} ${place}`;
      if (seen.has(key)) continue;
      if (seen.size >= LINES) {
        passed.add(key);
        continue;
      }
      const index = indexOf(place, shape);
      const groups = column.name === array ? evaluator.forward(index, array) : evaluator.backward(array, index);
      visit(groups);
      seen.set(
        key,
        groups.map((terms) => part(trace, node, evaluator, terms, column.name, index)),
      );
    }
  };
  visit(sums);
  return [[...seen.values()].flat(), passed.size];
}
