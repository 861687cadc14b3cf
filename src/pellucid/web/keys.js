/** What the keys do. */

import { settled } from "./walk.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */

/**
 * @typedef {object} Hands what keys may do
 * @property {Run} run
 * @property {Store} store
 * @property {() => void} showHelp
 */

/**
 * @param {KeyboardEvent} event
 * @param {Hands} hands
 */
export function onKey(event, hands) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
  const state = settled(hands.run, hands.store.get());
  const act = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (event.key === " " && target.matches("button, summary, a")) return;
  if (act?.(hands, state) ?? moved(hands, state, event.key)) event.preventDefault();
}

/** @type {Record<string, (hands: Hands, state: State) => boolean>} true where the key has been used */
const ACTIONS = {
  f: (hands) => turn(hands, "forward"),
  b: (hands) => turn(hands, "backward"),
  u: (hands) => turn(hands, "update"),
  e: (hands, state) => set(hands, { exact: !state.exact }, true),
  s: (hands, { scale }) =>
    set(hands, { scale: scale === "unit" ? "layer" : scale === "layer" ? "network" : "unit" }, true),
  "?": ({ showHelp }) => (showHelp(), true),
  Escape: back,
  " ": (hands, state) => (state.index?.length ? slideOn(hands, state.index, hands.run.shape(state.name)) : false),
};

/**
 * @param {Hands} hands
 * @param {Partial<State>} change
 * @param {boolean} [quiet]
 */
function set({ store }, change, quiet) {
  store.set(change, quiet);
  return true;
}

/**
 * @param {Hands} hands
 * @param {State["direction"]} direction
 */
function turn(hands, direction) {
  return set(hands, { direction, page: 0, channel: -1, sorted: "" });
}

/**
 * From a number to its layer, from there to the network.
 * @param {Hands} hands
 * @param {State} state
 */
function back(hands, { view, place, name, index }) {
  if (view) return set(hands, place ? { place: "" } : { view: "" });
  const user = hands.run.node(name) ? undefined : hands.run.users(name)[0];
  const fresh = { index: null, page: 0, channel: -1 };
  if (user) return set(hands, { ...fresh, name: user.node.name, cursor: [index?.[0] ?? 0, 0, 0] });
  if (index?.length) return set(hands, { ...fresh, cursor: index.length === 3 ? index : null });
  return name ? set(hands, { name: "", index: null, cursor: null, page: 0 }) : false;
}

/**
 * Arrow keys on a number go to the one beside it.
 * @param {Hands} hands
 * @param {State} state
 * @param {string} key
 */
function moved(hands, { index }, key) {
  const step = { ArrowUp: [1, -1], ArrowDown: [1, 1], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
  if (!step || !index?.length) return false;
  const axis = index.length - 1 - (index.length > 1 ? step[0] : 0);
  const to = index.map((at, each) => (each === axis ? Math.max(0, at + step[1]) : at));
  return set(hands, { index: to }, true);
}

/**
 * To the right, and at the end of the row to the start of the next.
 * @param {Hands} hands
 * @param {number[]} index
 * @param {number[]} shape
 */
function slideOn(hands, index, shape) {
  const next = [...index];
  for (let axis = next.length - 1; axis >= Math.max(0, next.length - 2); axis--) {
    next[axis] += 1;
    if (next[axis] < shape[axis]) break;
    next[axis] = 0;
  }
  return set(hands, { index: next }, true);
}
