/**
 * The article's pictures, weights, settings and its misprint, as in `lessons/material.py`; a test compares the two. No
 * results: the figures compute them.
 *
 * "Architecture of Convolutional Neural Networks (CNNs) demystified" (2017).
 */

/** @typedef {number[][]} Matrix rows of equal length */

/** @param {string} text a row of numbers a line */
function rows(text) {
  return text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number));
}

/** Part of a picture of a handwritten 4. */
export const PICTURE = rows(`
   25   2   1  44
  223   7   6  60
  196   8   2 148
  249   1   3  40
   60   7   1 154
   59   1   7 213
  214   7   3 163
   89 182 219  13
   74 146 113  72
   89  18 244  85
    1   4   8  97
    3   4   2 121
    2   1   2 131
    7   6   8  47
    3   5   5 126
    7   6   8 121
    5   3   1 237`);

export const PICTURE_FOR_PAIRS = rows(`
   86   4   8 184
  252   3   8  40
   34   7   7 163
  105   2   3  69
   56   3   8 175
  126   1   2 178
  163   8   4 142
   22 222  74 180
  163 158 204 253
  245  98  85 180
    1   5   1  98
    4   2   8  90
    7   8   1 235
    2   1   3 217
    3   6   5  97
    6   5   8  79
    8   8   5 133`);

export const PICTURE_6X6 = rows(`
   18  54  51 239 244 188
   55 121  75  78  95  88
   35  24 204 113 109 221
    3 154 104 235  25 130
   15 253 225 159  78 233
   68  85 180 214 245   0`);

export const ONE_WEIGHT = rows("3");
export const PAIR = rows("1 0.3");
export const SECOND_PAIR = rows("0.1 5");
export const CROSS = rows(`
  1 0 1
  0 1 0
  1 0 1`);

/** The article's lower right number for stride 2. */
export const MISPRINTED = 412;
export const MISPRINTED_AT = [1, 1];

/** Filters for photographs: whole weights, and what their sum is divided by. */
export const FILTERS = {
  "upright-edges": {
    title: "Upright edges",
    kernel: rows("-1 0 1\n-2 0 2\n-1 0 1"),
    divisor: 1,
    signed: true,
  },
  "level-edges": { title: "Level edges", kernel: rows("-1 -2 -1\n0 0 0\n1 2 1"), divisor: 1, signed: true },
  "box-blur": { title: "Box blur", kernel: rows(Array(5).fill("1 1 1 1 1").join("\n")), divisor: 25, signed: false },
  "gaussian-blur": {
    title: "Gaussian blur",
    kernel: rows("1 4 6 4 1\n4 16 24 16 4\n6 24 36 24 6\n4 16 24 16 4\n1 4 6 4 1"),
    divisor: 256,
    signed: false,
  },
  sharpening: { title: "Sharpening", kernel: rows("0 -1 0\n-1 5 -1\n0 -1 0"), divisor: 1, signed: false },
};

/** The article's examples of sizes: width W, filter's width F, zeros P, step S, filters, channels. */
export const SIZES = [
  [32, 3, 0, 1, 10, 3],
  [32, 5, 0, 1, 10, 3],
  [6, 3, 0, 1, 1, 1],
  [6, 3, 1, 1, 1, 1],
  [300, 5, 0, 1, 10, 3],
];

/** Scores of three classes, and the true class. */
export const SCORES = [2, 1, 0.1];
export const SCORES_TRUTH = 1;
