/** Words beside the numbers: two or three sentences on what is lit. */

import { counted } from "../format.js";

/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../store.js").State} State */
/** @typedef {import("../trace.js").Trace} Trace */

/** @type {Record<string, (count: number) => string>} */
const FORWARD = {
  convolution: (n) =>
    `The same weights slide over the whole map. Where they stand now they cover ${counted(n)} numbers; each ` +
    `is multiplied by its weight, and the products are added.`,
  "transposed convolution": () =>
    "Each number before is spread over a window by the weights; what falls on this place is added.",
  dense: (n) =>
    `Every one of the ${counted(n)} numbers before is multiplied by its own weight, and the products are added.`,
  "max pooling": (n) => `Of the ${n} numbers in the window the largest goes on. The others are dropped.`,
  "adaptive max pooling": (n) => `Of the ${n} numbers in the window the largest goes on.`,
  "average pooling": (n) =>
    `The ${n} numbers in the window are averaged: each is multiplied by its share, and the shares are added.`,
  average: (n) => `The ${n} numbers are averaged.`,
  ReLU: () => "What is above zero goes on as it is, and what is below becomes zero.",
  "batch norm": () =>
    "The running mean of this channel is taken off and the rest divided by its deviation, both learned in " +
    "training; then weight and bias of the channel are applied.",
  "same numbers": () => "The same number under another index: nothing is computed.",
  standardisation: () =>
    "The pixel, 0 to 255, becomes a number near zero: the mean colour is taken off, and the rest divided by " +
    "the deviation.",
  softmax: () =>
    "Every logit becomes a power of e, and each power is divided by the sum of all, so that the probabilities " +
    "add up to one.",
  sigmoid: () =>
    "Every score becomes a probability by itself, between 0 and 1, whatever the others are: 1 divided by 1 plus e to " +
    "the power of minus the score.",
  "binary cross-entropy": () =>
    "Each label is judged by itself: minus the logarithm of its probability where the picture has it, and of 1 minus " +
    "the probability where it has not; then the mean.",
  "cross-entropy": () =>
    "How far the probabilities are from the truth: for each class minus the logarithm of its probability, " +
    "times the share of the target that the class has.",
  addition: () => "Two paths meet, and their numbers are added.",
  resampling: (n) =>
    `The place of this number lies among ${counted(n)} of the map before. Each is multiplied by the weights of its row ` +
    `and its column, and the products are added.`,
  largest: (n) => `Of ${counted(n)} numbers the largest goes on.`,
  choice: () => "The condition says which of two numbers goes on.",
  masking: () => "The mask says whether the number goes on or another stands in its place.",
};

// the number itself from another place
const MOVED = new Set([
  ...["selection", "indexing", "slice", "roll", "flip", "repetition", "stack", "concatenation", "diagonal", "windows"],
  ...["pixel shuffle", "pixel unshuffle", "channel shuffle", "axes in another order", "windows as columns"],
]);

/**
 * @param {Trace} trace
 * @param {State} state
 * @param {Working} working
 */
export function aboutNumber(trace, state, working) {
  const terms = Math.max(1, ...working.parts.map((part) => part.terms.values.length));
  if (working.quantity === "update") {
    return (
      `One step of ${working.kind} on this picture alone. The gradient comes in, the optimizer adds what it ` +
      `remembers of earlier steps, and the weight moves against the gradient.`
    );
  }
  if (working.quantity === "gradient") {
    if (!working.parts.length)
      return "The loss changes by one where the loss changes by one: here the way back begins.";
    const what = trace.parameter(state.name) ? "this weight is used" : "this number goes into";
    return (
      `How much the loss grows where this number grows a little. It comes back from every place that ${what}: ` +
      `the gradient there, times how strongly this number acts on it, all added.`
    );
  }
  if (trace.parameter(state.name))
    return "A weight: it was learned, and no picture changes it. Backward shows its gradient, Update its next step.";
  if (!working.parts.length)
    return working.unwritten.length ? "" : "This number came from outside: nothing before it computed it.";
  if (MOVED.has(working.kind)) return "The same number from another place: nothing is computed.";
  return (
    FORWARD[working.kind] ??
    ((n) => `${working.kind}: worked out from ${n === 1 ? "one number" : `${n} numbers`} before it.`)
  )(terms);
}

/**
 * @param {Trace} trace
 * @param {State} state
 */
export function aboutLayer(trace, state) {
  const node = trace.node(state.name);
  if (!node) return "";
  if (state.direction === "backward") {
    return "Each map shows the gradient of the loss: amber where the loss grows with the number, blue where it falls.";
  }
  if (node !== trace.nodes[0] && !Object.keys(node.reads).length)
    return "Numbers that the network's code writes down: no picture changes them.";
  if (!Object.keys(node.reads).length) return "The picture as the network gets it, before anything is computed.";
  if (!node.written) return `What PyTorch calls ${node.kind}. Its arithmetic is not written; its numbers are here.`;
  if (node.shape.length < 3) return "Every bar is one number of this layer. Choose one to see how it came about.";
  return "Every map is one channel: amber above zero, blue below, paper at zero. Choose a map, then a number in it.";
}

export const START =
  "Choose a layer above to see its maps, then a number to see every product that it is the sum of. Backward " +
  "shows where its gradient came from, Update what one training step would change.";
