/** The lesson that follows one weight from its random start to its end, in a file that has the lives inside. */

import { counted, exact, number, unit } from "../format.js";
import { lifeState, partsOf } from "../life/place.js";
import { inside, stored } from "../life/stored.js";
import { addingUp } from "../number/adding.js";
import { indexOf } from "../trace.js";
import { short } from "./convolution.js";

/** @typedef {import("../life/data.js").Life} Life */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("./route.js").LessonStep} LessonStep */

const WITHIN = 5e-4; // a typed answer may be rounded to three decimals
const DIGITS = 4;

/** @param {Trace} trace */
export function lives({ lives: there }) {
  return !!there;
}

/**
 * @param {import("./route.js").Base} base
 * @returns {Promise<LessonStep[]>}
 */
export async function ofAWeight({ trace, route }) {
  const { life, turn } = await withAStory(trace, route);
  const { name, index: text } = partsOf(life.weight);
  const weight = { name, index: text.split(",").map(Number) };
  const called = `\`${unit(name, weight.index)}\``;
  const at = (/** @type {number} */ step) => ({ ...lifeState(weight), cursor: [step] });
  const [large] = life.largest;
  const { before, after, gradient, rate, step } = large;
  const change = rate * gradient;
  const sum = addingUp([before, -change], after, { digits: DIGITS });
  const sign = sum.parts[1].startsWith("−") ? "-" : "+";
  const arithmetic = `${sum.parts[0]} ${sign} ${sum.parts[1].replace(/^−/, "")} = ${sum.total}`;
  const [strongest] = large.pictures;
  const pictures = large.pictures.length + large.others.count;
  const [first, second] = life.pushers;
  const whole = addingUp([life.first, life.last - life.first], life.last, { digits: DIGITS });
  const moved = life.last - life.first;
  /** @type {LessonStep[]} */
  const steps = [
    {
      text:
        `Where does a weight come from? ${called} began as ${short(life.first)}, one of the ${life.begins}. ` +
        "No picture had been seen, and nobody chose it.",
      place: at(0),
    },
    {
      text:
        `From then on, every step subtracts the learning rate times the gradient. Before step ${counted(step)} it was ` +
        `${number(before, false, DIGITS)}. The gradient was ${number(gradient, false, DIGITS)}, and the learning rate ${number(rate)}.`,
      place: at(step - 1),
      ask: {
        prompt: `What will it be after step ${counted(step)}?`,
        answer: after,
        within: WITHIN + Math.abs(after) * WITHIN,
        worked: `${number(before, false, DIGITS)} - ${number(rate)} × ${gradient < 0 ? `(${number(gradient, false, DIGITS)})` : number(gradient, false, DIGITS)}: ${arithmetic}`,
        then: at(step),
      },
    },
    {
      text:
        `That was its largest step: ${arithmetic}. The gradient is the mean over ${counted(pictures)} pictures, so each has its part in it. ` +
        `The strongest part, ${number(strongest.part, false, DIGITS)}, came through a picture of “${strongest.label}”. ${sides(large)} ` +
        "All parts add up to the gradient.",
      place: at(step),
    },
  ];
  if (turn) {
    const { step: when, value } = turn;
    const back = life.last > value ? "rose" : "fell";
    steps.push({
      text:
        `It did not go straight. At step ${counted(when)} it had reached ${short(value)}, its ${back === "rose" ? "lowest" : "highest"} point. ` +
        `Then it ${back} again: as the other weights change, what one weight is good for changes too.`,
      place: at(when),
    });
  }
  steps.push({
    text:
      `Who pushed it over the whole training? Each picture came ${counted(first.times)} times. ${pushed(first)} ${pushed(second)} ` +
      "Most pushes of the others cancelled out.",
    place: at(life.steps),
  });
  steps.push({
    text:
      `After ${counted(life.steps)} steps it is ${exact(life.last)}. This is the saved weight, to the last bit: ` +
      `${whole.parts[0]} ${moved < 0 ? "-" : "+"} ${whole.parts[1].replace(/^−/, "")} = ${whole.total}, the start plus all updates. There is nothing else in it: ` +
      "a random number, and the pictures.",
    place: at(life.steps),
  });
  return steps;
}

/** @param {import("../life/data.js").Step} step */
function sides({ pictures }) {
  const down = pictures.filter(({ part }) => part > 0).length;
  const all = `Of the ${pictures.length} strongest, `;
  if (down === 0 || down === pictures.length)
    return `The ${pictures.length} strongest all pushed it ${down ? "down" : "up"}.`;
  return `${all}${down} pushed it down and ${pictures.length - down} up.`;
}

/** @param {Life["pushers"][number]} picture */
function pushed({ path, label, up, down }) {
  const push = up + down;
  return `${path}, a picture of “${label}”, pushed it ${push < 0 ? "down" : "up"} by ${number(Math.abs(push), false, 3)} in all.`;
}

/**
 * The weight of the first filters that goes one way and then comes back farthest.
 * @param {Trace} trace
 * @param {import("./route.js").Route} route
 * @returns {Promise<{life: Life, turn: {step: number, value: number} | null}>}
 */
async function withAStory(trace, { conv, scores }) {
  const there = /** @type {NonNullable<Trace["lives"]>} */ (trace.lives)();
  const all = await inside(there);
  const [name, shape] = all.find(([each]) => each === (conv ?? scores).reads.weight) ?? all[0];
  const count = shape.reduce((a, b) => a * b, 1);
  /** @type {{life: Life, turn: {step: number, value: number} | null} | null} */ let best = null;
  let farthest = -1;
  for (let at = 0; at < count; at++) {
    const life = /** @type {Life} */ (await stored(there, [name, ...indexOf(at, shape)].join(",")));
    const { values, first, last } = life;
    for (const value of [Math.min(...values), Math.max(...values)]) {
      const back = Math.min(Math.abs(value - first), Math.abs(value - last));
      if (back <= farthest) continue;
      farthest = back;
      best = { life, turn: back > 0 ? { step: values.indexOf(value), value } : null };
    }
  }
  return /** @type {NonNullable<typeof best>} */ (best);
}
