/**
 * The article from its beginning, in its own small numbers: a picture as a matrix, weights that slide over it, sizes.
 * Every number in a text is computed from the article's pictures and weights.
 */

import { counted, number } from "../format.js";
import { cellsAt, everywhere, fitting, outputSize, POOLED, weighted } from "./figures/arithmetic.js";
import { mapToPool } from "./figures/figures.js";
import { inFormula } from "./figures/fit.js";
import * as material from "./figures/material.js";
import { layersOf } from "./figures/parameters.js";
import { photograph } from "./figures/photograph.js";
import { differences } from "./figures/row.js";
import { sumOf } from "./figures/written.js";

/** @typedef {import("./route.js").LessonStep} LessonStep */
/** @typedef {import("./figures/material.js").Matrix} Matrix */
/** @typedef {import("./figures/arithmetic.js").Window} Window */

const { PICTURE, PICTURE_FOR_PAIRS, PICTURE_6X6, CROSS, PAIR, SECOND_PAIR, MISPRINTED } = material;
/** @type {Window} */
const NINE = { size: [3, 3] };
const PACE = 450; // milliseconds at a place while a window slides

/**
 * Where a figure is seen.
 * @param {string} place
 * @param {[number, number]} [cursor]
 */
export function figure(place, cursor) {
  return { view: "article", place, cursor: cursor ?? null };
}

/**
 * A window's number in an output, and how it is written.
 * @param {Matrix} picture
 * @param {Window} window
 * @param {Matrix} kernel
 * @param {[number, number]} at
 */
function at(picture, window, kernel, [y, x]) {
  const cells = cellsAt(picture, window, [y, x]);
  const value = weighted(cells, kernel, 1);
  return { value, written: sumOf(cells, { weights: kernel.flat(), divisor: 1, pick: "sum", value }) };
}

/** @param {Matrix} matrix */
function rowsAndColumns(matrix) {
  return `${matrix.length} × ${matrix[0].length}`;
}

