/** What the page shows beside the walk through the network. */

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
 * @property {(scenery: Scenery, width: number) => Promise<Node[]>} show what stands where the walk would; width in pixels
 */

/**
 * By name, as the address has it: #/~mistakes. One is offered where the document's "offers" names it.
 * @type {Record<string, View>}
 */
export const VIEWS = {};
