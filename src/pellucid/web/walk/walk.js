/** The walk through the network: all of it, a layer, a number. */

import { unit } from "../format.js";
import { classOf } from "../labels.js";
import { layer } from "../layer/layer.js";
import { numberView } from "../number/number.js";
import { overview } from "./overview.js";
import { say } from "../say.js";
import { apart } from "../scoring.js";
import { aboutLayer, aboutNumber, START } from "./words.js";
import * as working from "../arithmetic/working.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageState} PageState */

/**
 * @param {import("../context.js").StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function walk(context) {
  const { trace, state } = context;
  if (!state.name) return [say("Walk through the network", [START]), await overview(context)];
  if (!state.index) return [say(state.name, [aboutLayer(trace, state)]), await layer(context)];
  const label = classOf(trace, state.name, state.index);
  const title = unit(state.name, state.index) + (label && ` ${label}`);
  const worked = await workedOut(trace, state);
  if (typeof worked === "string") return [say(title, [worked])];
  const scored =
    state.direction === "forward" &&
    ["probability", "loss"].some((/** @type {any} */ role) => trace.role(role) === state.name);
  return [
    say(title, [aboutNumber(trace, state, worked), scored ? apart(trace) : ""]),
    await numberView(context, worked),
  ];
}

/**
 * Why a step does not change a weight.
 * @param {Trace} trace
 * @param {string} name
 */
function unchanged(trace, name) {
  const why = trace.has(`gradient/${name}`) ? "It is not among the optimizer's parameters." : trace.noGradient(name);
  return `The optimizer does not change ${name}. ${why}`;
}

/**
 * The working, or a sentence if there is none.
 * @param {Trace} trace
 * @param {PageState} state
 */
export async function workedOut(trace, { name, index, direction }) {
  const at = index ?? [];
  if (direction === "forward") return working.value(trace, name, at);
  if (direction === "backward") {
    if (!trace.has(`gradient/${name}`)) return trace.noGradient(name);
    return working.gradient(trace, name, at);
  }
  if (trace.node(name)) {
    const own = Object.values(/** @type {import("../trace.js").Node} */ (trace.node(name)).reads).filter(
      trace.parameter,
    );
    const weights = own.filter((each) => trace.update(each));
    let where = "This layer has no weights.";
    if (own.length) where = `The optimizer leaves ${own.join(" and ")} unchanged.`;
    if (weights.length) where = `Press Escape to open the layer, then choose a number of ${weights.join(" or ")}.`;
    return `A step changes weights, not ${name} itself. ${where}`;
  }
  return (await working.update(trace, name, at)) ?? unchanged(trace, name);
}
