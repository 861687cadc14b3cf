/** The lessons from the scores to the weights: output, loss, the gradient backward, the optimizer's step. */

import { counted, number, unit } from "../format.js";
import { names } from "../labels.js";
import { product, short } from "./convolution.js";
import { enough } from "./figures/written.js";
import { signed } from "../number/formula.js";
import { placeIn } from "./layers.js";
import { read, strongest, windowOf } from "./route.js";
import { apart, believed, called, shareOf, tempered, truthOf, weightOfClass } from "../scoring.js";

/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

const SOME = 3; // classes that are named
const NEAR = 1e-4;
const LITTLE = 1e-6; // a gradient below which a score has nothing left to learn
const FEW = 0.01; // a loss from which on float32 keeps four digits of it

/**
 * A gradient or a loss; of one that is almost 0, the digits would say nothing.
 * @param {number} value
 */
function worth(value) {
  if (value === 0 || Math.abs(value) >= LITTLE) return short(value);
  return `${value < 0 ? "a negative number " : ""}smaller than a millionth`;
}

/**
 * "0.3817 - 1 = −0.6183", with as many decimals as the result needs.
 * @param {number} probability
 * @param {number} share
 */
function subtracted(probability, share) {
  const size = Math.abs(probability - share);
  const places = Math.max(4, Math.min(8, 2 - Math.floor(Math.log10(size))));
  const [from, of] = [probability, share].map((each) => Number(each.toFixed(places)));
  const result = (from - of).toFixed(places).replace("-", "−");
  return `${from.toFixed(places)} - ${number(of)} = ${result}`;
}

/** @param {Base} base */
export async function output({ trace, route: { scores, softmax, sigmoid } }) {
  const { predicted } = trace.about;
  const { data } = await trace.array(`value/${scores.name}`);
  const order = Array.from(data, (_, at) => at).sort((a, b) => data[b] - data[a]);
  const shown = order.slice(0, SOME).map((at) => `${called(trace, at)} ${short(data[at])}`);
  const more = order.length > SOME ? `, and ${order.length - SOME} more` : "";
  const how =
    scores.kind === "dense"
      ? `For each score, it multiplies all ${counted(product(trace.shape(scores.reads.input)))} input numbers by other ` +
        "weights and adds the products"
      : "Each score is computed from the layer's input";
  /** @type {LessonStep[]} */
  const steps = [
    {
      text:
        `\`${scores.name}\` gives each of the ${data.length} classes a score. ${how}. ` +
        `This one is for ${called(trace, predicted)}: ${short(data[predicted])}.`,
      place: { name: scores.name, index: [predicted] },
    },
    {
      text:
        `The scores: ${shown.join(", ")}${more}. ` +
        `${trace.about.several ? "A" : "The largest wins, but a"} score is not a probability yet.`,
      place: { name: scores.name },
    },
  ];
  if (softmax) {
    const result = await read(trace, `value/${softmax.name}`, softmax.name, [predicted]);
    const divided = tempered(trace)
      ? `First, each score is divided by the temperature, ${short(trace.about.model.temperature)}. It was fitted on pictures ` +
        "that the network was not trained on, and it makes the network as confident as it is accurate. "
      : "";
    steps.push({
      text:
        `Softmax turns the scores into probabilities. ${divided}The number e is raised to the power of each score, and each ` +
        `result is divided by the sum of all. No probability is below 0, and together they are 1. ${called(trace, predicted)} gets ${short(result)}. ` +
        "The figure first subtracts the largest score from all of them, which changes no probability and keeps the powers small.",
      place: { name: softmax.name, index: [predicted] },
    });
  }
  if (sigmoid) {
    const result = await read(trace, `value/${sigmoid.name}`, sigmoid.name, [predicted]);
    steps.push({
      text:
        "A picture may have several labels, so each score becomes a probability by itself: 1 divided by (1 plus e to the " +
        `power of minus the score). ${tempered(trace) ? "The score is divided by the temperature first. " : ""}` +
        `${called(trace, predicted)} gets ${short(result)}. Together they need not be 1. A label is assigned if its ` +
        `probability reaches the label's threshold; this picture is called ${names(trace.about.model.classes, trace.about.called)}.`,
      place: { name: sigmoid.name, index: [predicted] },
    });
  }
  return steps;
}

