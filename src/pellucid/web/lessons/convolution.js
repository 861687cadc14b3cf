/** The lessons from the picture to the maps: numbers, the sliding filter, its stride, sizes, the number of filters. */

import { written } from "../arithmetic/expression.js";
import { counted, number, size, unit } from "../format.js";
import { signed } from "../number/formula.js";
import { read, windowOf } from "./route.js";
import { value } from "../arithmetic/working.js";

/** @typedef {import("./route.js").Ground} Ground */
/** @typedef {import("./route.js").LessonStep} LessonStep */
/** @typedef {import("../trace.js").Node} Node */

const FAR = 12; // places that the window slides in a lesson
const COLORS = ["red", "green", "blue"];

/** @param {number} value */
export function short(value) {
  return number(value, false, 4);
}

/** @param {number[]} sizes */
export function product(sizes) {
  return sizes.reduce((a, b) => a * b, 1);
}

/**
 * A number from a single term, in numbers: "max(0.31, 0) = 0.31".
 * @param {import("../arithmetic/working.js").Part} part
 */
export function inNumbers({ terms: { formula, columns, values } }) {
  const named = (/** @type {string} */ name) => signed(Number(column(name).toPrecision(4)), false);
  const column = (/** @type {string} */ name) => columns.find((each) => each.name === name)?.values[0] ?? NaN;
  const text = written(formula, named, short).replaceAll(" * ", " × ");
  return `${text.replace(/\(\((−[\d.e−]+)\)/g, "($1")} = ${short(values[0])}`; // no brackets within brackets
}

/** @param {Ground} ground */
export async function picture({ trace, route, hero, window }) {
  const { name, shape, range } = route.picture;
  const [channels, height, width] = shape;
  const at = [height, width].map((size, axis) => {
    const along = window?.[axis];
    const place = along ? hero[axis + 1] * along.stride - along.before + (along.reach >> 1) : size >> 1;
    return Math.max(0, Math.min(size - 1, place));
  });
  const called = trace.about.picture ? `\`${trace.about.picture}\`` : "The picture";
  const grids =
    channels === 1
      ? "one grid of numbers"
      : channels === 3
        ? "three grids of numbers, one each for red, green and blue"
        : `${channels} grids of numbers`;
  const bytes = range[0] >= 0 && range[2] > 1 ? " 0 is black, and 255 is full brightness." : "";
  const pixel = await Promise.all(
    shape
      .slice(0, 1)
      .flatMap((count) => Array.from({ length: count }, (_, c) => read(trace, `value/${name}`, name, [c, ...at]))),
  );
  const pixelText = pixel.map((each, c) => `${short(each)}${channels === 3 ? ` ${COLORS[c]}` : ""}`).join(", ");
  const here = (/** @type {number} */ c) => ({ name, index: [c, ...at] });
  /** @type {LessonStep[]} */
  const steps = [
    {
      text:
        `To a network, a picture is numbers. ${sizeOf(trace, called, [height, width])} comes in as ${grids}: ` +
        `${size(shape)} = ${counted(product(shape))}.${bytes}`,
      place: { name, cursor: [0, ...at] },
    },
    {
      text: `The pixel in row ${at[0]}, column ${at[1]} (both counted from 0) is ${pixelText}. Numbers like these are all that the network ever sees.`,
      place: here(channels - 1),
      way: Array.from({ length: channels - 1 }, (_, c) => here(c)),
      pace: 900,
    },
  ];
  if (route.scaled) {
    const [part] = (await value(trace, route.scaled.name, [0, ...at])).parts;
    steps.push({
      text:
        "Numbers near zero are easier to learn from. The mean is subtracted from each number, and the result is divided by " +
        `the standard deviation, which says how far numbers usually are from their mean. Both come from the pictures that the network was trained on: ${inNumbers(part)}.`,
      place: { name: route.scaled.name, index: [0, ...at] },
    });
  }
  return steps;
}

/**
 * The size of the picture's file, and the size at which the network sees it.
 * @param {import("../trace.js").Trace} trace
 * @param {string} called
 * @param {number[]} seen rows and columns
 */
function sizeOf({ about }, called, seen) {
  const text = (/** @type {number[]} */ [rows, columns]) => `${counted(rows)} rows of ${counted(columns)} pixels`;
  const own = about.picture_size;
  if (!own || String(own) === String(seen)) return `${called} has ${text(seen)} and`;
  return `${called} has ${text(own)}. The network sees it at ${seen.join(" × ")}, and it`;
}

