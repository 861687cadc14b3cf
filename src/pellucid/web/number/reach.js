/**
 * The numbers of another map that each place of a map reads, axis by axis. They follow from an op's declaration, so every
 * op with a window has them: a convolution of any stride, padding and dilation, a pooling, and their way back.
 */

import { GRADIENT, OUT } from "../arithmetic/declaration.js";
import { names } from "../arithmetic/expression.js";
import { along, one, solve } from "../arithmetic/rows.js";
import { evaluatorOf } from "../arithmetic/working.js";

/** @typedef {import("../arithmetic/declaration.js").Op} Op */
/** @typedef {import("../arithmetic/declaration.js").Stage} Stage */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {(at: number) => number[]} Span a place along an axis -> the places that it reads, in order, padding too */
/** @typedef {{column: string, local: string, spans: [Span, Span]}} Route to an array of the op: down and across */
/**
 * @typedef {object} Reach
 * @property {string} column the source in a part's terms
 * @property {string} source the trace's name of the layer or weight whose map is read
 * @property {"value" | "gradient"} prefix what is read of it
 * @property {[Span, Span]} spans down and across
 * @property {[[number, number], [number, number]]} ends first and last place that any window reads, down and across
 */

/** @type {WeakMap<Trace, Map<string, Promise<Reach[]>>>} */
const known = new WeakMap();

/**
 * The maps that a map's numbers read. Empty if the array has no map, if its op has no window of rows and columns, or if
 * the window is the same for every number.
 * @param {Trace} trace
 * @param {string} name
 * @param {boolean} backward for the numbers' gradients
 * @returns {Promise<Reach[]>}
 */
export function reachesOf(trace, name, backward) {
  const all = known.get(trace) ?? new Map();
  known.set(trace, all);
  const key = `${backward}/${name}`;
  const made = all.get(key) ?? (backward ? reachedBackward(trace, name) : reachedForward(trace, name));
  all.set(key, made);
  made.catch(() => all.delete(key));
  return made;
}

/**
 * @param {Trace} trace
 * @param {string} name
 */
async function reachedForward(trace, name) {
  const node = trace.node(name);
  if (!node || node.op === null || !Object.keys(node.reads).length) return [];
  const { op } = await evaluatorOf(trace, node, false);
  return [...readings(op, OUT)].flatMap((route) => reach(trace, name, route, node.reads[route.local], "value"));
}

/**
 * @param {Trace} trace
 * @param {string} name
 */
async function reachedBackward(trace, name) {
  const all = [];
  for (const { node, local } of trace.users(name)) {
    if (node.op === null || !trace.has(`gradient/${node.name}`)) continue;
    const { op } = await evaluatorOf(trace, node, true);
    for (const route of feedings(op, local)) {
      const arriving = route.local === OUT;
      const source = arriving ? node.name : node.reads[route.local];
      all.push(...reach(trace, name, route, source, arriving ? "gradient" : "value"));
    }
  }
  return all;
}

/**
 * @param {Trace} trace
 * @param {string} name
 * @param {Route} route
 * @param {string} source
 * @param {Reach["prefix"]} prefix
 * @returns {Reach[]} at most one
 */
function reach(trace, name, { column, spans }, source, prefix) {
  const [own, other] = [trace.shape(name).slice(-2), trace.shape(source)];
  if (own.length < 2 || other.length < 2 || !trace.has(`${prefix}/${source}`)) return [];
  if (!spans.some((span, axis) => String(span(0)) !== String(span(own[axis] - 1)))) return [];
  const sizes = other.slice(-2);
  const ends = spans.map((span, axis) => {
    let [first, last] = [0, sizes[axis] - 1];
    for (let at = 0; at < own[axis]; at++) {
      const places = span(at);
      if (places.length) [first, last] = [Math.min(first, places[0]), Math.max(last, places[places.length - 1])];
    }
    return [first, last];
  });
  return [{ column, source, prefix, spans, ends: /** @type {Reach["ends"]} */ (ends) }];
}

/**
 * The routes from a result to the inputs that it is computed from.
 * @param {Op} op
 * @param {string} from
 * @returns {Generator<Route>}
 */
