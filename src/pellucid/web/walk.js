/** The walk through the network: all of it, a layer, a number. */

import { unit } from "./format.js";
import { layer } from "./layer/layer.js";
import { numberView } from "./number/number.js";
import { overview } from "./overview.js";
import { say } from "./say.js";
import { VIEWS } from "./views.js";
import { aboutLayer, aboutNumber, START } from "./words.js";
import * as working from "./arithmetic/working.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */

/**
 * A state whose place is there: an address may be from another network.
 * @param {Run} run
 * @param {State} state
 * @returns {State}
 */
export function settled(run, state) {
  if (state.view && !(state.view in VIEWS)) return { ...state, view: "", place: "" };
  if (!state.name) return state;
  if (!run.known(state.name)) return { ...state, name: "", index: null };
  const shape = run.shape(state.name);
  if (state.index && state.index.length !== shape.length)
    return { ...state, index: shape.map((size) => Math.floor(size / 2)) };
  if (!state.index && !run.node(state.name)) return { ...state, index: shape.map(() => 0) };
  const index = state.index?.map((at, axis) => Math.max(0, Math.min(shape[axis] - 1, at))) ?? null;
  return { ...state, index };
}

/**
 * @param {import("./views.js").Scenery} scenery
 * @param {number} width that the stage has
 * @param {(at: number[]) => void} hover
 * @returns {Promise<Node[]>}
 */
export async function walk({ run, state, store, served }, width, hover) {
  if (!state.name) return [say("Walk through the network", [START]), await overview(run, state, store, served)];
  if (!state.index) {
    return [say(state.name, [aboutLayer(run, state)]), await layer(run, state, store, served, width, hover)];
  }
  const title = unit(state.name, state.index) + classOf(run, state.name, state.index);
  const worked = await workedOut(run, state);
  if (typeof worked === "string") return [say(title, [worked])];
  return [say(title, [aboutNumber(run, state, worked)]), await numberView(run, state, store, served, worked, width)];
}

/**
 * The class that a number speaks of, where it is one of as many as there are classes.
 * @param {Run} run
 * @param {string} name
 * @param {number[]} index
 */
function classOf(run, name, index) {
  const { classes } = run.about.model;
  const named = run.node(name) && String(run.shape(name)) === String([classes.length]);
  return named ? ` ${classes[index[0]]}` : "";
}

/**
 * Why a step leaves a weight as it is.
 * @param {Run} run
 * @param {string} name
 */
function unchanged(run, name) {
  const why = run.has(`gradient/${name}`) ? "It is not among the optimizer's parameters." : run.noGradient(name);
  return `The optimizer does not change ${name}. ${why}`;
}

/**
 * The working, or a sentence where there is none.
 * @param {Run} run
 * @param {State} state
 */
async function workedOut(run, { name, index, direction }) {
  const at = index ?? [];
  if (direction === "forward") return working.value(run, name, at);
  if (direction === "backward") {
    if (!run.has(`gradient/${name}`)) return run.noGradient(name);
    return working.gradient(run, name, at);
  }
  if (run.node(name)) {
    const own = Object.values(/** @type {import("./run.js").Node} */ (run.node(name)).reads).filter(run.parameter);
    const weights = own.filter((each) => run.update(each));
    let where = "This layer has none.";
    if (own.length) where = `Nothing changes here: the optimizer leaves ${own.join(", ")} as they are.`;
    if (weights.length) where = `Choose one of ${weights.join(", ")}: open the layer with Escape.`;
    return `A step changes weights and not ${name} itself. ${where}`;
  }
  return (await working.update(run, name, at)) ?? unchanged(run, name);
}
