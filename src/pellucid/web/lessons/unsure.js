/** The picture for the lessons on the loss: one that the network gets wrong, or is unsure of. Others teach little. */

import { percent } from "../format.js";
import { read } from "./route.js";

/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */
/**
 * @typedef {{predicted: number, against: number[], truth?: number[] | null, probability: number, picture: string}} Seen
 */

const ENOUGH = 0.2; // a loss from which on there is something to learn
const SURE = 0.9;
const LESS = 0.05; // a picture that is less sure by this is worth the change

/**
 * The steps of a lesson, or the way to a picture of this page on which they say more.
 * @param {Base} base
 * @param {(base: any) => Promise<LessonStep[]>} write
 * @returns {Promise<LessonStep[]>}
 */
export async function onAnUnsure(base, write) {
  const steps = await write(base);
  const better = await betterPicture(base);
  if (better < 0) return steps;
  const { about } = base.trace;
  const { picture, predicted, against, truth, probability } = /** @type {Seen} */ (about.pictures[better]);
  const named = (/** @type {number} */ at) => `“${about.model.classes[at]}”`;
  const known = truth?.includes(against[0]);
  const what = wrong(about.pictures[better])
    ? `It says ${named(predicted)}, but ${known ? "it is" : "the loss is measured against"} ${named(against[0])}`
    : `It is least sure there: ${percent(probability)}`;
  return [
    {
      text:
        "The loss of this picture is small, so there is little to learn from it. The lesson goes on with " +
        `another, ${picture || `picture ${better + 1}`}. ${what}.`,
      place: { ...steps[0].place, picture: better },
    },
  ];
}

/** @param {Seen} seen */
function wrong({ predicted, against }) {
  return against.length === 1 && against[0] !== predicted;
}

/**
 * @param {Base} base
 * @returns {Promise<number>} among the page's pictures; -1 if the one at hand will do, or none is better
 */
async function betterPicture({ trace, route }) {
  /** @type {Seen[]} */
  const all = trace.about.several ? [] : (trace.about.pictures ?? []);
  if (!all.length || (await read(trace, `value/${route.loss.name}`, route.loss.name, [])) >= ENOUGH) return -1;
  const mistake = all.findIndex(wrong);
  if (mistake >= 0) return mistake;
  const least = all.reduce((best, each, at) => (each.probability < all[best].probability ? at : best), 0);
  const sure = Math.max(...trace.about.probabilities);
  return all[least].probability < Math.min(SURE, sure - LESS) ? least : -1;
}
