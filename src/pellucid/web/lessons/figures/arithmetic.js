/** Windows that slide over small matrices: how many places they have, what lies in one, and what it becomes. */

/** @typedef {import("./material.js").Matrix} Matrix */
/**
 * A window of `size` rows and columns that moves in steps of `stride` over a picture with `padding` zeros around it.
 * Each pair is for rows and columns.
 * @typedef {object} Window
 * @property {[number, number]} size
 * @property {[number, number]} [stride]
 * @property {[number, number]} [padding] zeros on each side
 * @property {[number, number]} [dilation] from one number of the window to the next
 */
/** @typedef {{row: number, column: number, value: number, inside: boolean}} Cell inside the picture, or a zero */

/**
 * How a window fits along one axis.
 * @param {number} width of the picture
 * @param {number} filter
 * @param {number} stride
 * @param {number} padding on each side
 * @param {number} dilation
 * @returns {{reach: number, places: number, over: number}} reach: from the window's first number to its last; places:
 *     0 if it does not fit; over: columns at the end that no window reaches
 */
export function fitting(width, filter, stride, padding, dilation) {
  const reach = dilation * (filter - 1) + 1;
  const room = width + 2 * padding - reach;
  return room < 0
    ? { reach, places: 0, over: 0 }
    : { reach, places: Math.floor(room / stride) + 1, over: room % stride };
}

/**
 * The rows and columns of the output.
 * @param {Matrix} picture
 * @param {Window} window
 * @returns {[number, number]}
 */
export function outputSize(picture, { size, stride = [1, 1], padding = [0, 0], dilation = [1, 1] }) {
  const along = (/** @type {0 | 1} */ axis, /** @type {number} */ width) =>
    fitting(width, size[axis], stride[axis], padding[axis], dilation[axis]).places;
  return [along(0, picture.length), along(1, picture[0].length)];
}

/**
 * The numbers in the window at a place of the output, row by row.
 * @param {Matrix} picture
 * @param {Window} window
 * @param {[number, number]} at
 * @returns {Cell[]}
 */
export function cellsAt(picture, { size, stride = [1, 1], padding = [0, 0], dilation = [1, 1] }, [y, x]) {
  return Array.from({ length: size[0] * size[1] }, (_, number) => {
    const row = stride[0] * y + dilation[0] * Math.floor(number / size[1]) - padding[0];
    const column = stride[1] * x + dilation[1] * (number % size[1]) - padding[1];
    const value = picture[row]?.[column];
    return { row, column, value: value ?? 0, inside: value !== undefined };
  });
}

/**
 * A sum or product of numbers with few decimals, without binary rounding: 4 * 0.3 is 1.2.
 * @param {number} value
 */
export function tidy(value) {
  return Number(value.toFixed(10));
}

/**
 * The sum of the window's numbers times the weights, divided by `divisor`.
 * @param {Cell[]} cells
 * @param {Matrix} kernel
 * @param {number} divisor
 */
export function weighted(cells, kernel, divisor) {
  const weights = kernel.flat();
  return tidy(cells.reduce((sum, { value }, at) => sum + value * weights[at], 0) / divisor);
}

/** What a window's numbers become in pooling. @type {Record<"max" | "mean" | "norm", (cells: Cell[]) => number>} */
export const POOLED = {
  max: (cells) => Math.max(...cells.map(({ value }) => value)),
  mean: (cells) => cells.reduce((sum, { value }) => sum + value, 0) / cells.length,
  norm: (cells) => Math.sqrt(cells.reduce((sum, { value }) => sum + value * value, 0)),
};

/**
 * Every number of the output.
 * @param {Matrix} picture
 * @param {Window} window
 * @param {(cells: Cell[]) => number} becomes
 * @returns {Matrix}
 */
export function everywhere(picture, window, becomes) {
  const [height, width] = outputSize(picture, window);
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => becomes(cellsAt(picture, window, [y, x]))),
  );
}

/**
 * The mean difference between a pixel and its neighbours to the right and below.
 * @param {Matrix} picture
 */
export function unevenness(picture) {
  let sum = 0;
  let count = 0;
  picture.forEach((row, y) =>
    row.forEach((value, x) => {
      for (const beside of [row[x + 1], picture[y + 1]?.[x]]) {
        if (beside === undefined) continue;
        sum += Math.abs(beside - value);
        count += 1;
      }
    }),
  );
  return sum / count;
}

/**
 * The numbers 0 to count - 1 in a fixed order without pattern (Fisher and Yates, with a linear congruential generator).
 * @param {number} count
 */
export function mixed(count) {
  const order = Array.from({ length: count }, (_, at) => at);
  let state = 2017;
  for (let at = count - 1; at > 0; at--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = Math.floor((state / 2 ** 32) * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}

/**
 * Softmax with what leads to it, and the loss of the true class.
 * @param {number[]} scores
 * @param {number} truth
 */
export function chances(scores, truth) {
  const powers = scores.map(Math.exp);
  const total = powers.reduce((a, b) => a + b, 0);
  const probabilities = powers.map((power) => power / total);
  const gradients = probabilities.map((probability, at) => probability - (at === truth ? 1 : 0));
  return { powers, total, probabilities, loss: -Math.log(probabilities[truth]), gradients };
}
