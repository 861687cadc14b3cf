/** Questions on softmax, the loss and a gradient, on the article's three scores: small enough to check by hand. */

import { figure } from "./article.js";
import { chances } from "./figures/arithmetic.js";
import { gradientInNumbers, lossInNumbers, softmaxInNumbers, writtenChances } from "./figures/chances.js";
import { SCORES, SCORES_TRUTH } from "./figures/material.js";

/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */

const CLASSES = "ABC";
const NEAR = 0.005; // a typed probability may be rounded to two decimals
const exact = chances(SCORES, SCORES_TRUTH);
const truth = CLASSES[SCORES_TRUTH];
/** Two decimals, for choices: a reader estimates them. @param {number} value */
const rounded = (value) => Number(value.toFixed(2));

/**
 * @param {Base} base
 * @returns {LessonStep[]} none for pictures with several labels, whose probabilities are not of softmax
 */
export function softmax({ trace }) {
  if (trace.about.several) return [];
  const { powers } = writtenChances(SCORES, SCORES_TRUTH);
  const [first] = exact.probabilities;
  return [
    {
      text:
        `The same on paper. Three classes have the scores ${SCORES.join(", ")}. The number e to the power of each is ` +
        `${powers.join(", ")}.`,
      place: figure("softmax::ask"),
      ask: {
        prompt: `Which probability does class ${CLASSES[0]} get?`,
        answer: rounded(first),
        // all alike; softmax; the winner takes all
        choices: [1 / SCORES.length, first, 1].map(rounded),
        worked: softmaxInNumbers(0),
        then: figure("softmax"),
      },
    },
  ];
}

/**
 * @param {Base} base
 * @returns {LessonStep[]} none for pictures with several labels, whose probabilities are not of softmax
 */
export function loss({ trace }) {
  if (trace.about.several) return [];
  const believed = exact.probabilities[SCORES_TRUTH];
  return [
    {
      text:
        `The same on paper. The picture is of class ${truth}, and the network is unsure: ${truth} has only the probability ` +
        `${writtenChances(SCORES, SCORES_TRUTH).probabilities[SCORES_TRUTH]}.`,
      place: figure("softmax:loss:ask"),
      ask: {
        prompt: "How large is the loss, minus the logarithm of that probability?",
        answer: rounded(exact.loss),
        // 1 minus the probability; minus the logarithm; 1 divided by the probability
        choices: [1 - believed, exact.loss, 1 / believed].map(rounded).sort((a, b) => a - b),
        worked: lossInNumbers(),
        then: figure("softmax:loss"),
      },
    },
  ];
}

/**
 * @param {Base} base
 * @returns {LessonStep[]} none for pictures with several labels, whose probabilities are not of softmax
 */
export function gradient({ trace }) {
  if (trace.about.several) return [];
  return [
    {
      text: `The same on paper, for class ${truth}, the true one. The gradient of a score is its probability minus its share of the target: 1 for the true class, 0 for the others.`,
      place: figure("softmax:gradient:ask"),
      ask: {
        prompt: `What is the gradient of the score of ${truth}?`,
        answer: exact.gradients[SCORES_TRUTH],
        within: NEAR,
        worked: gradientInNumbers(SCORES_TRUTH),
        then: figure("softmax:gradient"),
      },
    },
  ];
}