function* readings(op, from) {
  for (const stage of op.stages.filter(({ out }) => out === from)) {
    for (const local of names(stage.term)) {
      const spans = spansOf(op, stage, from, local);
      if (!spans) continue;
      if (op.inputs.includes(local)) yield { column: local, local, spans };
      else for (const route of readings(op, local)) yield { ...route, spans: through(spans, route.spans) };
    }
  }
}

/**
 * The routes from an input to the gradients that it gets, and to the inputs that it is multiplied by there.
 * @param {Op} op
 * @param {string} from
 * @returns {Generator<Route>}
 */
function* feedings(op, from) {
  for (const stage of op.stages.filter((each) => each.through && names(each.term).includes(from))) {
    const spans = spansOf(op, stage, from, stage.out);
    if (spans && stage.out === OUT) {
      const sizes = op.shapes[OUT].slice(-2);
      // a transposed convolution's padding cuts off some of its outputs
      const cut = spans.map(
        (span, axis) => (/** @type {number} */ at) => span(at).filter((place) => place >= 0 && place < sizes[axis]),
      );
      yield { column: GRADIENT + OUT, local: OUT, spans: /** @type {[Span, Span]} */ (cut) };
    } else if (spans) {
      for (const route of feedings(op, stage.out)) yield { ...route, spans: through(spans, route.spans) };
    }
    for (const local of names(stage.term)) {
      const beside = local !== from && op.inputs.includes(local) && spansOf(op, stage, from, local);
      if (beside) yield { column: local, local, spans: beside };
    }
  }
}

/**
 * How the last two axes of one array lead to those of another in a stage; null if rows and columns are not apart.
 * @param {Op} op
 * @param {Stage} stage
 * @param {string} from
 * @param {string} to
 * @returns {[Span, Span] | null}
 */
function spansOf({ shapes }, stage, from, to) {
  const [own, other] = [stage.maps[from] ?? [], stage.maps[to] ?? []];
  if (String(shapes[from]) === String(shapes[to]) && flatAlike(own, other)) return [(at) => [at], (at) => [at]];
  if (own.length !== shapes[from]?.length || other.length !== shapes[to]?.length) return null;
  if (own.length < 2 || other.length < 2) return null;
  const pairs = [2, 1].map((end) => [own[own.length - end], other[other.length - end]]);
  const used = pairs.map((pair) => [...new Set(pair.flatMap(([steps]) => Object.keys(steps)))]);
  if (used[0].some((name) => used[1].includes(name))) return null;
  const spans = pairs.map(([mine, theirs], axis) => {
    const ranges = Object.fromEntries(used[axis].map((name) => [name, stage.ranges[name]]));
    const alone = { ...stage, ranges, maps: { [from]: [mine] } };
    const size = shapes[from][own.length - 2 + axis];
    return cached((at) => {
      const places = along(theirs, solve(alone, from, one([at]), [size]));
      return [...new Set(places)].sort((a, b) => a - b);
    });
  });
  return /** @type {[Span, Span]} */ (spans);
}

/**
 * Whether two arrays of one shape are addressed number by number, without rows and columns.
 * @param {import("../arithmetic/declaration.js").Axis[]} own
 * @param {import("../arithmetic/declaration.js").Axis[]} other
 */
function flatAlike(own, other) {
  return own.length === 1 && other.length === 1 && JSON.stringify(own) === JSON.stringify(other);
}

/**
 * One span after the other.
 * @param {[Span, Span]} first
 * @param {[Span, Span]} second
 */
function through(first, second) {
  const both = first.map((span, axis) =>
    cached((at) => [...new Set(span(at).flatMap(second[axis]))].sort((a, b) => a - b)),
  );
  return /** @type {[Span, Span]} */ (both);
}

/**
 * @param {Span} span
 * @returns {Span}
 */
function cached(span) {
  /** @type {Map<number, number[]>} */
  const before = new Map();
  return (at) => {
    const places = before.get(at) ?? span(at);
    before.set(at, places);
    return places;
  };
}
