/** What the page shows beside the walk through the network. */

import { fetched } from "./host.js";
import { difference } from "./mistakes/difference.js";
import { lessonList } from "./lessons/list.js";
import { mistakes } from "./mistakes/mistakes.js";

/** @typedef {import("./run.js").Run} Run */
/**
 * What a view is drawn from.
 * @typedef {object} Scenery
 * @property {Run} run
 * @property {import("./store.js").State} state
 * @property {import("./store.js").Store} store
 * @property {import("./main.js").Served | null} served
 */
/**
 * @typedef {object} View
 * @property {string} title
 * @property {boolean} [always] whether it is offered everywhere, also in a file without a server
 * @property {boolean} [still] whether it is not about one picture's run: then the network does not stand above it
 * @property {boolean} [saved] whether it is about the model as it was saved, whatever the reader has changed since
 * @property {(scenery: Scenery, width: number) => Promise<Node[]>} show what stands where the walk would; width in pixels
 */

/**
 * By name, as the address has it: #/~mistakes. One is offered where the document's "offers" names it.
 * @type {Record<string, View>}
 */
export const VIEWS = {
  lessons: { title: "Lessons", show: lessonList, always: true, still: true },
  training: {
    title: "Training",
    show: async (scenery) => (await fetched(import("./training/training.js"))).show(scenery),
    still: true,
    saved: true,
  },
  mistakes: { title: "Mistakes", show: mistakes, still: true, saved: true },
  difference: { title: "Difference", show: difference },
};
