/** The reader's place: a state whose place exists, because an address may come from another network. */

import { VIEWS } from "./views.js";

/** @typedef {import("./trace.js").Trace} Trace */
/** @typedef {import("./store.js").PageState} PageState */

/**
 * The state, or the nearest one that exists in this trace.
 * @param {Trace} trace
 * @param {PageState} state
 * @returns {PageState}
 */
export function settled(trace, state) {
  if (state.view && !Object.hasOwn(VIEWS, state.view)) return { ...state, view: "", place: "" };
  if (!state.name) return state;
  if (!trace.known(state.name)) return { ...state, name: "", index: null };
  const shape = trace.shape(state.name);
  if (state.index && state.index.length !== shape.length)
    return { ...state, index: shape.map((size) => Math.floor(size / 2)) };
  if (!state.index && !trace.node(state.name)) return { ...state, index: shape.map(() => 0) };
  const index = state.index?.map((at, axis) => Math.max(0, Math.min(shape[axis] - 1, at))) ?? null;
  return { ...state, index };
}
