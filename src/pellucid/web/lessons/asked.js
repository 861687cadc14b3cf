/** Questions on the numbers of this network: a pooling window, and the size that a layer makes. */

import { value } from "../arithmetic/working.js";
import { unit } from "../format.js";
import { short } from "./convolution.js";
import { fitting } from "./figures/arithmetic.js";
import { inFormula } from "./figures/fit.js";
import { windowOf } from "./route.js";

/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */

const LOOKS = 200; // windows that are tried until one has several different numbers

/**
 * The largest of a window; nothing without max pooling, or if all windows are flat.
 * @param {Base} base
 * @returns {Promise<LessonStep[]>}
 */
export async function pooled({ trace, route: { pool }, stops }) {
  if (pool?.kind !== "max pooling") return [];
  const [channel] = stops.get(pool.name) ?? [0];
  const [, height, width] = pool.shape;
  for (let at = 0; at < Math.min(LOOKS, height * width); at++) {
    const index = [channel, Math.floor(at / width), at % width];
    if (String(index) === String(stops.get(pool.name))) continue; // the lesson has just shown it
    const { parts, recorded } = await value(trace, pool.name, index);
    const { values, columns } = parts[0].terms;
    const choices = Array.from(values).filter(Number.isFinite);
    const written = choices.map(short);
    if (new Set(written).size < 3 || choices.length > 9) continue;
    const cursor = columns[0].indices.slice(-3).map((axis) => axis[0]);
    return [
      {
        text: `Another window of \`${pool.reads.input}\` holds ${written.join(", ")}.`,
        place: { name: pool.reads.input, cursor },
        ask: {
          prompt: `What will ${unit(pool.name, index)} be?`,
          answer: recorded,
          choices,
          worked: `the largest of ${written.join(", ")} = ${short(recorded)}`,
          then: { name: pool.name, index },
        },
      },
    ];
  }
  return [];
}

/**
 * The columns of the first pooling's maps.
 * @param {Base} base
 * @returns {Promise<LessonStep[]>}
 */
export async function sized({ trace, route: { pool } }) {
  const window = pool && windowOf(trace, pool);
  if (!window) return [];
  const width = trace.shape(pool.reads.input)[2];
  const [, { reach, stride, before }] = window;
  const { places } = fitting(width, reach, stride, before, 1);
  // some poolings round up, or have unequal borders
  if (places !== pool.shape[2]) return [];
  return [
    {
      text:
        `\`${pool.name}\` comes later. It reads maps of ${width} columns. Its window is ${reach} columns wide and moves ` +
        `${stride === 1 ? "one place" : `${stride} places`} at a time, with ${before} zeros on each side.`,
      place: { name: pool.reads.input },
      ask: {
        prompt: "How many columns will its maps have?",
        answer: places,
        worked: inFormula([width, reach, stride, before, 1]),
        then: { name: pool.name },
      },
    },
  ];
}