/** @param {Ground} ground */
export async function filter({ trace, conv, hero, window: [down, across] }) {
  const { name, reads, shape } = conv;
  const [c, y, x] = hero;
  const [, depth] = trace.shape(reads.weight);
  const count = depth * down.size * across.size;
  const worked = await value(trace, name, hero);
  const { columns, values } = worked.parts[0].terms;
  const added = worked.parts.length > 1 ? worked.parts[1].terms.total : null;
  const maps = depth > 1 ? ` in each of the ${depth} maps` : "";
  const start = x + FAR < shape[2] ? x : 0;
  const end = Math.min(shape[2] - 1, start + FAR);
  const along = Array.from({ length: end - start }, (_, step) => ({ name, index: [c, y, start + step] }));
  const factors = columns.map((column) => signed(Number(column.values[0].toPrecision(4)), false)).join(" × ");
  return [
    {
      text:
        `\`${name}\`, the first convolution, looks at \`${reads.input}\` through a small window: ${down.size} × ${across.size} numbers${maps}. The ` +
        `filter's weights are laid over the window, ${counted(count)} of them. Training finds them.`,
      place: { name, index: hero },
    },
    {
      text:
        `Each number in the window is multiplied by the weight laid over it. The first product is ${factors} = ` +
        `${short(values[0])}. All ${counted(count)} products${added === null ? "" : ` and the filter's bias ${short(added)}`} ` +
        `add up to \`${unit(name, hero)}\` = ${short(worked.recorded)}.`,
      place: { name, index: hero },
    },
    {
      text:
        "Then the window slides on, like a brush. Each stop makes one number: the numbers in the window change, the " +
        "weights stay the same. Outside a lesson, press Space to slide over the whole map.",
      place: { name, index: [c, y, end] },
      way: along,
      pace: 180,
    },
    {
      text:
        `${shape[1]} × ${shape[2]} stops make ${counted(shape[1] * shape[2])} numbers: a map. It shows how strongly ` +
        `each place of the picture matches what filter ${c} looks for: amber above zero, blue below.`,
      place: { name, cursor: hero },
    },
  ];
}

/** @param {Ground} ground */
export async function stride({ trace, conv, hero, window, stops }) {
  const [c, y, x] = hero;
  const next = x + 1 < conv.shape[2] ? x : x - 1;
  const [, across] = window;
  const one = {
    text:
      `From one stop to the next, the window of \`${conv.name}\` moves ${places(window)}. This is its stride. ` +
      `The window of \`${unit(conv.name, [c, y, next])}\` begins in column ${next * across.stride - across.before}, the next ` +
      `one in column ${(next + 1) * across.stride - across.before}.`,
    place: { name: conv.name, index: [c, y, next + 1] },
    way: [{ name: conv.name, index: [c, y, next] }],
    pace: 700,
  };
  if (Math.max(window[0].stride, across.stride) > 1) return [one, halved(trace, conv, window)];
  const larger = trace.nodes.find((node) => (windowOf(trace, node) ?? []).some((along) => along.stride > 1));
  if (!larger || larger.shape.length !== 3) {
    return [{ ...one, text: `${one.text} No layer of this network has a larger stride.` }];
  }
  const at = stops.get(larger.name) ?? larger.shape.map((count) => count >> 1);
  const last = Math.min(at[2] + 4, larger.shape[2] - 1);
  const steps = Array.from({ length: last - at[2] }, (_, step) => ({
    name: larger.name,
    index: [at[0], at[1], at[2] + step],
  }));
  const spans = /** @type {[any, any]} */ (windowOf(trace, larger));
  return [
    one,
    {
      ...halved(trace, larger, spans),
      place: { name: larger.name, index: [at[0], at[1], last] },
      way: steps,
      pace: 450,
    },
  ];
}

/**
 * @param {import("../trace.js").Trace} trace
 * @param {Node} node
 * @param {Ground["window"]} window
 * @returns {LessonStep}
 */
function halved(trace, node, window) {
  const [, height, width] = trace.shape(node.reads.input);
  return {
    text:
      `\`${node.name}\` moves ${places(window)} at a time and skips what lies between: ${height} × ${width} numbers ` +
      `become ${node.shape[1]} × ${node.shape[2]}.`,
    place: { name: node.name, cursor: node.shape.map((count) => count >> 1) },
  };
}

