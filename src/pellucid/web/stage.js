/** The stage: the view that the address names, or else the walk through the network. */

import { lost, notice, nowhere } from "./astray/astray.js";
import { compare } from "./compare/compare.js";
import { fetched } from "./host.js";
import { figures } from "./lessons/figures/figures.js";
import { makers } from "./life/makers.js";
import { lessonList } from "./lessons/list.js";
import { difference } from "./mistakes/difference.js";
import { mistakes } from "./mistakes/mistakes.js";
import { presentation } from "./present/present.js";
import { readout } from "./readout/readout.js";
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
  live: async (context) => (await fetched(import("./live/live.js"))).show(context),
  mistakes,
  difference,
  compare,
  readout,
  makers,
  life: async (context) => (await fetched(import("./life/life.js"))).life(context),
};

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function stage(context) {
  const { view, present, given } = context.state;
  const wrong = given && lost(context.trace, given);
  if (wrong) return nowhere(context, wrong);
  const parts = await (view ? DRAW[view](context) : present ? presentation(context) : walk(context));
  const beside = await notice(context);
  return beside ? [...parts, beside] : parts;
}