/** @returns {Promise<LessonStep[]>} */
export async function matrix() {
  const [rows, columns] = [PICTURE.length, PICTURE[0].length];
  const [side, width] = [photograph().length, photograph()[0].length];
  const [before, after] = differences();
  return [
    {
      text:
        "To a computer, a grey picture is a matrix: a number for each pixel, from 0, black, to 255, white. This narrow strip " +
        `of a handwritten 4 has ${rows} rows × ${columns} columns = ${rows * columns} numbers. Its shades stand beside them.`,
      place: figure("matrix"),
    },
    {
      text:
        `A dense layer, the simplest kind, takes one long row. The rows of this photograph are laid end to end: ${side} × ${width} = ` +
        `${counted(side * width)} numbers. A pixel and the one below it, once neighbours, are now ${width} places apart.`,
      place: figure("row"),
    },
    {
      text:
        "Now the pixels are shuffled. The row still looks much the same, but the picture is gone: neighbours differed by " +
        `${number(before)} on average, and now by ${number(after)}. A dense layer learns equally well from either, because each ` +
        "pixel has a weight of its own, wherever it stands. So flattening loses who is whose neighbour. A filter, to which the next lessons lead, keeps that.",
      place: figure("row:shuffled"),
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function oneWeight() {
  const [[weight]] = material.ONE_WEIGHT;
  /** @type {Window} */
  const one = { size: [1, 1] };
  const first = at(PICTURE, one, material.ONE_WEIGHT, [0, 0]);
  const asked = at(PICTURE, one, material.ONE_WEIGHT, [1, 0]);
  return [
    {
      text:
        `The simplest thing to do with a picture is to multiply every pixel by the same weight, here ${weight}. In row 0, ` +
        `column 0, both counted from 0, that gives ${first.written}. The output stays ${rowsAndColumns(PICTURE)} and keeps its shapes. To learn means to find a good ` +
        "number for the weight. Move the slider to try others.",
      place: figure("one-weight"),
    },
    {
      text: `The pixel below it is ${PICTURE[1][0]}.`,
      place: figure("one-weight::ask", [1, 0]),
      ask: {
        prompt: "What will this number of the output be?",
        answer: asked.value,
        worked: asked.written,
        then: figure("one-weight", [1, 0]),
      },
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function twoWeights() {
  /** @type {Window} */
  const pair = { size: [1, 2] };
  const columns = PICTURE_FOR_PAIRS[0].length;
  const [, places] = outputSize(PICTURE_FOR_PAIRS, pair);
  const [left, right] = PAIR[0];
  return [
    {
      text:
        `Two weights, ${left} and ${right}, look at two neighbours at once, here in another strip. The left pixel counts fully, and ${right} of ` +
        `the right one is added: ${at(PICTURE_FOR_PAIRS, pair, PAIR, [0, 0]).written}.`,
      place: figure("two-weights", [0, 0]),
    },
    {
      text:
        `The pair slides along the row, one pixel at a time. It fits ${columns} columns at ${places} places: the output is ` +
        "one column narrower than the picture.",
      place: figure("two-weights", [0, places - 1]),
      way: Array.from({ length: places - 1 }, (_, x) => figure("two-weights", [0, x])),
      pace: PACE,
    },
    {
      text:
        `Another pair, ${SECOND_PAIR[0].join(" and ")}, does the opposite: ${at(PICTURE_FOR_PAIRS, pair, SECOND_PAIR, [0, 0]).written}. ` +
        "The first pair keeps the left of two neighbours, this one the right. Together they keep more of the picture than either " +
        "alone. This is why a layer has several filters.",
      place: figure("second-pair", [0, 0]),
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function zeros() {
  /** @type {Window} */
  const window = { size: [1, 2], padding: [0, 1] };
  const columns = PICTURE_FOR_PAIRS[0].length;
  const [, places] = outputSize(PICTURE_FOR_PAIRS, window);
  const last = at(PICTURE_FOR_PAIRS, window, PAIR, [0, places - 1]);
  return [
    {
      text:
        "A pixel at the side lies under the window less often than one in the middle, and the output shrinks. A column of " +
        `zeros on each side changes both: ${columns} columns become ${places}, and the middle ${places - 2} are those from before. ` +
        `The first number is ${at(PICTURE_FOR_PAIRS, window, PAIR, [0, 0]).written}.`,
      place: figure("zeros", [0, 0]),
    },
    {
      text: `At the other side, the window holds the pixel ${PICTURE_FOR_PAIRS[0][columns - 1]} and a zero of the border.`,
      place: figure("zeros::ask", [0, places - 1]),
      ask: {
        prompt: "What will the last number of the row be?",
        answer: last.value,
        worked: last.written,
        then: figure("zeros", [0, places - 1]),
      },
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function sixBySix() {
  const first = at(PICTURE_6X6, NINE, CROSS, [0, 0]);
  const second = at(PICTURE_6X6, NINE, CROSS, [0, 1]);
  const [rows, columns] = outputSize(PICTURE_6X6, NINE);
  const none = CROSS.flat().filter((weight) => weight === 0).length;
  return [
    {
      text:
        `Now the weights are a matrix of 3 × 3. The filter lies on nine pixels. Each is multiplied by the weight on it, and ` +
        `the products are added: ${first.written}. The ${none} weights of 0 switch ${none} pixels off.`,
      place: figure("six-by-six", [0, 0]),
    },
    {
      text: "The filter moves on by one column. The weights stay the same; the pixels under them change.",
      place: figure("six-by-six::ask", [0, 1]),
      ask: {
        prompt: "What will this number be? The nine products stand in the figure: add them up.",
        answer: second.value,
        worked: second.written,
        then: figure("six-by-six", [0, 1]),
      },
    },
    {
      text:
        `This is a convolution: the same nine weights serve at ${rows} × ${columns} = ${rows * columns} places, from the upper left to ` +
        "the lower right. The output is called a map. Choose any number of the output to see its sum.",
      place: figure("six-by-six", [rows - 1, columns - 1]),
      way: Array.from({ length: columns }, (_, x) => figure("six-by-six", [0, x])),
      pace: PACE,
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function strideAndPadding() {
  /** @type {Window} */
  const two = { ...NINE, stride: [2, 2] };
  /** @type {Window} */
  const border = { ...NINE, padding: [1, 1] };
  const [row, column] = material.MISPRINTED_AT;
  const corner = at(PICTURE_6X6, two, CROSS, [row, column]);
  const dense = everywhere(PICTURE_6X6, NINE, (cells) => weighted(cells, CROSS, 1));
  const there = dense.findIndex((each) => each.includes(MISPRINTED));
  const [small] = outputSize(PICTURE_6X6, two);
  const [same] = outputSize(PICTURE_6X6, border);
  const outside = cellsAt(PICTURE_6X6, border, [0, 0]).filter(({ inside }) => !inside).length;
  const asked = at(PICTURE_6X6, border, CROSS, [0, 1]);
  const { places } = fitting(7, 3, 2, 0, 1);
  const { places: kept } = fitting(5, 3, 1, 1, 1);
  return [
    {
      text:
        `With stride 2 the filter moves two places at a time, to the right and down. Of the ${rowsAndColumns(dense)} numbers, every ` +
        `second one is left: ${small} × ${small}.`,
      place: figure("stride-two", [0, 1]),
      way: [figure("stride-two", [0, 0])],
      pace: 2 * PACE,
    },
    {
      text:
        `These numbers are from an article of 2017, and it has a slip here. At the lower right it prints ${MISPRINTED}, but the arithmetic gives ${number(corner.value)}: ` +
        `${corner.written}. ${MISPRINTED} is the number that stride 1 has in row ${there}, column ${dense[there].indexOf(MISPRINTED)}.`,
      place: figure("stride-two", [row, column]),
    },
    {
      text:
        `With a border of zeros, called padding, the filter fits at as many places as there are pixels: ${rowsAndColumns(PICTURE_6X6)} stays ` +
        `${same} × ${same}. In the corner, ${outside} of ${CROSS.flat().length} numbers are zeros: ${at(PICTURE_6X6, border, CROSS, [0, 0]).written}. ` +
        `The middle ${rowsAndColumns(dense)} is what came out without the border.`,
      place: figure("same-padding", [0, 0]),
    },
    {
      text: "One place further on, the upper row of the window still lies on the border.",
      place: figure("same-padding::ask", [0, 1]),
      ask: {
        prompt: "What will this number be?",
        answer: asked.value,
        worked: asked.written,
        then: figure("same-padding", [0, 1]),
      },
    },
    {
      text: "A picture of 7 × 7, a window of 3 × 3, stride 2, no padding.",
      place: figure("fit:7,3,2,0,1:ask"),
      ask: {
        prompt: "How many numbers does a row of the output have?",
        answer: places,
        worked: inFormula([7, 3, 2, 0, 1]),
        then: figure("fit:7,3,2,0,1"),
      },
    },
    {
      text: "A picture of 5 × 5, a window of 3 × 3, stride 1, a border of 1.",
      place: figure("fit:5,3,1,1,1:ask"),
      ask: {
        prompt: "How many numbers does a row of the output have?",
        answer: kept,
        worked: inFormula([5, 3, 1, 1, 1]),
        then: figure("fit:5,3,1,1,1"),
      },
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function pools() {
  const map = mapToPool();
  /** @type {Window} */
  const window = { size: [2, 2], stride: [2, 2] };
  const [rows, columns] = outputSize(map, window);
  const written = (/** @type {"max" | "mean" | "norm"} */ pick, /** @type {[number, number]} */ place) => {
    const cells = cellsAt(map, window, place);
    return sumOf(cells, { weights: null, divisor: 1, pick, value: POOLED[pick](cells) });
  };
  const next = cellsAt(map, window, [0, 1]);
  return [
    {
      text:
        `Pooling makes a map smaller, without any weights. Each window of 2 × 2 becomes one number. Max pooling keeps ` +
        `${written("max", [0, 0])}. The map of ${rowsAndColumns(map)} becomes ${rows} × ${columns}.`,
      place: figure("max-pooling", [0, 0]),
    },
    {
      text: "The window moves on by two places.",
      place: figure("max-pooling::ask", [0, 1]),
      ask: {
        prompt: "What will max pooling make of it?",
        answer: POOLED.max(next),
        choices: next.map(({ value }) => value),
        worked: written("max", [0, 1]),
        then: figure("max-pooling", [0, 1]),
      },
    },
    {
      text: `Average pooling takes the mean: ${written("mean", [0, 0])}.`,
      place: figure("average-pooling", [0, 0]),
    },
    {
      text: `L2-norm pooling takes the root of the sum of squares: ${written("norm", [0, 0])}.`,
      place: figure("norm-pooling", [0, 0]),
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function filters() {
  const { "box-blur": box, "gaussian-blur": bell, "upright-edges": upright } = material.FILTERS;
  const sum = (/** @type {Matrix} */ kernel) => kernel.flat().reduce((a, b) => a + b, 0);
  return [
    {
      text:
        "Before networks learned filters, people wrote them by hand. These weights find upright edges: they subtract what is " +
        `left of a pixel from what is right of it. The weights add up to ${sum(upright.kernel)}, so an even surface gives 0. The ` +
        "frames show the place where this filter answers most.",
      place: figure("photograph:upright-edges"),
    },
    {
      text: "The same weights, turned on their side, find level edges: where the brightness changes from above to below.",
      place: figure("photograph:level-edges"),
    },
    {
      text:
        `Equal weights blur. Each number is the mean of ${box.kernel.length} × ${box.kernel.length} = ${sum(box.kernel)} pixels: ` +
        `their sum divided by ${box.divisor}.`,
      place: figure("photograph:box-blur"),
    },
    {
      text:
        `Weights that grow towards the middle blur more gently. They add up to ${sum(bell.kernel)}, and the sum is divided by ` +
        `${bell.divisor}: the picture stays as bright as it was.`,
      place: figure("photograph:gaussian-blur"),
    },
    {
      text:
        "A large weight among negative ones sharpens: what differs from its neighbours is enlarged. A network does not " +
        "need such filters from you. It begins with random weights, and training finds useful ones.",
      place: figure("photograph:sharpening"),
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function fits() {
  return [
    {
      text:
        "How large is the output? A window of width F on a picture of width W, with P zeros on each side and steps of S, has " +
        `([W - F + 2P] / S) + 1 places. Here ${inFormula([6, 3, 1, 0, 1])}. Move the sliders.`,
      place: figure("fit:6,3,1,0,1"),
    },
    {
      text:
        `Not everything fits. With W = 6, F = 3 and S = 2, ${inFormula([6, 3, 2, 0, 1])}. The last column and the last row are ` +
        "under no window: the figure hatches them.",
      place: figure("fit:6,3,2,0,1", [0, 1]),
      way: [figure("fit:6,3,2,0,1", [0, 0])],
      pace: 2 * PACE,
    },
    {
      text:
        `Dilation puts gaps between the window's numbers. With D = 2, a window of 3 reaches over ${fitting(7, 3, 1, 0, 2).reach} ` +
        `columns and still has 3 × 3 weights: ${inFormula([7, 3, 1, 0, 2])}.`,
      place: figure("fit:7,3,1,0,2"),
    },
  ];
}

/** @returns {Promise<LessonStep[]>} */
export async function network() {
  const [one, two] = [layersOf(1), layersOf(2)];
  const [, conv, pool, flat, dense] = two.rows;
  return [
    {
      text:
        "The article's own network reads pictures of cats and dogs. Training adjusts its parameters: the weights, and a bias for each " +
        `filter and class, a number that is added to the sum. Its ${conv[1][2]} filters have ${conv[3]} = ${counted(conv[2])} ` +
        `parameters, whatever the picture's size. Pooling leaves ${pool[1].join(" × ")} = ${counted(flat[1][0])} numbers. The dense ` +
        `layer needs a weight for each of them and each class: ${dense[3]} = ${counted(dense[2])}. Together: ` +
        `${counted(conv[2])} + ${counted(dense[2])} = ${counted(two.total)}.`,
      place: figure("parameters:2"),
    },
    {
      text:
        `The article prints a summary with ${counted(one.total)} parameters. That is the network with one output unit, ` +
        `${counted(conv[2])} + ${counted(one.rows[4][2])}; its code has two. From here on, the lessons go through the network of this page.`,
      place: figure("parameters:1"),
    },
  ];
}
