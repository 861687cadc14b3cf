/** The page's views besides the walk through the network. stage.js draws them. */

/**
 * @typedef {object} View
 * @property {string} title
 * @property {boolean} [always] whether it is always offered, even in a file without a server
 * @property {boolean} [still] whether it is not about one picture's trace: then the network is not above it
 * @property {boolean} [strips] whether it draws the network itself, once for each of two models
 * @property {boolean} [saved] whether it shows the saved model, regardless of the reader's changes
 */

/**
 * By their names in the address: #/~mistakes. A view is offered if the document's "offers" names it.
 * @type {Record<string, View>}
 */
export const VIEWS = {
  lessons: { title: "Lessons", always: true, still: true },
  article: { title: "The article", still: true },
  training: { title: "Training", still: true, saved: true },
  live: { title: "Change and train", still: true, saved: true },
  mistakes: { title: "Mistakes", still: true, saved: true },
  difference: { title: "Difference" },
  compare: { title: "Compare", strips: true },
  readout: { title: "Readouts", saved: true },
  life: { title: "A weight’s life", still: true, saved: true },
  makers: { title: "Who made this", still: true, saved: true },
};
