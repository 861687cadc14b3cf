/** A sum's window: the maps of its terms, the places in them, and the number grids that show it. */

import { h } from "../element.js";
import { grid } from "./grid.js";
import { unit } from "../format.js";
import { GRADIENT } from "../arithmetic/declaration.js";
import { position } from "../trace.js";
import { numberCalled, placeOf } from "./follow.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").Column} Column */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {{key: string, lead: number[], rows: number[], total: number}} Slice terms that share a map */

const LARGEST = 12; // rows or columns of a window that is shown in numbers
const MARGIN = 3; // numbers around it

/**
 * The terms by the map of their first factor, in their order of addition; null if the first factor is in no map, or if
 * the window is too large for numbers.
 * @param {Part} part
 * @returns {Slice[] | null}
 */
export function slices(part) {
  const [first] = part.terms.columns;
  if (!first || first.indices.length - part.lead(first.name) < 2) return null;
  /** @type {Map<string, Slice>} */
  const byMap = new Map();
  for (let row = 0; row < part.terms.values.length; row++) {
    const lead = placeOf(part, first, row).slice(0, -2);
    const key = lead.join(",");
    const slice = byMap.get(key) ?? { key, lead, rows: [], total: 0 };
    byMap.set(key, slice);
    slice.rows.push(row);
    if (Number.isFinite(part.terms.values[row])) slice.total += part.terms.values[row];
  }
  const all = [...byMap.values()];
  const wide = all.some(({ rows }) => ends(first, rows).some(([from, to]) => to - from >= LARGEST));
  return wide || !all.length ? null : all;
}

/**
 * First and last place along the last two axes.
 * @param {Column} column
 * @param {number[]} rows
 */
function ends(column, rows) {
  return column.indices.slice(-2).map((axis) => {
    const places = rows.map((row) => axis[row]);
    return [Math.min(...places), Math.max(...places)];
  });
}

/**
 * The grids of one slice: the window in its surroundings, the other factors with a window, the products.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @param {HTMLElement[]} own the number in its own map
 * @returns {Promise<HTMLElement[]>}
 */
export async function windowGrids(context, part, slice, own) {
  const { exact } = context.state;
  const { columns, values, pick } = part.terms;
  const [first, ...others] = columns;
  const grids = [await surroundings(context, part, first, slice)];
  const second =
    slice.rows.length > 1 &&
    others.find((column) => column.indices.length - part.lead(column.name) >= 2 && varies(column, slice.rows));
  const operator = (/** @type {string} */ text) => h("span", { class: "operator", "aria-hidden": "true" }, text);
  if (second) grids.push(operator("×"), factorGrid(context, part, second, slice));
  if (pick === "sum" && slice.rows.length > 1 && columns.length > 1) {
    const layout = second || first;
    const cells = laid(layout, slice.rows, (row) => ({ value: values[row], says: `product ${row}`, term: row }));
    const products = grid({ key: `product/${slice.key}`, caption: "products", ...cells, exact, headed: false });
    grids.push(operator("="), h("div", { class: "stack" }, products, ...own));
  } else grids.push(...own);
  return grids;
}

/**
 * @param {Column} column
 * @param {number[]} rows
 */
function varies(column, rows) {
  return ends(column, rows).some(([from, to]) => to > from);
}

/**
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Column} column
 * @param {Slice} slice
 */
function factorGrid(context, part, column, slice) {
  const name = part.named(column.name);
  const lead = placeOf(part, column, slice.rows[0]).slice(0, -2);
  const cells = laid(column, slice.rows, (row) => {
    const index = placeOf(part, column, row);
    return {
      value: column.values[row],
      says: unit(name, index),
      outside: !column.inside[row],
      follow: follower(context, name, index),
      term: row,
    };
  });
  return grid({
    key: `factor/${column.name}/${slice.key}`,
    caption: unit(name, lead),
    ...cells,
    exact: context.state.exact,
  });
}

/**
 * Cells at the places of a column's last two axes.
 * @param {Column} column
 * @param {number[]} rows
 * @param {(row: number) => import("./grid.js").Cell} cell
 */
function laid(column, rows, cell) {
  const [[top, bottom], [left, right]] = ends(column, rows);
  /** @type {(import("./grid.js").Cell | null)[][]} */
  const cells = Array.from({ length: bottom - top + 1 }, () => new Array(right - left + 1).fill(null));
  const [down, across] = column.indices.slice(-2);
  for (const row of rows) cells[down[row] - top][across[row] - left] = cell(row);
  return { top, left, cells };
}

/**
 * The window in its map. The visible part of a large map stays while the window slides over it.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Column} column
 * @param {Slice} slice
 */
async function surroundings(context, part, column, slice) {
  const { trace, room } = context;
  const name = part.named(column.name);
  const plain = name.replace(GRADIENT, "");
  const array = `${name === plain ? "value" : "gradient"}/${plain}`;
  if (!trace.has(array)) return factorGrid(context, part, column, slice);
  const { shape, data } = await trace.array(array);
  const lead = placeOf(part, column, slice.rows[0]).slice(0, -2);
  const [[top, bottom], [left, right]] = ends(column, slice.rows);
  const [height, width] = shape.slice(-2);
  const [y0, y1] = view(top, bottom, height, Math.min(8, room));
  const [x0, x1] = view(left, right, width, room);
  const { pick, winner } = part.terms;
  const [down, across] = column.indices.slice(-2);
  const rowOf = new Map(slice.rows.map((row) => [`${down[row]},${across[row]}`, row]));
  const cells = Array.from({ length: y1 - y0 }, (_, y) =>
    Array.from({ length: x1 - x0 }, (_, x) => {
      const index = [...lead, y0 + y, x0 + x];
      const row = rowOf.get(`${y0 + y},${x0 + x}`);
      const outside = y0 + y < 0 || x0 + x < 0 || y0 + y >= height || x0 + x >= width;
      const value = outside ? 0 : data[position(trace.whole(plain, index), shape)];
      const says = outside ? "padding" : unit(name, index);
      const best = pick === "max" && row === winner && row !== undefined;
      return {
        value,
        says,
        outside,
        on: row !== undefined,
        term: row,
        best,
        follow: outside ? null : follower(context, name, index),
      };
    }),
  );
  return grid({
    key: `window/${slice.key}`,
    caption: unit(name, lead),
    top: y0,
    left: x0,
    cells,
    exact: context.state.exact,
    focus: [top - y0, left - x0],
  });
}

/**
 * The visible rows, or columns, around a window: from, to. They come in overlapping pages.
 * @param {number} from
 * @param {number} to
 * @param {number} size
 * @param {number} room
 */
export function view(from, to, size, room) {
  const own = to - from + 1;
  const shown = Math.max(own, Math.min(room, Math.max(4, own + MARGIN)));
  const [low, high] = [Math.min(0, from), Math.max(size, to + 1)];
  if (high - low <= shown) return [low, high];
  const step = Math.max(1, shown - own);
  const page = Math.floor(from / step) * step;
  const start = Math.max(low, Math.min(page, high - shown));
  return [Math.min(start, from), Math.max(start + shown, to + 1)];
}

/**
 * @param {NumberContext} context
 * @param {string} name
 * @param {number[]} index
 */
function follower({ trace, follow }, name, index) {
  const target = numberCalled(trace, name, index);
  return target && (() => follow(target));
}
