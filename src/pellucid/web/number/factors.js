/** The other factors of a window's terms, and the products, cell by cell as they meet the window. */

import { cofactor, evaluate, written } from "../arithmetic/expression.js";
import { unit } from "../format.js";
import { caption, factorCell, gap, heads, note } from "./cells.js";
import { placeOf } from "./follow.js";
import { grid } from "./grid.js";

/** @typedef {import("../arithmetic/expression.js").Expression} Expression */
/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("./grid.js").Cell} Cell */
/** @typedef {import("./cells.js").Slice} Slice */
/** @typedef {(Cell | null)[][]} Cells */

/**
 * The factor that is drawn with all its numbers, such as the weights: its number among the columns; -1 for none.
 * @param {Part} part
 */
export function wholeFactor({ terms: { columns, formula } }) {
  const rest = cofactor(formula, columns[0].name);
  return columns.findIndex(({ name, array }) => name === rest && array !== null);
}

/**
 * The grid of the other factors and the grid of the products; null for what there is not.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @returns {{factors: HTMLElement | null, results: HTMLElement | null}}
 */
export function otherFactors(context, part, slice) {
  const { formula, columns, pick } = part.terms;
  const { exact } = context.state;
  const rest = cofactor(formula, columns[0].name);
  if (pick === "max" || rest === 1 || (rest === null && slice.rows.length === 1))
    return { factors: null, results: null };
  const result = { key: `product/${slice.key}`, exact, headed: false, top: 0, left: 0 };
  if (rest === null) {
    const cells = each(slice, (row) => (row === undefined ? null : resultCell(part, row)));
    return { factors: null, results: grid({ ...result, caption: named(part, formula), cells }) };
  }
  const factor = columns.findIndex(({ name }) => name === rest);
  const drawn = factor < 0 ? computed(context, part, slice, rest) : single(context, part, slice, factor);
  const cells = each(slice, (row, at) => {
    if (row !== undefined) return resultCell(part, row);
    const other = drawn.cells[at[0]][at[1]];
    const own = other && factorCell(context, part, slice.frame, 0, at);
    const empty = own?.gap || own?.outside ? own : other;
    return own && empty && { value: 0, says: `product, ${empty.says}`, gap: true };
  });
  return { factors: drawn.grid, results: grid({ ...result, caption: "products", cells }) };
}

/**
 * @template T
 * @param {Slice} slice
 * @param {(row: number | undefined, at: [number, number]) => T} cell of a term, or of a place without one
 */
function each({ frame: { size, term } }, cell) {
  return Array.from({ length: size[0] }, (_, y) => Array.from({ length: size[1] }, (_, x) => cell(term(y, x), [y, x])));
}

/**
 * @param {Part} part
 * @param {number} row
 * @returns {Cell}
 */
function resultCell(part, row) {
  const { columns, values } = part.terms;
  const place = placeOf(part, columns[0], row);
  const [y, x] = place.slice(-2);
  const map = unit(part.named(columns[0].name), place.slice(0, -2));
  return { value: values[row], says: `product in row ${y}, column ${x} of ${map}`, term: row };
}

/**
 * The grid of one array's numbers.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @param {number} factor
 */
function single(context, part, slice, factor) {
  const { frame, rows, key } = slice;
  const { columns } = part.terms;
  const cells = each(slice, (_, at) => factorCell(context, part, frame, factor, at));
  const ends = frame.size.map((size) => [0, size]);
  const share = !context.trace.known(columns[factor].name) && shareOf(cells, frame.size);
  const table = grid({
    key: `factor/${columns[factor].name}/${key}`,
    caption: caption(part, frame, factor, rows[0]),
    note: share || note(frame, factor),
    top: 0,
    left: 0,
    heads: heads(part, frame, factor, ends),
    headed: !share && frame.ways.length > 0,
    cells,
    exact: context.state.exact,
  });
  return { grid: table, cells };
}

/**
 * The grid of what several factors, or a formula, give for each term.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @param {Expression} rest
 */
function computed({ state: { exact } }, part, slice, rest) {
  const { columns, values } = part.terms;
  const byName = new Map(columns.map((column) => [column.name, column.values]));
  const numbers = evaluate(rest, (name) => /** @type {Float64Array} */ (byName.get(name)), values.length);
  const text = named(part, rest);
  const reason = columns.map((_, at) => gap(slice.frame, at)).find(Boolean);
  /** @type {Cells} */
  const cells = each(slice, (row) => {
    if (row !== undefined) return { value: numbers[row], says: text, term: row };
    return reason ? { value: 0, says: `gap: ${reason}`, gap: true } : null;
  });
  const share = typeof rest === "number" ? shareOf(cells, slice.frame.size) : "";
  const table = grid({
    ...{ key: `factor/computed/${slice.key}`, top: 0, left: 0, cells, exact, headed: false },
    caption: share || text,
  });
  return { grid: table, cells };
}

/**
 * "1/(3 × 3)" if each number is this share.
 * @param {Cells} cells
 * @param {number[]} size
 */
function shareOf(cells, [height, width]) {
  const values = cells.flat().flatMap((cell) => (cell && !cell.gap ? [cell.value] : []));
  const count = Math.round(1 / values[0]);
  if (!(count > 1) || values.some((value) => Math.abs(value * count - 1) > 1e-6)) return "";
  return count === height * width ? `1/(${height} × ${width})` : `1/${count}`;
}

/**
 * @param {Part} part
 * @param {Expression} formula
 */
function named(part, formula) {
  return written(formula, (name) => part.named(name)).replaceAll(" * ", " × ");
}