/** @param {Ground["window"]} window */
function places([{ stride: down }, { stride: across }]) {
  const inWords = (/** @type {number} */ count) => (count === 1 ? "one place" : `${count} places`);
  return down === across ? inWords(across) : `${inWords(down)} down and ${inWords(across)} across`;
}

/** @param {Ground} ground */
export async function sizes({ trace, conv, hero: [c], window: [down, across] }) {
  const { name, shape, reads } = conv;
  const width = trace.shape(reads.input)[2];
  const { reach, before, stride: step } = across;
  const exact = (width - reach + 2 * before) / step + 1;
  const formula = `([${width} - ${reach} + 2*${before}] / ${step}) + 1`;
  const rounded = exact === Math.floor(exact) ? "" : ", rounded down,";
  const covered = down.size * across.size;
  const inside = Math.max(0, down.size - down.before) * Math.max(0, across.size - across.before);
  const border =
    before || down.before
      ? `\`${name}\` puts zeros around its input: P = ${down.before === before ? before : `${down.before} above and below, ${before} at the sides`}. ` +
        `The window can therefore extend over the border. Here, in the corner, ${covered - inside} of the ${covered} numbers in the window are zeros from this border.`
      : `\`${name}\` puts no zeros around its input: P = 0. The whole window has to lie inside. This is its first place, in the corner.`;
  const fits =
    Math.floor(exact) === shape[2]
      ? `A window of width F = ${reach}${reach === across.size ? "" : " (gaps included)"} moves in steps of S = ${step} over W = ${width} columns with P = ${before} zeros on ` +
        `each side. It has ([W - F + 2P] / S) + 1 places: ${formula} = ${short(exact)}${rounded}${rounded ? ` ${shape[2]}` : ""}.`
      : `The window has ${shape[2]} places across.`;
  return [
    { text: border, place: { name, index: [c, 0, 0] } },
    {
      text: `${fits} Every map of \`${name}\` is ${shape[1]} × ${shape[2]}, and this is its last number.`,
      place: { name, index: [c, shape[1] - 1, shape[2] - 1] },
    },
  ];
}

/** @param {Ground} ground */
export async function filters({ trace, route, conv, hero, window: [down, across] }) {
  const { name, reads, shape } = conv;
  const [c, y, x] = hero;
  const [count, depth] = trace.shape(reads.weight);
  const biased = reads.bias && trace.parameter(reads.bias);
  const own = product(trace.shape(reads.weight)) + (biased ? count : 0);
  const formula = `${down.size}*${across.size}*${depth}*${count}${biased ? ` + ${count}` : ""} = ${own}`;
  const before = product(trace.shape(reads.input));
  const dense = before * product(shape) + (biased ? product(shape) : 0);
  const others = Array.from({ length: Math.min(6, count) }, (_, at) => (c + 1 + at) % count).filter((at) => at !== c);
  /** @type {LessonStep[]} */
  const steps = [
    {
      text:
        `One filter detects one pattern. \`${name}\` has ${count} filters, and each makes its own map from the same ` +
        `\`${reads.input}\`: ${count} maps of ${shape[1]} × ${shape[2]}.`,
      place: { name, cursor: hero },
      way: others.map((at) => ({ name, cursor: [at, y, x] })),
      pace: 350,
    },
    {
      text:
        `Its parameters are all that training adjusts: ${formula}. The size of the picture is not in this formula, because ` +
        `the same weights are used everywhere. A dense layer with as many inputs and outputs would need ${counted(dense)}.`,
      place: { name: reads.weight, index: [c, 0, down.size >> 1, across.size >> 1] },
    },
  ];
  const { later } = route;
  if (later && windowOf(trace, later)) {
    const [filters, deep, ...kernel] = trace.shape(later.reads.weight);
    steps.push({
      text:
        `A filter is as deep as its input. Each of the ${filters} filters of \`${later.name}\` has a kernel of ` +
        `${size(kernel)} for each of ${deep} maps of \`${later.reads.input}\`, and their results are added to one number.`,
      place: { name: later.name, index: later.shape.map((each) => each >> 1) },
    });
  }
  return steps;
}
