/**
 * The article from its beginning in its own small numbers, then as a walk through the reader's own network. There, every
 * name, size and number in a text comes from the trace. Lessons on missing parts of a network are left out.
 */

import * as article from "./article.js";
import { pooled, sized } from "./asked.js";
import * as convolution from "./convolution.js";
import * as layers from "./layers.js";
import * as learning from "./learning.js";
import * as life from "./life.js";
import { onward, routeOf, strongest, windowOf } from "./route.js";
import * as onPaper from "./scores.js";
import { START } from "../store.js";
import { onAnUnsure } from "./unsure.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("./route.js").Route} Route */
/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */
/**
 * @typedef {object} Lesson
 * @property {string} name in the address
 * @property {string} title
 * @property {() => Promise<LessonStep[]>} steps
 */

/** @type {[string, string, (route: Route, trace: Trace) => boolean, (base: any) => Promise<LessonStep[]>][]} */
const LESSONS = [
  ["matrix", "A picture is a matrix", always, article.matrix],
  ["one-weight", "One weight", always, article.oneWeight],
  ["two-weights", "Two weights", always, article.twoWeights],
  ["zeros", "Zeros at the sides", always, article.zeros],
  ["six-by-six", "Nine weights on 6 × 6 pixels", always, article.sixBySix],
  ["steps", "Larger steps, and a border", always, article.strideAndPadding],
  ["pools", "Three kinds of pooling", always, article.pools],
  ["photograph", "Edges, blur and sharpening", always, article.filters],
  ["fit", "How large is the output?", always, article.fits],
  ["network", "The article’s own network", always, article.network],
  ["picture", "A picture is numbers", ({ picture }) => picture.shape.length === 3, convolution.picture],
  ["filter", "The filter slides", slides, convolution.filter],
  ["stride", "Stride", slides, convolution.stride],
  ["size", "Zeros at the border, and the size of a map", slides, then(convolution.sizes, sized)],
  ["filters", "Many filters", slides, convolution.filters],
  ["norm", "One scale for all maps", ({ norm }) => !!norm, layers.norm],
  ["activation", "The activation", ({ activation }) => !!activation, layers.activation],
  ["pooling", "Pooling", ({ conv }) => !!conv, then(layers.pooling, pooled)],
  ["join", "Two paths meet", ({ join }) => !!join, layers.join],
  ["average", "One number for a whole map", ({ global }) => !!global, layers.average],
  ["flatten", "All in a row", ({ flat, global }) => !!flat && flat.reads.input !== global?.name, layers.flatten],
  [
    "output",
    "Scores become probabilities",
    ({ scores }) => scores.shape.length === 1,
    then(learning.output, onPaper.softmax),
  ],
  ["loss", "The loss", ({ loss }) => !loss.shape.length, unsure(then(learning.loss, onPaper.loss))],
  [
    "backward",
    "Backward: where a gradient comes from",
    ({ scores }) => scores.shape.length === 1,
    unsure(then(learning.backward, onPaper.gradient)),
  ],
  ["update", "The update", learns, unsure(learning.update)],
  ["life", "The life of a weight", (_, trace) => life.lives(trace), life.ofAWeight],
];

/**
 * Further steps behind those of a lesson.
 * @param {(base: any) => Promise<LessonStep[]>} write
 * @param {(base: any) => LessonStep | LessonStep[] | Promise<LessonStep[]>} more
 */
function then(write, more) {
  return async (/** @type {Base} */ base) => (await write(base)).concat(await more(base));
}

/**
 * On a picture of which the network is not sure.
 * @param {(base: any) => Promise<LessonStep[]>} write
 */
function unsure(write) {
  return (/** @type {Base} */ base) => onAnUnsure(base, write);
}

function always() {
  return true;
}

/**
 * @param {Route} route
 * @param {Trace} trace
 */
function slides({ conv }, trace) {
  return !!conv && conv.op !== null && !!windowOf(trace, conv);
}

/**
 * @param {Route} route
 * @param {Trace} trace
 */
function learns(route, trace) {
  const weights = learning.weightsOf(trace, route);
  return !!weights && !!trace.update(weights);
}

/** @type {WeakMap<Trace, Lesson[]>} */
const known = new WeakMap();

/**
 * The lessons that this network can show, in order.
 * @param {Trace} trace
 * @returns {Lesson[]}
 */
export function lessonsOf(trace) {
  const lessons = known.get(trace) ?? made(trace);
  known.set(trace, lessons);
  return lessons;
}

/**
 * @param {Trace} trace
 * @returns {Lesson[]}
 */
function made(trace) {
  const route = routeOf(trace);
  const base = once(() => baseOf(trace, route));
  return LESSONS.filter(([, , has]) => has(route, trace)).map(([name, title, , write]) => ({
    name,
    title,
    steps: once(async () => write(await base())),
  }));
}

/**
 * @template T
 * @param {() => Promise<T>} make
 * @returns {() => Promise<T>} made on first use, and cached
 */
function once(make) {
  /** @type {Promise<T> | null} */
  let result = null;
  return () => (result ??= make());
}

/**
 * @param {Trace} trace
 * @param {Route} route
 */
async function baseOf(trace, route) {
  const { conv } = route;
  const hero = conv ? await strongest(trace, conv) : [];
  const stops = new Map();
  let node = conv;
  let index = hero;
  while (node && !stops.has(node.name)) {
    stops.set(node.name, index);
    if (node === route.flat || node === route.scores) break;
    /** @type {Node | undefined} */
    const next = trace.users(node.name)[0]?.node;
    const there = next && next.kind !== "convolution" ? await onward(trace, { node, index }, next) : null;
    [node, index] = there && next ? [next, there] : [null, []];
  }
  return { trace, route, stops, hero, conv, window: conv && windowOf(trace, conv) };
}

/**
 * The state that shows a step.
 * @param {Lesson} lesson
 * @param {number} at its number, from 0
 * @param {Partial<PageState>} place
 * @returns {Partial<PageState>}
 */
export function stateOf(lesson, at, place) {
  const { view, name, index, cursor, direction, channel, page, sorted } = START;
  const fresh = { view, place: "", name, index, cursor, direction, channel, page, sorted, playing: false };
  return { ...fresh, ...place, lesson: `${lesson.name}.${at + 1}` };
}