/** @param {Base} base */
export async function loss(base) {
  const { trace, route } = base;
  const truth = truthOf(trace);
  const value = await read(trace, `value/${route.loss.name}`, route.loss.name, []);
  const weight = weightOfClass(trace);
  const result = short(value / weight);
  const probability = believed(trace);
  const share = shareOf(trace) / weight;
  const scored = `${truth}${tempered(trace) ? ", without the temperature" : ""}`;
  const why = apart(trace);
  const weighted =
    weight === 1
      ? ""
      : ` A picture of this class counts ${short(weight)} times, because the classes are unequal: that makes ${short(value)}.`;
  const sure = value < LITTLE;
  const digits = (/** @type {number} */ loss) => number(loss, false, value < FEW ? 2 : 4);
  const logarithm =
    share === 1
      ? `It is minus the logarithm of the probability of ${scored}` +
        (sure
          ? ". That probability is so close to 1 that the loss is smaller than a millionth. "
          : `: -ln(${enough(probability, (each) => digits(-Math.log(each)))}) = ${digits(value / weight)}. `) +
        "At a probability of 1 it is 0. The smaller the probability, the faster it grows. The figure works it out from the scores."
      : `It adds up, over all classes, minus the logarithm of a class's probability times its share of the target: ` +
        `${short(share)} for ${scored}, the rest for the others. That makes ${result}.`;
  const other = trace.about.several
    ? "Each label is judged by itself: minus the logarithm of its probability if the picture has the label, or of 1 minus " +
      `the probability if it does not. The mean of these is ${result}.`
    : `With ${route.loss.kind}, it is ${result}.`;
  const how = (route.loss.kind === "cross-entropy" ? logarithm : other) + weighted + (why && ` ${why}`);
  return [
    {
      text:
        `The loss is one number that says how wrong the answer is, measured against ${truth}. ${how} Training makes this ` +
        "number smaller.",
      place: { name: route.loss.name, index: [] },
    },
  ];
}

/** @param {Base} base */
export async function backward(base) {
  const { trace, route } = base;
  const { label } = trace.about;
  const truth = called(trace, label);
  const { scores, pool, conv } = route;
  const gradient = (/** @type {string} */ name, /** @type {number[]} */ index) =>
    read(trace, `gradient/${name}`, name, index);
  const back = (/** @type {string} */ name, /** @type {number[]} */ index) => ({
    name,
    index,
    direction: /** @type {const} */ ("backward"),
  });
  const turned = (/** @type {string} */ name, /** @type {number[]} */ index) => ({
    place: back(name, index),
    way: [{ name, index }],
    pace: 900,
  });
  const ofScore = await gradient(scores.name, [label]);
  const probability = believed(trace);
  const share = shareOf(trace);
  const target = share === 1 ? ", which is 1 for the right class and 0 for the others" : "";
  const simple = weightOfClass(trace) === 1 && Math.abs(probability - share - ofScore) < NEAR;
  const little = Math.abs(ofScore) < LITTLE;
  const means = little
    ? `The network is sure of ${truth}, and the loss is measured against it: almost no gradient comes back. Measured against another class, much more would.`
    : `A larger score for ${truth} would make the loss ${ofScore < 0 ? "smaller" : "larger"}.`;
  /** @type {LessonStep[]} */
  const steps = [
    {
      text:
        "Now backward. How would the loss change if a number were a little larger? The answer is the number's gradient. " +
        "The way back begins at the loss, whose own gradient is 1.",
      ...turned(route.loss.name, []),
    },
    {
      text: simple
        ? `The gradient of a score is its probability minus its share of the target${target}. For ${truth} that is${tempered(trace) ? ", without the temperature," : ""} ` +
          `${little ? "smaller than a millionth" : subtracted(probability, share)}. ${means}`
        : `The gradient of the score for ${truth} is ${worth(ofScore)}. ${means}`,
      ...turned(scores.name, [label]),
    },
  ];
  if (pool && trace.has(`gradient/${pool.reads.input}`) && trace.node(pool.reads.input)) {
    const source = pool.reads.input;
    const index = base.stops.get(source) ?? (await strongest(trace, /** @type {Node} */ (trace.node(source))));
    const result = worth(await gradient(source, index));
    const others =
      pool.kind === "max pooling"
        ? "Only the winner of a window gets the window's gradient; the others get 0"
        : "Each number of a window gets its share of the window's gradient";
    steps.push({
      text:
        "The gradient comes back through every layer, multiplied by the same factors as on the way forward. " +
        `${others}. \`${unit(source, index)}\` gets ${result}.`,
      ...turned(source, index),
    });
  }
  if (conv && trace.has(`gradient/${conv.name}`)) {
    const index = placeIn(base, conv);
    const relu = route.activation?.kind === "ReLU" ? " ReLU lets it through only where the number was above 0." : "";
    const result = await gradient(conv.name, index);
    const most = result === 0 ? "" : ` Of all numbers of \`${conv.name}\`, the loss depends most on this one.`;
    steps.push({
      text: `It arrives at \`${unit(conv.name, index)}\` as ${worth(result)}.${relu}${most}`,
      ...turned(conv.name, index),
    });
  }
  const weight = await weightOf(base);
  if (weight && trace.has(`gradient/${weight.name}`)) {
    const places = conv && windowOf(trace, conv) ? conv.shape[1] * conv.shape[2] : 0;
    steps.push({
      text:
        `Finally, it reaches the weights. \`${unit(weight.name, weight.index)}\` was used ${places ? `at ${counted(places)} places` : "once"}. ` +
        `What comes back from ${places ? "all of them adds up to" : "there is"} ${worth(await gradient(weight.name, weight.index))}.`,
      ...turned(weight.name, weight.index),
    });
  }
  return steps;
}

