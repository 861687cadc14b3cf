/** Text beside the numbers: two or three sentences about the highlighted ones. */

import { counted, number } from "../format.js";

/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Trace} Trace */

/** @type {Record<string, (count: number) => string>} */
const FORWARD = {
  convolution: (n) =>
    `The same weights slide over the whole map. Here they cover ${counted(n)} numbers. Each number is multiplied by ` +
    `its weight, and the products are added.`,
  "transposed convolution": () =>
    "The weights spread each input number over a window. Everything that lands here is added.",
  dense: (n) => `Each of the ${counted(n)} input numbers is multiplied by its own weight, and the products are added.`,
  "max pooling": (n) => `The largest of the ${n} numbers in the window is kept. The others are dropped.`,
  "adaptive max pooling": (n) => `The largest of the ${n} numbers in the window is kept.`,
  "average pooling": (n) =>
    `The ${n} numbers in the window are averaged: each is multiplied by its share, and the products are added.`,
  average: (n) => `The ${n} numbers are averaged.`,
  ReLU: () => "Numbers above zero stay as they are. Numbers below zero become zero.",
  "batch norm": () =>
    "The channel's running mean is subtracted, and the result is divided by the channel's standard deviation. Both were " +
    "measured in training. Then the channel's weight and bias are applied.",
  "same numbers": () => "The same number under another index. Nothing is computed.",
  standardisation: () =>
    "A pixel value from 0 to 255 becomes a number near zero: the mean colour is subtracted, and the result is divided " +
    "by the standard deviation.",
  softmax: () =>
    "The number e is raised to the power of each logit, and each result is divided by the sum of all. The probabilities " +
    "then add up to one.",
  sigmoid: () =>
    "Each score becomes a probability between 0 and 1, independently of the others: 1 divided by (1 plus e to the power " +
    "of minus the score).",
  "binary cross-entropy": () =>
    "Each label is judged by itself: minus the logarithm of its probability if the picture has the label, or of 1 minus " +
    "the probability if it does not. The loss is the mean.",
  "cross-entropy": () =>
    "How far the probabilities are from the truth: for each class, minus the logarithm of its probability times its " +
    "share of the target.",
  addition: () => "Two paths meet here, and their numbers are added.",
  resampling: (n) =>
    `This number lies among ${counted(n)} numbers of the input map. Each is multiplied by a weight for its row and one ` +
    `for its column, and the products are added.`,
  largest: (n) => `The largest of ${counted(n)} numbers is kept.`,
  choice: () => "The condition decides which of two numbers is used.",
  masking: () => "The mask decides whether the number is kept or replaced.",
};

// the number itself from another place
const MOVED = new Set([
  ...["selection", "indexing", "slice", "roll", "flip", "repetition", "stack", "concatenation", "diagonal", "windows"],
  ...["pixel shuffle", "pixel unshuffle", "channel shuffle", "axes in another order", "windows as columns"],
]);

/**
 * @param {Trace} trace
 * @param {PageState} state
 * @param {Working} working
 */
export function aboutNumber(trace, state, working) {
  const terms = Math.max(1, ...working.parts.map((part) => part.terms.values.length));
  if (working.quantity === "update") {
    return (
      `One step of ${working.kind} on this picture alone. The optimizer combines the gradient with its memory of ` +
      `earlier steps and moves the weight against the gradient.`
    );
  }
  if (working.quantity === "gradient") {
    if (!working.parts.length) return "The gradient of the loss with respect to itself is 1. The way back begins here.";
    const what = trace.parameter(state.name) ? "weight" : "number";
    return (
      `How much the loss grows when this number grows a little. The gradient adds up what every place that uses this ` +
      `${what} contributes: the gradient there, times the effect that this ${what} has on it.`
    );
  }
  if (trace.parameter(state.name)) return aboutWeight(trace, state);
  if (!working.parts.length) return working.unwritten.length ? "" : "This number is an input. No layer computed it.";
  if (MOVED.has(working.kind)) return "The same number from another place. Nothing is computed.";
  return (
    FORWARD[working.kind] ?? ((n) => `${working.kind}: computed from ${n === 1 ? "one number" : `${n} numbers`}.`)
  )(terms);
}

/**
 * @param {Trace} trace
 * @param {PageState} state
 */
function aboutWeight(trace, { name, index }) {
  /** @type {import("../whatif/whatif.js").Change[]} */
  const changes = trace.about.what_if?.changes ?? [];
  const yours = changes.find((each) => each.name === name && String(each.index) === String(index ?? []));
  const origin = yours ? `You changed it; it was ${number(yours.was)}. It` : "Training adjusts it. It";
  return `A weight. ${origin} is the same for every picture. Backward shows its gradient, Update its next step.`;
}

/**
 * @param {Trace} trace
 * @param {PageState} state
 */
export function aboutLayer(trace, state) {
  const node = trace.node(state.name);
  if (!node) return "";
  if (state.direction === "backward") {
    return "Each map shows the gradient of the loss. Amber: the loss grows when the number grows. Blue: the loss falls.";
  }
  if (node !== trace.nodes[0] && !Object.keys(node.reads).length)
    return "Constants from the network's code. They are the same for every picture.";
  if (!Object.keys(node.reads).length) return "The picture as the network receives it, before anything is computed.";
  if (!node.written)
    return `PyTorch calls this layer ${node.kind}. Pellucid does not know its arithmetic, but it shows the numbers.`;
  if (node.shape.length < 3) return "Each bar is one number of this layer. Choose one to see how it was computed.";
  return "Each map is one channel: amber above zero, blue below, blank at zero. Choose a map, then a number in it.";
}

export const START =
  "Choose a layer above to see its maps. Then choose a number to see the products that add up to it. Backward shows " +
  "where its gradient comes from. Update shows what one training step would change.";
