/** The stage: the view that the address names, or else the walk through the network. */

import { fetched } from "./host.js";
import { figures } from "./lessons/figures/figures.js";
import { lessonList } from "./lessons/list.js";
import { difference } from "./mistakes/difference.js";
import { mistakes } from "./mistakes/mistakes.js";
import { walk } from "./walk/walk.js";

/** @typedef {import("./context.js").StageContext} StageContext */

/**
 * By their names in views.js.
 * @type {Record<string, (context: StageContext) => Promise<Node[]>>}
 */
const DRAW = {
  lessons: lessonList,
  article: figures,
  training: async (context) => (await fetched(import("./training/training.js"))).show(context),
  mistakes,
  difference,
};

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export function stage(context) {
  const { view } = context.state;
  return view ? DRAW[view](context) : walk(context);
}
