/**
 * The cells of a sum's terms: cell (r, c) of one factor's grid times cell (r, c) of the other's is cell (r, c) of the
 * products. Where a stride or a dilation leaves gaps between the numbers of a factor, so do the cells.
 */

import { way } from "./ways.js";

/** @typedef {import("./evaluator.js").Terms} Terms */
/** @typedef {import("./evaluator.js").Column} Column */
/** @typedef {import("./ways.js").Way} Way */
/**
 * @typedef {object} Frame
 * @property {number[]} from the first row and column, counted in the map of the first factor: `spacing` cells a number
 * @property {number[]} size rows and columns
 * @property {number[]} spacing of the first factor's numbers; 0 if the cells leave out some of them
 * @property {(row: number, column: number) => number | undefined} term the term of a cell
 * @property {(factor: number, row: number, column: number) => number[] | null} place the index of a factor, by its
 *   number among the columns; null in a gap. It may lie outside its array.
 * @property {Way[]} ways down and across; empty if the steps are not constant
 * @property {boolean} spread whether gaps are drawn; without them, each cell is a term
 */

export const LARGEST = 12; // rows or columns of a window that is shown in numbers

/**
 * The frames of groups of terms, all drawn alike.
 * @param {Terms} terms
 * @param {number[][]} groups the terms of each
 * @param {object} about
 * @param {number} about.whole the column that is drawn whole, with the numbers that meet no other; -1 for none
 * @param {boolean} about.windows whether the op has windows, with a stride and a dilation
 * @returns {Frame[] | null} null if two terms have the same cell, or there are too many cells
 */
export function frames(terms, groups, { whole, windows }) {
  const [down, across] = [way(terms, -2, windows), way(terms, -1, windows)];
  const small = (/** @type {(Frame | null)[]} */ all) =>
    all.every((frame) => frame?.size.every((size) => size <= LARGEST)) ? /** @type {Frame[]} */ (all) : null;
  if (down && across) {
    const ways = [down, across];
    const spread =
      (terms.columns.length === 1 || ways.every(drawable)) &&
      small(groups.map((rows) => regular(terms, rows, ways, whole)));
    if (spread) return spread;
    const dense = ways.map((each) => ({ ...each, unit: 1, gaps: each.gaps.map(() => "") }));
    const packed = small(groups.map((rows) => regular(terms, rows, dense, -1)));
    if (packed) return packed;
  }
  return small(groups.map((rows) => ranked(terms, rows)));
}

/**
 * Whether numbers of all factors share a cell only in a term.
 * @param {Way} way
 */
function drawable({ unit, paces }) {
  const spacings = paces.map((own) => own.filter(Boolean).map((pace) => unit / Math.abs(pace)));
  for (let cell = 1; cell < unit; cell++) {
    if (spacings.every((own) => own.every((spacing) => cell % spacing === 0))) return false;
  }
  return true;
}

/**
 * Cells by the paces of the sum.
 * @param {Terms} terms
 * @param {number[]} rows
 * @param {Way[]} ways
 * @param {number} whole
 * @returns {Frame | null} null if a term has another place
 */
function regular({ columns }, rows, ways, whole) {
  const [first] = columns;
  const start = rows[0]; // all cells are counted from this term's
  const axis = [first.shape.length - 2, first.shape.length - 1];
  const pace = ways.map(({ paces }, side) => paces[0][axis[side]]);
  const spacing = ways.map(({ unit }, side) => (pace[side] ? unit / pace[side] : 1));
  const at = (/** @type {number} */ row) =>
    spacing.map((each, side) => (first.indices[axis[side]][row] - first.indices[axis[side]][start]) * each);
  const place = (/** @type {number} */ factor, /** @type {number[]} */ cell) => {
    const index = columns[factor].indices.map(
      (each, own) =>
        each[start] + ways.reduce((sum, way, side) => sum + (way.paces[factor][own] * cell[side]) / way.unit, 0),
    );
    return index.every(Number.isInteger) ? index : null;
  };
  const cells = rows.map(at);
  const byCell = new Map(rows.map((row, which) => [cells[which].join(), row]));
  const right = rows.every((row, which) =>
    columns.every((column, factor) => {
      const index = place(factor, cells[which]);
      return index && column.indices.every((own, axis) => own[row] === index[axis]);
    }),
  );
  if (!right || byCell.size < rows.length) return null;
  const ends = ways.map((way, side) => {
    const own = cells.map((cell) => cell[side]);
    const beyond = whole >= 0 && way.tied ? reach(columns[whole], way.paces[whole], way.unit, start) : [];
    return [Math.min(...own, ...beyond), Math.max(...own, ...beyond)];
  });
  const shown = spacing.map((each) => (Number.isInteger(each) ? each : 0));
  const from = ends.map(([low], side) => low + first.indices[axis[side]][start] * shown[side]);
  return {
    from,
    size: ends.map(([low, high]) => high - low + 1),
    spacing: shown,
    term: (row, column) => byCell.get([row + ends[0][0], column + ends[1][0]].join()),
    place: (factor, row, column) => place(factor, [row + ends[0][0], column + ends[1][0]]),
    ways,
    spread: ways.some(({ unit }) => unit > 1),
  };
}

/**
 * The cells of a column's first and last number in one direction.
 * @param {Column} column
 * @param {number[]} paces
 * @param {number} unit
 * @param {number} start
 */
function reach({ indices, shape }, paces, unit, start) {
  const axis = paces.findIndex((pace) => pace < 0); // against the first factor, as a kernel does
  if (axis < 0) return [];
  return [0, shape[axis] - 1].map((end) => ((end - indices[axis][start]) * unit) / paces[axis]);
}

/**
 * Cells by the order of the first factor's indices.
 * @param {Terms} terms
 * @param {number[]} rows
 * @returns {Frame | null}
 */
function ranked({ columns }, rows) {
  const axes = columns[0].indices.slice(-2);
  const lines = axes.map((axis) => [...new Set(rows.map((row) => axis[row]))].sort((a, b) => a - b));
  const dense = lines.map((own) => own[own.length - 1] - own[0] < own.length);
  const cell = (/** @type {number} */ row) => axes.map((axis, side) => lines[side].indexOf(axis[row])).join();
  const byCell = new Map(rows.map((row) => [cell(row), row]));
  if (byCell.size < rows.length) return null;
  return {
    from: lines.map((own, side) => (dense[side] ? own[0] : 0)),
    size: lines.map((own) => own.length),
    spacing: dense.map(Number),
    term: (row, column) => byCell.get([row, column].join()),
    place: (factor, row, column) => {
      const term = byCell.get([row, column].join());
      if (term !== undefined) return columns[factor].indices.map((axis) => axis[term]);
      if (factor > 0 || !dense.every(Boolean)) return null;
      const lead = columns[0].indices.slice(0, -2).map((axis) => axis[rows[0]]);
      return [...lead, lines[0][0] + row, lines[1][0] + column];
    },
    ways: [],
    spread: false,
  };
}
