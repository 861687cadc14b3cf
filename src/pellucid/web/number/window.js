/** A sum's window: the maps of its terms, the places in them, and the number grids that show it. */

import { frames } from "../arithmetic/frame.js";
import { h } from "../element.js";
import { unit } from "../format.js";
import { factorCell, heads, note } from "./cells.js";
import { otherFactors, wholeFactor } from "./factors.js";
import { placeOf } from "./follow.js";
import { grid } from "./grid.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("./cells.js").Slice} Slice */

const MARGIN = 3; // numbers around a window

/**
 * The terms by the map of their first factor, in their order of addition; null if the first factor is in no map, if the
 * window is too large for numbers, or if a number of the map is in several terms.
 * @param {Part} part
 * @returns {Slice[] | null}
 */
export function slices(part) {
  const { columns, values } = part.terms;
  const [first] = columns;
  if (!first || first.indices.length - part.lead(first.name) < 2) return null;
  /** @type {Map<string, Omit<Slice, "frame">>} */
  const byMap = new Map();
  for (let row = 0; row < values.length; row++) {
    const lead = placeOf(part, first, row).slice(0, -2);
    const key = lead.join(",");
    const slice = byMap.get(key) ?? { key, lead, rows: [], total: 0 };
    byMap.set(key, slice);
    slice.rows.push(row);
    if (Number.isFinite(values[row])) slice.total += values[row];
  }
  const all = [...byMap.values()];
  const groups = all.map(({ rows }) => rows);
  const drawn = all.length ? frames(part.terms, groups, { whole: wholeFactor(part), windows: part.windows }) : null;
  return drawn && all.map((slice, at) => ({ ...slice, frame: drawn[at] }));
}

/**
 * The grids of one slice: the window in its surroundings, the other factors, the products. Cell (r, c) of the window
 * times cell (r, c) of the other factors is cell (r, c) of the products.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @param {HTMLElement[]} own the number in its own map
 * @returns {Promise<HTMLElement[]>}
 */
export async function windowGrids(context, part, slice, own) {
  const { factors, results } = otherFactors(context, part, slice);
  const operator = (/** @type {string} */ text) => h("span", { class: "operator", "aria-hidden": "true" }, text);
  const grids = [surroundings(context, part, slice, factors !== null)];
  if (factors) grids.push(operator("×"), factors);
  if (results) grids.push(operator(factors ? "=" : "→"), h("div", { class: "stack" }, results, ...own));
  else grids.push(...own);
  return grids;
}

/**
 * The window in its map. The visible part of a large map stays while the window slides over it.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Slice} slice
 * @param {boolean} filled whether the window has a cell for each cell of the other factors, with a term or without
 */
function surroundings(context, part, { key, lead, frame }, filled) {
  const [first] = part.terms.columns;
  const ends = frame.from.map((from, side) => {
    const to = from + frame.size[side] - 1;
    const spacing = frame.spacing[side];
    if (!spacing || !first.array) return [from, to + 1];
    const size = first.shape[first.shape.length - 2 + side];
    return view(from, to, (size - 1) * spacing + 1, side ? context.room : Math.min(8, context.room));
  });
  const relative = ends.map((both, side) => both.map((end) => end - frame.from[side]));
  const [[y0, y1], [x0, x1]] = relative;
  const cells = Array.from({ length: y1 - y0 }, (_, y) =>
    Array.from({ length: x1 - x0 }, (_, x) => {
      const [row, column] = [y0 + y, x0 + x];
      const cell = factorCell(context, part, frame, 0, [row, column]);
      if (!cell) return null;
      const reached = row >= 0 && column >= 0 && row < frame.size[0] && column < frame.size[1];
      const term = reached ? frame.term(row, column) : undefined;
      const unused = reached && filled && frame.ways.length > 0 && term === undefined;
      const best = part.terms.pick === "max" && term !== undefined && term === part.terms.winner;
      return { ...cell, term, on: term !== undefined || unused, unused, best };
    }),
  );
  return grid({
    key: `window/${key}`,
    caption: unit(part.named(first.name), lead),
    note: note(frame, 0),
    top: ends[0][0],
    left: ends[1][0],
    heads: heads(part, frame, 0, relative),
    cells,
    exact: context.state.exact,
    focus: [-y0, -x0],
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
