/** The lessons between the convolutions and the scores: activation, pooling, and more if the network has more. */

import { counted, percent, size, unit } from "../format.js";
import { inNumbers, product, short } from "./convolution.js";
import { read, strongest, windowOf } from "./route.js";
import { value } from "../arithmetic/working.js";

/** @typedef {import("./route.js").Base} Base */
/** @typedef {import("./route.js").LessonStep} LessonStep */
/** @typedef {import("../trace.js").Node} Node */

/**
 * The followed place in a layer, or its middle.
 * @param {Base} base
 * @param {Node} node
 */
export function placeIn({ stops }, node) {
  return stops.get(node.name) ?? node.shape.map((count) => count >> 1);
}

/** @param {Base} base */
export async function norm(base) {
  const { trace } = base;
  const node = /** @type {Node} */ (base.route.norm);
  const index = placeIn(base, node);
  const before = await read(trace, `value/${node.reads.input}`, node.reads.input, index);
  const after = await read(trace, `value/${node.name}`, node.name, index);
  return [
    {
      text:
        `\`${node.name}\` brings its ${node.shape[0]} maps to one scale. The map's mean is subtracted from each number, and ` +
        "the result is divided by the map's standard deviation. Both were measured in training. Then the map's own weight " +
        `and bias are applied. Here ${short(before)} becomes ${short(after)}.`,
      place: { name: node.name, index },
    },
  ];
}

/** @param {Base} base */
export async function activation(base) {
  const { trace } = base;
  const node = /** @type {Node} */ (base.route.activation);
  const index = placeIn(base, node);
  const [part] = (await value(trace, node.name, index)).parts;
  const { data } = await trace.array(`value/${node.name}`);
  let zeros = 0;
  for (let at = 0; at < data.length; at++) if (data[at] === 0) zeros += 1;
  const share = percent(zeros / data.length);
  const dropped =
    node.kind === "ReLU" ? `${counted(zeros)} of its ${counted(data.length)} numbers are now zero: ${share}. ` : "";
  const rule = node.kind === "ReLU" ? ": a negative number becomes 0, any other stays. Here" : ", here";
  return [
    {
      text: `\`${node.name}\` is an activation: ${node.kind}. It acts on each number separately${rule} ${inNumbers(part)}.`,
      place: { name: node.name, index },
    },
    {
      text:
        `${dropped}This bend is what makes several layers worthwhile: without it, one sum after another could be ` +
        "written as a single sum.",
      place: node.shape.length === 3 ? { name: node.name, cursor: index } : { name: node.name },
    },
  ];
}

/** @param {Base} base */
export async function pooling(base) {
  const { trace, route } = base;
  if (!route.pool) return instead(base);
  const node = route.pool;
  const index = placeIn(base, node);
  const working = await value(trace, node.name, index);
  const window = windowOf(trace, node);
  const cells = window ? `${window[0].size} × ${window[1].size} numbers` : "numbers";
  const end = Math.min(index[2] + 6, node.shape[2] - 1);
  return [
    {
      text: `\`${node.name}\` makes the maps smaller: each window of ${cells} becomes one number. ${picked(working, node)}`,
      place: { name: node.name, index },
    },
    {
      text:
        `It has no weights. ${counted(product(trace.shape(node.reads.input)))} numbers become ${counted(product(node.shape))}. ` +
        "A detected pattern stays detected, its exact place matters less, and the next layer sees more of the picture at once.",
      place: { name: node.name, index: [index[0], index[1], end] },
      way: Array.from({ length: end - index[2] }, (_, step) => ({
        name: node.name,
        index: [index[0], index[1], index[2] + step],
      })),
      pace: 350,
    },
  ];
}

/**
 * @param {import("../arithmetic/working.js").Working} working
 * @param {Node} node
 */
function picked({ parts, recorded }, node) {
  const { values, pick, winner, columns } = parts[0]?.terms ?? {};
  if (pick === "max" && winner !== null && winner !== undefined) {
    const won = columns[0].indices.slice(-3).map((axis) => axis[winner]);
    const shown = Array.from(values.filter(Number.isFinite), short).join(", ");
    return `Here they are ${shown}. The largest, ${short(recorded)}, is \`${unit(node.reads.input, won)}\`; the others are dropped.`;
  }
  if (node.kind.includes("average")) return `It is their mean, here ${short(recorded)}.`;
  return `With ${node.kind}, it is ${short(recorded)} here.`;
}

/**
 * @param {Base} base
 * @returns {Promise<LessonStep[]>}
 */
async function instead({ trace }) {
  const node = trace.nodes.find((each) => (windowOf(trace, each) ?? []).some((along) => along.stride > 1));
  if (!node)
    return [
      {
        text: "Many networks use pooling to make maps smaller. This one does not: its maps keep their size, except at the borders.",
        place: {},
      },
    ];
  const [, before] = trace.shape(node.reads.input);
  return [
    {
      text:
        `Many networks use pooling to make maps smaller. In this one, convolutions with a larger stride do it instead. ` +
        `\`${node.name}\` is the first: ${before} rows become ${node.shape[1]}.`,
      place: { name: node.name, cursor: node.shape.map((count) => count >> 1) },
    },
  ];
}

/** @param {Base} base */
export async function average({ trace, route }) {
  const node = /** @type {Node} */ (route.global);
  const index = await strongest(trace, node);
  const [maps, ...rest] = trace.shape(node.reads.input);
  const result = await read(trace, `value/${node.name}`, node.name, index);
  const how = node.kind.includes("max") ? "the largest number" : "the mean";
  return [
    {
      text:
        `\`${node.name}\` reduces each whole map of ${size(rest)} to one number, ${how}: ${maps} maps become ${maps} numbers. ` +
        `From here on, only how much was detected counts, not where. Map ${index[0]} becomes ${short(result)}.`,
      place: { name: node.name, index },
    },
  ];
}

/** @param {Base} base */
export async function join({ trace, route }) {
  const node = /** @type {Node} */ (route.join);
  const index = await strongest(trace, node);
  const sources = Object.values(node.reads).filter((name) => trace.node(name));
  const values = await Promise.all(sources.map((name) => read(trace, `value/${name}`, name, index)));
  const sum = await read(trace, `value/${node.name}`, node.name, index);
  return [
    {
      text:
        `Two paths, ${sources.map((name) => `\`${name}\``).join(" and ")}, meet in \`${node.name}\` and are added: ` +
        `${short(values[0])} + ${values[1] < 0 ? `(${short(values[1])})` : short(values[1])} = ${short(sum)}. The layers on the longer path only have to ` +
        "learn what to change, and the gradient has a short way back.",
      place: { name: node.name, index },
    },
  ];
}

/** @param {Base} base */
export async function flatten(base) {
  const { trace } = base;
  const node = /** @type {Node} */ (base.route.flat);
  const source = node.reads.input;
  const [maps, height, width] = trace.shape(source);
  const [at] = placeIn(base, node);
  const from = [Math.floor(at / (height * width)), Math.floor(at / width) % height, at % width];
  const formula = `${from[0]}*${height}*${width} + ${from[1]}*${width} + ${from[2]} = ${at}`;
  return [
    {
      text:
        `\`${node.name}\` writes the ${maps} maps of ${height} × ${width} as one long row of ` +
        `${counted(node.shape[0])} numbers. Nothing is computed. \`${unit(source, from)}\` is now \`${unit(node.name, [at])}\`: ${formula}.`,
      place: { name: node.name, index: [at] },
    },
  ];
}
