/** The actions of the keys. */

import { beside } from "../picture/pictures.js";
import { makersState, ofAnswer } from "../life/filter.js";
import { lifeState, weightHere } from "../life/place.js";
import { resume, turn as turnLesson } from "../lessons/guide.js";
import { replay, toggle } from "../number/play.js";
import { settled } from "../place.js";
import { flip } from "../whatif/whatif.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../store.js").PageStore} PageStore */

/**
 * @typedef {object} Hands the means of the keys
 * @property {Trace} trace
 * @property {PageStore} store
 * @property {import("../context.js").Served | null} [served]
 * @property {() => void} showHelp
 */

/**
 * @param {KeyboardEvent} event
 * @param {Hands} hands
 */
export function onKey(event, hands) {
  const target = /** @type {HTMLElement} */ (event.target);
  // on many keyboards a bracket is typed with Alt or AltGr
  const typed = event.altKey && (event.key === "[" || event.key === "]");
  if (((event.ctrlKey || event.altKey) && !typed) || event.metaKey) return;
  // these inputs take no letters, so z works there and puts their changes back
  const letters =
    !/^z$/i.test(event.key) || !target.matches("input[type=number], input[type=range], input[type=color]");
  if (target.matches("input, select, textarea") && letters) return;
  const state = settled(hands.trace, hands.store.get());
  const act = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (event.key === " " && target.matches("button, summary, a")) return;
  if (act?.(hands, state) ?? moved(hands, state, event.key)) event.preventDefault();
}

/** @type {Record<string, (hands: Hands, state: PageState) => boolean>} true if the key was used */
const ACTIONS = {
  f: (hands) => turn(hands, "forward"),
  b: (hands) => turn(hands, "backward"),
  u: (hands) => turn(hands, "update"),
  d: (hands, { view }) =>
    view !== "difference" && !!hands.trace.about.offers?.includes("difference")
      ? set(hands, { view: "difference", place: "" })
      : false,
  c: (hands, { view }) =>
    view !== "compare" && !!hands.trace.about.offers?.includes("compare")
      ? set(hands, { view: "compare", place: "" })
      : false,
  w: (hands, state) => {
    const weight = weightHere({ trace: hands.trace, state });
    return weight ? set(hands, lifeState(weight)) : false;
  },
  m: (hands, state) => {
    const there = makersState({ trace: hands.trace, state });
    return there ? set(hands, there) : false;
  },
  e: (hands, state) => set(hands, { exact: !state.exact }, true),
  z: ({ trace, served }) => flip(served, trace),
  s: (hands, { scale }) =>
    set(hands, { scale: scale === "unit" ? "layer" : scale === "layer" ? "network" : "unit" }, true),
  "[": ({ trace, store }) => beside(trace, store, -1),
  "]": ({ trace, store }) => beside(trace, store, 1),
  p: (hands, { view, present }) => (view ? false : set(hands, { present: !present }, true)),
  "?": ({ showHelp }) => (showHelp(), true),
  Escape: back,
  l: ({ trace, store }) => (void resume(trace, store), true),
  r: ({ trace, store }) => replay(trace, store),
  " ": ({ trace, store }, { lesson }) => (lesson ? (void turnLesson(trace, store, 1), true) : toggle(trace, store)),
};

/**
 * @param {Hands} hands
 * @param {Partial<PageState>} change
 * @param {boolean} [quiet]
 */
function set({ store }, change, quiet) {
  store.set(change, quiet);
  return true;
}

/**
 * @param {Hands} hands
 * @param {PageState["direction"]} direction
 */
function turn(hands, direction) {
  return set(hands, { direction, page: 0, channel: -1, sorted: "" });
}

/**
 * Leaves the presentation, then the lesson; goes from a number to its layer, from there to the network.
 * @param {Hands} hands
 * @param {PageState} state
 */
function back(hands, { view, place, name, index, lesson, present }) {
  if (present && !view) return set(hands, { present: false }, true);
  if (lesson) return set(hands, { lesson: "" });
  // from a weight's life, a filter's makers or an answer's teachers, back to where the reader came from
  const came = (view === "life" && index !== null) || (view === "makers" && (name || ofAnswer(place)));
  if (view)
    return set(
      hands,
      place && !came ? { place: "" } : { view: "", place: "", ...(view === "life" && { cursor: null }) },
    );
  const user = hands.trace.node(name) ? undefined : hands.trace.users(name)[0];
  const fresh = { index: null, page: 0, channel: -1 };
  if (user) return set(hands, { ...fresh, name: user.node.name, cursor: [index?.[0] ?? 0, 0, 0] });
  if (index?.length) return set(hands, { ...fresh, cursor: index.length === 3 ? index : null });
  return name ? set(hands, { name: "", index: null, cursor: null, page: 0 }) : false;
}

/**
 * Arrow keys on a number go to its neighbour.
 * @param {Hands} hands
 * @param {PageState} state
 * @param {string} key
 */
function moved(hands, { view, name, index }, key) {
  const step = { ArrowUp: [1, -1], ArrowDown: [1, 1], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
  if (!step || view || !index?.length) return false;
  const axis = index.length - 1 - (index.length > 1 ? step[0] : 0);
  const most = hands.trace.shape(name)[axis] - 1;
  const to = index.map((at, each) => (each === axis ? Math.max(0, Math.min(most, at + step[1])) : at));
  return set(hands, { index: to }, true);
}
