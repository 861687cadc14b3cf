/** Which layers share a column, so that a network of any length fits its row: what repeats is folded. */

/** @typedef {import("../trace.js").Node} Node */
/**
 * @typedef {object} Part consecutive layers that share a column
 * @property {string} id in the address: "conv1", "block", "conv1..relu2"
 * @property {string} title
 * @property {Node[]} nodes
 */
/** @typedef {{id: string, title: string, from: number, to: number}} Opened the columns of a part that the reader opened */
/** @typedef {{id: string, from: number, to: number}} Range of layers, both ends included */

const PICTURE = 1000; // worth of the place behind the picture, which always has a column of its own
const OPENED = 10; // worth of places inside a part that the reader has opened; a later one counts more
const BETWEEN = "..";
const LEAST = 3;

/**
 * Consecutive layers whose names begin alike are a block, which is one column until the reader opens it. If there are
 * still more columns than `room`, columns are joined: first a layer without weights with the one before it.
 * @param {Node[]} nodes
 * @param {number} room the columns that fit
 * @param {string[]} open ids of parts, the latest last
 * @param {(node: Node) => boolean} weighty whether a layer has weights
 * @returns {{parts: Part[], opened: Opened[]}}
 */
export function cut(nodes, room, open, weighty) {
  const ranges = open.map((id) => range(nodes, id)).filter((each) => each !== null);
  const worth = nodes.map((_, at) => (at === 0 ? 0 : worthOf(nodes, at, ranges, weighty)));
  const starts = [0, ...best(worth, Math.max(LEAST, room) - 1)].sort((a, b) => a - b);
  const parts = starts.map((from, at) => part(nodes, nodes.slice(from, starts[at + 1] ?? nodes.length)));
  const column = (/** @type {number} */ node) => starts.filter((start) => start <= node).length - 1;
  const opened = ranges
    .filter((each) => !ranges.some((other) => other !== each && other.from <= each.from && each.to <= other.to))
    .map(({ id, from, to }) => ({
      id,
      title: part(nodes, nodes.slice(from, to + 1)).title,
      from: column(from),
      to: column(to),
    }))
    .filter(({ from, to }) => to > from);
  return { parts, opened };
}

/**
 * The opened parts without one of them and those inside it.
 * @param {Node[]} nodes
 * @param {string[]} open
 * @param {string} id
 */
export function closed(nodes, open, id) {
  const whole = range(nodes, id);
  if (!whole) return open;
  return open.filter((other) => {
    const inner = range(nodes, other);
    return inner && !(whole.from <= inner.from && inner.to <= whole.to);
  });
}

/**
 * How much a column should begin at a place: 0 for never.
 * @param {Node[]} nodes
 * @param {number} at
 * @param {Range[]} ranges
 * @param {(node: Node) => boolean} weighty
 */
function worthOf(nodes, at, ranges, weighty) {
  if (at === 1) return PICTURE;
  const alike = shared(nodes[at - 1], nodes[at]);
  const next = nodes[at + 1];
  const begins = weighty(nodes[at]) || (next && shared(nodes[at], next) > 0);
  const usual = alike > 0 ? 0 : begins ? 2 : 1;
  const asked = ranges.map(({ from, to }, order) => {
    if (at === from || at === to + 1) return OPENED + order + 0.9;
    if (at < from || at > to) return 0;
    const outer = common(nodes.slice(from, to + 1)).length;
    if (alike <= outer) return OPENED + order + 0.6;
    return outer > 0 ? OPENED + order + 0.3 : 0;
  });
  return Math.max(usual, ...asked);
}

/**
 * The places that are worth most. Equal ones that do not all fit are left out, because any choice among them would be
 * arbitrary; only a row that would be half empty takes some, at even distances.
 * @param {number[]} worth
 * @param {number} count
 */
function best(worth, count) {
  /** @type {number[]} */
  const chosen = [];
  for (const value of [...new Set(worth)].sort((a, b) => b - a)) {
    const places = worth.flatMap((each, at) => (each === value && value > 0 ? [at] : []));
    const free = count - chosen.length;
    if (places.length <= free) chosen.push(...places);
    else {
      if (value < OPENED && chosen.length > count / 2) break;
      for (let at = 0; at < free; at++) chosen.push(places[Math.floor(((at + 0.5) * places.length) / free)]);
      break;
    }
  }
  return chosen;
}

/**
 * @param {Node[]} all
 * @param {Node[]} nodes
 * @returns {Part}
 */
function part(all, nodes) {
  const [first, last] = [nodes[0], nodes[nodes.length - 1]];
  if (nodes.length === 1) return { id: first.name, title: first.name, nodes };
  const path = common(nodes);
  const prefix = path.join(".");
  if (path.length && all.filter((node) => inside(node, prefix)).length === nodes.length) {
    return { id: prefix, title: prefix, nodes };
  }
  const step = (/** @type {Node} */ node) => segments(node)[path.length] ?? segments(node).at(-1);
  const title = `${path.map((each) => `${each}.`).join("")}${step(first)} … ${step(last)}`;
  return { id: `${first.name}${BETWEEN}${last.name}`, title, nodes };
}

/**
 * @param {Node[]} nodes
 * @param {string} id
 * @returns {Range | null} null if this network has no such part
 */
function range(nodes, id) {
  const index = (/** @type {string} */ name) => nodes.findIndex((node) => node.name === name);
  const [first, last] = id.split(BETWEEN);
  if (last !== undefined) {
    const [from, to] = [index(first), index(last)];
    return from >= 0 && to > from ? { id, from, to } : null;
  }
  const from = nodes.findIndex((node) => inside(node, id));
  const to = nodes.findLastIndex((node) => inside(node, id));
  return to > from ? { id, from, to } : null;
}

/** @param {Node} node */
function segments({ name }) {
  return name.split(".");
}

/**
 * @param {Node} node
 * @param {string} prefix
 */
function inside({ name }, prefix) {
  return name === prefix || name.startsWith(`${prefix}.`);
}

/**
 * How many segments of their names two layers have in common at the beginning.
 * @param {Node} one
 * @param {Node} other
 */
function shared(one, other) {
  return common([one, other]).length;
}

/** @param {Node[]} nodes */
function common(nodes) {
  const [first, ...others] = nodes.map(segments);
  const end = first.findIndex((segment, at) => others.some((other) => other[at] !== segment));
  return end < 0 ? first : first.slice(0, end);
}