/**
 * @param {Base} base
 * @returns {Promise<LessonStep[]>}
 */
export async function update(base) {
  const { trace } = base;
  const weight = /** @type {{name: string, index: number[]}} */ (await weightOf(base));
  const of = unit(weight.name, weight.index);
  const [before, after] = await Promise.all(
    ["value", "after"].map((kind) => read(trace, `${kind}/${weight.name}`, weight.name, weight.index)),
  );
  const result = await read(trace, `gradient/${weight.name}`, weight.name, weight.index);
  const { learning_rate: step } = trace.update(weight.name)?.settings ?? {};
  const rate = typeof step === "number" ? ` with a learning rate of ${short(step)}` : "";
  const all = trace.about.parameters.reduce(
    (/** @type {number} */ sum, /** @type {any} */ { shape }) => sum + product(shape),
    0,
  );
  const way = result === 0 ? "" : ` A larger weight would make the loss ${result > 0 ? "larger" : "smaller"}.`;
  const memory = Object.keys(trace.update(weight.name)?.remembered ?? {}).length
    ? " and from its memory of earlier steps"
    : "";
  const change = typeof step === "number" ? step * result : NaN;
  // without momentum and the like, a step is the rate times the gradient
  const plain = !memory && change !== 0 && Math.abs(before - change - after) < NEAR * Math.abs(change);
  const works = plain
    ? `the optimizer subtracts ${short(step)} × ${signed(Number(result.toPrecision(4)), false)} = ${short(change)}`
    : "the optimizer works out a step";
  return [
    {
      text:
        `One step of ${trace.about.optimizer}${rate}. The gradient of \`${of}\` is ${worth(result)}.${way} From ` +
        `that${memory}, ${works}: the weight moves from ${number(before)} to ${number(after)}.`,
      place: { ...weight, direction: "update" },
      way: [{ ...weight }, { ...weight, direction: "backward" }],
      pace: 900,
    },
    {
      text:
        `All ${counted(all)} parameters take such a step at once. Training only repeats this on many pictures: ` +
        "forward, loss, backward, update.",
      place: {},
    },
  ];
}

/**
 * The name of the weights that the lessons follow.
 * @param {Trace} trace
 * @param {import("./route.js").Route} route
 */
export function weightsOf(trace, { conv, scores }) {
  const name = (conv ?? scores).reads.weight;
  return name && trace.parameter(name) ? name : null;
}

/**
 * The followed weight: in the middle of the filter of the followed number, or, without filters, the one that the loss
 * depends on most.
 * @param {Base} base
 * @returns {Promise<{name: string, index: number[]} | null>}
 */
async function weightOf({ trace, route, hero }) {
  const name = weightsOf(trace, route);
  if (!name) return null;
  const shape = trace.shape(name);
  const middle = shape.map((count, axis) => (axis === 0 ? hero[0] : axis === 1 ? 0 : count >> 1));
  return { name, index: route.conv ? middle : await strongest(trace, { name, shape }) };
}
