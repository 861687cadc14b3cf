/**
 * The subject of each lesson in this network: layers by their function, never by name, and one number's way through
 * them.
 */

import { position } from "../trace.js";
import { evaluatorOf, value } from "../arithmetic/working.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../trace.js").Node} Node */
/**
 * @typedef {{stride: number, size: number, reach: number, before: number}} Along one axis: reach including gaps, zeros
 */
/** @typedef {{node: Node, index: number[]}} Stop a layer and the number there that the lessons follow */
/**
 * @typedef {object} Route
 * @property {Node} picture the first layer
 * @property {Node | null} scaled the picture's pixels as numbers near zero
 * @property {Node | null} conv the first convolution
 * @property {Node | null} later the next one that reads another layer's maps
 * @property {Node | null} norm
 * @property {Node | null} activation
 * @property {Node | null} pool the first one with a map as output
 * @property {Node | null} global pooling with one number per map
 * @property {Node | null} join where two paths meet
 * @property {Node | null} flat
 * @property {Node} scores the input of the loss
 * @property {Node | null} softmax
 * @property {Node | null} sigmoid of each score, for several labels a picture
 * @property {Node} loss
 */
/**
 * @typedef {object} LessonStep
 * @property {string} text a paragraph; text between ` is code
 * @property {Partial<import("../store.js").PageState>} place where it is seen
 * @property {Partial<import("../store.js").PageState>[]} [way] states on the way there, in order
 * @property {number} [pace] milliseconds that each of them lasts
 * @property {Question} [ask] the reader is to say a number before it is shown
 */
/**
 * @typedef {object} Question
 * @property {string} prompt
 * @property {number} answer
 * @property {number[]} [choices] to choose from; without them the reader types the number
 * @property {number} [within] how far a typed number may be from the answer; 0 if whole
 * @property {string} worked the sum that leads to the answer
 * @property {Partial<import("../store.js").PageState>} [then] where the answer is seen
 */
/**
 * The data of the lessons: the trace, its layers by function, and the place of the followed number in each layer.
 * @typedef {object} Base
 * @property {Trace} trace
 * @property {Route} route
 * @property {Map<string, number[]>} stops
 * @property {number[]} hero the followed number in the first convolution; empty without one
 */
/** @typedef {Base & {conv: Node, window: [Along, Along]}} Ground with a convolution */

/**
 * @param {Trace} trace
 * @returns {Route}
 */
export function routeOf(trace) {
  const { nodes } = trace;
  const loss = nodes[nodes.length - 1];
  const scores = trace.node(Object.values(loss.reads).find((name) => trace.node(name)) ?? "") ?? loss;
  const find = (/** @type {(node: Node) => boolean} */ is) => nodes.find(is) ?? null;
  const maps = (/** @type {string} */ name) => trace.node(name)?.shape.length === 3;
  const single = (/** @type {Node} */ { shape }) => shape.slice(-2).every((size) => size === 1);
  const conv = find(({ kind, shape }) => kind === "convolution" && shape.length === 3);
  const pooling = nodes.filter(({ kind, shape }) => kind.includes("pooling") && shape.length === 3);
  return {
    picture: nodes[0],
    scaled: find(({ kind }) => kind === "standardisation"),
    conv,
    later: find((node) => node.kind === "convolution" && node !== conv && inside(trace, node)),
    norm: find(({ kind, shape }) => kind === "batch norm" && shape.length === 3),
    activation: find((node) => alone(trace, node)),
    pool: pooling.find((node) => !single(node)) ?? null,
    global: pooling.find(single) ?? null,
    join: find(({ kind, reads }) => kind === "addition" && Object.values(reads).filter(maps).length > 1),
    flat: find(({ kind, shape, reads }) => kind === "same numbers" && shape.length === 1 && maps(reads.input)),
    scores,
    softmax: find(({ kind, reads }) => kind === "softmax" && reads.input === scores.name),
    sigmoid: trace.about.several ? find(({ kind, reads }) => kind === "sigmoid" && reads.input === scores.name) : null,
    loss,
  };
}

/**
 * Whether a convolution reads the maps of another layer.
 * @param {Trace} trace
 * @param {Node} node
 */
