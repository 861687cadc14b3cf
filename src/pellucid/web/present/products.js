/** The products of one number's sum, in the layout of its window. */

import { factors as factorsOf, written } from "../arithmetic/expression.js";
import { unit } from "../format.js";
import { note } from "../number/cells.js";
import { chosenMap } from "../number/chosen.js";
import { placeOf } from "../number/follow.js";
import { slices } from "../number/window.js";
import { position } from "../trace.js";
import { alone, bracketed, setting } from "./digits.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../number/window.js").Slice} Slice */
/** @typedef {{width: number, height: number}} Room in CSS pixels */
/**
 * A factor of every product.
 * @typedef {object} Factor
 * @property {string} caption
 * @property {string} note what was done to the factor: "turned by 180°, stride 2: gaps between"; "" for nothing
 * @property {number[]} values one for each product
 * @property {boolean[]} inside whether it is a number of its array, and not padding
 * @property {boolean} single whether all are the same number
 * @property {Lone[]} alone its numbers in the window that meet a gap of another factor
 */
/**
 * A number without a product.
 * @typedef {object} Lone
 * @property {number[]} at row and column
 * @property {number} value
 * @property {boolean} inside
 */
/**
 * The products of one map, or the candidates for its largest number.
 * @typedef {object} Products
 * @property {Factor[]} factors empty if the formula is more than a product
 * @property {number[]} values
 * @property {string[]} formulas each in numbers
 * @property {number[][]} at row and column of each, from 0
 * @property {number} rows
 * @property {number} columns
 * @property {"sum" | "max"} pick
 * @property {number} winner the largest candidate; -1 in a sum
 * @property {number} count of all products, of which a long list shows the largest
 * @property {number} total
 * @property {boolean} map whether they are in their places in a window
 */

const LISTED = 100; // products of a sum without a window

/**
 * The terms of the first part by their maps, and which of them is shown.
 * @param {Working} working
 * @param {import("../store.js").PageState} state
 * @returns {[Slice[] | null, number]}
 */
export function mapsOfSum(working, state) {
  const [part] = working.parts;
  const perMap = part && part.terms.values.length > 1 ? slices(part) : null;
  return perMap ? [perMap, chosenMap(perMap, state.channel)] : [null, 0];
}

/**
 * @param {Part} part
 * @param {Slice | null} slice
 * @returns {Products}
 */
export function productsOf(part, slice) {
  const { terms, named } = part;
  const { columns, pick, winner } = terms;
  const all = slice?.rows ?? [...terms.values.keys()];
  const rows = slice ? all : [...all].sort((a, b) => size(terms.values[b]) - size(terms.values[a])).slice(0, LISTED);
  const [first] = columns;
  const across = Math.ceil(Math.sqrt(rows.length));
  const at = slice ? cellsOf(slice) : rows.map((_, each) => [Math.floor(each / across), each % across]);
  const last = (/** @type {0 | 1} */ axis) => 1 + Math.max(...at.map((place) => place[axis]));
  const [height, width] = slice ? slice.frame.size : [last(0), last(1)];
  const factors = (factorsOf(terms.formula) ?? []).map((leaf) => {
    const factor = columns.findIndex(({ name }) => name === leaf);
    const column = columns[factor];
    if (!column) return constant(Number(leaf), rows.length);
    const values = rows.map((row) => column.values[row]);
    const lead = slice ? placeOf(part, column, rows[0]).slice(0, -2) : [];
    const fixed = column !== first && values.every((value) => value === values[0]);
    return {
      caption: unit(named(column.name), lead),
      note: slice && !fixed ? note(slice.frame, factor) : "",
      values,
      inside: rows.map((row) => column.inside[row] === 1),
      single: fixed,
      alone: slice && !fixed ? lone(slice, column, factor) : [],
    };
  });
  return {
    factors,
    values: rows.map((row) => terms.values[row]),
    formulas: rows.map((row) => inNumbersOf(terms, row)),
    at,
    rows: height,
    columns: width,
    pick,
    count: all.length,
    winner: winner === null ? -1 : rows.indexOf(winner),
    total: slice?.total ?? terms.total,
    map: !!slice,
  };
}

/**
 * Row and column of each term of a map, with the gaps that a stride or a dilation leaves.
 * @param {Slice} slice
 * @returns {number[][]}
 */
function cellsOf({ rows, frame }) {
  const at = new Map(cells(frame).map((cell) => [frame.term(cell[0], cell[1]), cell]));
  return rows.map((row) => /** @type {number[]} */ (at.get(row)));
}

/**
 * A factor's numbers between the terms.
 * @param {Slice} slice
 * @param {import("../arithmetic/evaluator.js").Column} column
 * @param {number} factor its number among the columns
 * @returns {Lone[]}
 */
function lone({ frame }, { shape, array }, factor) {
  if (!array || !frame.ways.length) return [];
  return cells(frame).flatMap(([row, across]) => {
    const index = frame.term(row, across) === undefined ? frame.place(factor, row, across) : null;
    if (!index) return [];
    const inside = index.every((place, axis) => place >= 0 && place < shape[axis]);
    return [{ at: [row, across], value: inside ? array[position(index, shape)] : 0, inside }];
  });
}

/** @param {import("../arithmetic/frame.js").Frame} frame */
function cells({ size: [height, width] }) {
  return Array.from({ length: height * width }, (_, at) => [Math.floor(at / width), at % width]);
}

/** @param {number} value */
function size(value) {
  return Number.isFinite(value) ? Math.abs(value) : 0;
}

/**
 * @param {number} value
 * @param {number} count
 * @returns {Factor}
 */
function constant(value, count) {
  const [values, inside] = [Array(count).fill(value), Array(count).fill(true)];
  return { caption: "", note: "", values, inside, single: true, alone: [] };
}

/**
 * @param {import("../arithmetic/evaluator.js").Terms} terms
 * @param {number} row
 */
export function inNumbersOf({ formula, columns }, row) {
  const values = new Map(columns.map((column) => [column.name, column.values[row]]));
  const text = written(formula, (name) => bracketed(alone(values.get(name) ?? NaN)), setting);
  return text.replaceAll(" * ", " × ").replaceAll(" - ", " − ");
}
