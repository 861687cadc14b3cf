/** What the page shows beside the walk through the network. stage.js has what draws each. */

/**
 * @typedef {object} View
 * @property {string} title
 * @property {boolean} [always] whether it is offered everywhere, also in a file without a server
 * @property {boolean} [still] whether it is not about one picture's trace: then the network does not stand above it
 * @property {boolean} [saved] whether it is about the model as it was saved, whatever the reader has changed since
 */

/**
 * By name, as the address has it: #/~mistakes. One is offered where the document's "offers" names it.
 * @type {Record<string, View>}
 */
export const VIEWS = {
  lessons: { title: "Lessons", always: true, still: true },
  training: { title: "Training", still: true, saved: true },
  mistakes: { title: "Mistakes", still: true, saved: true },
  difference: { title: "Difference" },
};