function inside(trace, { reads }) {
  const before = trace.node(reads.input);
  return !!before?.reads.input;
}

/**
 * Whether a layer computes each number from one number, as an activation does.
 * @param {Trace} trace
 * @param {Node} node
 */
function alone(trace, node) {
  const { input, ...others } = node.reads;
  const op = trace.op(node.name);
  if (!input || !op || op.stages.length !== 1 || node.kind === "same numbers") return false;
  const [{ ranges, maps }] = op.stages;
  const same = String(trace.shape(input)) === String(node.shape);
  return same && !Object.keys(others).length && Object.keys(ranges).length === 1 && "input" in maps;
}

/**
 * The window of a layer, down and across; null without one.
 * @param {Trace} trace
 * @param {Node} node
 * @returns {[Along, Along] | null}
 */
export function windowOf(trace, node) {
  const stage = trace.op(node.name)?.stages.find(({ maps }) => (maps.input?.length ?? 0) >= 3);
  if (!stage) return null;
  const spans = [-2, -1].map((at) => {
    const place = Object.keys(stage.maps[stage.out]?.at(at)?.[0] ?? {});
    const [steps, offset] = stage.maps.input.at(at) ?? [{}, 0];
    const within = Object.keys(steps).filter((name) => !place.includes(name));
    if (place.length !== 1 || within.length !== 1 || !(place[0] in steps)) return null;
    const size = stage.ranges[within[0]];
    const [stride, apart] = [steps[place[0]], steps[within[0]]];
    // the windows of adaptive pooling are not all alike
    if (typeof stride !== "number" || typeof apart !== "number" || typeof offset !== "number") return null;
    return { stride, size, reach: apart * (size - 1) + 1, before: -offset };
  });
  return spans[0] && spans[1] ? [spans[0], spans[1]] : null;
}

/**
 * The number of a convolution that the loss depends on most: it has passed ReLU and won in pooling.
 * @param {Trace} trace
 * @param {{name: string, shape: number[]}} node or weights
 * @returns {Promise<number[]>}
 */
export async function strongest(trace, node) {
  const array = trace.has(`gradient/${node.name}`) ? `gradient/${node.name}` : `value/${node.name}`;
  const { data } = await trace.array(array);
  let best = Math.floor(data.length / 2);
  let size = 0;
  for (let at = 0; at < data.length; at++) {
    if (Math.abs(data[at]) > size) [best, size] = [at, Math.abs(data[at])];
  }
  let rest = best;
  return node.shape.map((_, axis) => {
    const each = node.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const at = Math.floor(rest / each);
    rest -= at * each;
    return at;
  });
}

/**
 * Where a number goes in a layer that reads it: of several windows with it, the one in which it wins.
 * @param {Trace} trace
 * @param {Stop} from
 * @param {Node} to
 * @returns {Promise<number[] | null>} null if it goes nowhere
 */
export async function onward(trace, { node, index }, to) {
  const local = Object.entries(to.reads).find(([, name]) => name === node.name)?.[0];
  if (!local || to.op === null) return null;
  const evaluator = await evaluatorOf(trace, to, false);
  const axes = evaluator
    .places(local, trace.whole(node.name, index), "out")
    .find((each) => each.length && each[0].length);
  if (!axes) return null;
  const all = Array.from(axes[0], (_, row) =>
    trace.short(
      to.name,
      axes.map((axis) => axis[row]),
    ),
  );
  if (all.length > 9) return all[0];
  for (const at of all) {
    const [part] = (await value(trace, to.name, at)).parts;
    const { winner, columns } = part?.terms ?? {};
    if (winner === undefined || winner === null) return all[0];
    const won = columns[0].indices.slice(-index.length).map((axis) => axis[winner]);
    if (String(won) === String(index)) return at;
  }
  return all[0];
}

/**
 * A stored number of an array.
 * @param {Trace} trace
 * @param {string} array
 * @param {string} name of the layer or weight that the index is in
 * @param {number[]} index in the user's notation
 */
export async function read(trace, array, name, index) {
  const { shape, data } = await trace.array(array);
  return data[position(trace.whole(name, index), shape)];
}
