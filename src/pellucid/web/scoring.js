/**
 * How the probability that the page shows and the loss belong together. They need not: the probability is calibrated by
 * a temperature, which the loss does not know, and the loss may have a target with smoothed labels.
 */

import { number, probability } from "./format.js";

/** @typedef {import("./trace.js").Trace} Trace */

const NEAR = 1e-4;
const PLACES = 4; // decimals of a probability

/** @param {number} value */
function short(value) {
  return number(value, false, 4);
}

/**
 * A class's name, in quotes: it may be a number.
 * @param {Trace} trace
 * @param {number} at
 */
export function called(trace, at) {
  return `“${trace.about.model.classes[at] ?? at}”`;
}

/**
 * The class or labels that the loss is measured against, in quotes.
 * @param {Trace} trace
 */
export function truthOf(trace) {
  return trace.about.against.map((/** @type {number} */ at) => called(trace, at)).join(", ") || "no label at all";
}

/**
 * Whether the shown probabilities are those of the scores divided by a number other than 1.
 * @param {Trace} trace
 */
export function tempered(trace) {
  const { temperature } = trace.about.model;
  return typeof temperature === "number" && temperature !== 1;
}

/**
 * The probability in the loss, for the loss's class: softmax of the scores as they are.
 * @param {Trace} trace
 * @returns {number} NaN if a score is not finite
 */
export function believed({ about: { logits, label } }) {
  const scores = logits.map((/** @type {number | null} */ score) => score ?? NaN);
  const largest = Math.max(...scores);
  const powers = scores.map((/** @type {number} */ score) => Math.exp(score - largest));
  return powers[label] / powers.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
}

/**
 * The target of a cross-entropy, a share for each class; null if the loss has none.
 * @param {Trace} trace
 * @returns {number[] | null}
 */
function target(trace) {
  const share = trace.op(trace.nodes[trace.nodes.length - 1].name)?.constants.share;
  return Array.isArray(share?.[0]) ? share[0] : null;
}

/**
 * The loss's class's share of the target: 1, or less with smoothed labels.
 * @param {Trace} trace
 */
export function shareOf(trace) {
  return target(trace)?.[trace.about.label] ?? 1;
}

/**
 * The weight of a picture of this class: the sum of its shares, 1 without class weights.
 * @param {Trace} trace
 */
export function weightOfClass(trace) {
  const sum = target(trace)?.reduce((a, b) => a + b, 0) ?? 1;
  return Math.abs(sum - 1) < NEAR ? 1 : sum;
}

/**
 * Why the loss is not minus the logarithm of the probability that the page shows; "" if it is.
 * @param {Trace} trace
 */
export function apart(trace) {
  return [besideTemperature(trace), besideSmoothing(trace)].filter(Boolean).join(" ");
}

/** @param {Trace} trace */
function besideTemperature(trace) {
  if (!tempered(trace)) return "";
  const { several, probabilities, label, model } = trace.about;
  const scaled = `the temperature, ${short(model.temperature)}`;
  if (several || !categorical(trace)) {
    return `The probabilities that the page shows are those of the scores divided by ${scaled}. The loss takes the scores as they are.`;
  }
  return (
    `The page shows ${probability(probabilities[label], PLACES)} for ${truthOf(trace)}: there, each score is divided by ` +
    `${scaled}. The loss takes the scores as they are, which give ${truthOf(trace)} ${short(believed(trace))}.`
  );
}

/** @param {Trace} trace */
function besideSmoothing(trace) {
  const shares = target(trace);
  const weight = weightOfClass(trace);
  const own = shareOf(trace) / weight;
  if (!shares || !categorical(trace) || Math.abs(own - 1) < NEAR) return "";
  const other = shares[trace.about.label ? 0 : 1] / weight;
  const least = weight * shares.reduce((sum, share) => sum - (share / weight) * Math.log(share / weight || 1), 0);
  return (
    `Training smoothed its labels: the target is ${short(own)} for ${truthOf(trace)} and ${short(other)} for each other ` +
    `class, instead of 1 and 0. Even the best answer therefore has a loss of ${short(least)}.`
  );
}

/** @param {Trace} trace */
function categorical({ nodes, about: { logits, model } }) {
  return nodes[nodes.length - 1].kind === "cross-entropy" && logits.length === model.classes.length;
}
