/** A grid of numbers: a cell is a number first and a shade second. It is a real table, with arrow keys. */

import { h } from "../element.js";
import { shading } from "../colors.js";
import { decimals, exact as allDigits, fixed, number } from "../format.js";
import { readable } from "./adding.js";

/**
 * @typedef {object} Cell
 * @property {number} value
 * @property {string} says its description for a screen reader
 * @property {boolean} [on] in the window
 * @property {boolean} [outside] in the padding
 * @property {boolean} [gap] between numbers
 * @property {boolean} [unused] without a number to meet
 * @property {boolean} [best] the winner
 * @property {(() => void) | null} [follow]
 * @property {number} [term] the term that it belongs to, among those of its part
 */
/** @typedef {number | "all" | "short"} Digits of the largest number in a grid; every stored one of each; or two, ".12" */
/**
 * A drawn grid, whose numbers can be written with other digits.
 * @typedef {object} Sheet
 * @property {number} columns
 * @property {number} rows
 * @property {(digits: Digits) => number} longest the number of characters in the longest text
 * @property {(digits: Digits) => void} write
 * @property {() => string[]} texts
 */

const DIGITS = 4; // in a cell: the list beside shows more
const SMALL = 3; // zeros behind the decimal point before an exponent replaces them

/** @type {WeakMap<Element, Sheet>} */
const sheets = new WeakMap();

/**
 * The grids in an element.
 * @param {HTMLElement} element
 */
export function sheetsIn(element) {
  return [...element.querySelectorAll("table.grid")].flatMap((table) => sheets.get(table) ?? []);
}

/**
 * @param {object} about
 * @param {string} about.key
 * @param {string} about.caption
 * @param {string} [about.note] what was done to the numbers
 * @param {number} about.top the first row's number
 * @param {number} about.left the first column's
 * @param {(Cell | null)[][]} about.cells
 * @param {boolean} about.exact
 * @param {boolean} [about.headed] whether rows and columns are numbered
 * @param {string[][]} [about.heads] the rows' and the columns' own numbers, if they do not run from the first
 * @param {number[]} [about.focus] the row and column where the focus starts
 * @param {number[]} [about.scale] other numbers that the shades are scaled by
 */
export function grid({ key, caption, note, top, left, cells, exact, headed = true, heads, focus, scale }) {
  const values = cells.flat().flatMap((cell) => (cell ? [cell.value] : []));
  const shades = shading(scale ?? values);
  const text = written(values, exact ? "all" : DIGITS);
  const [startRow, startColumn] = focus ?? [0, 0];
  const head = headed
    ? [
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("td", {}),
            ...cells[0].map((_, x) => h("th", { scope: "col" }, heads?.[1][x] ?? String(left + x))),
          ),
        ),
      ]
    : [];
  const rows = cells.map((line, y) =>
    h(
      "tr",
      {},
      headed && h("th", { scope: "row" }, heads?.[0][y] ?? String(top + y)),
      ...line.map((cell, x) =>
        drawn(cell, {
          shade: shades.shade,
          text,
          key: `${key}/${top + y},${left + x}`,
          first: y === startRow && x === startColumn,
        }),
      ),
    ),
  );
  const table = h(
    "table",
    { class: "grid", role: "grid", "aria-label": note ? `${caption}, ${note}` : caption, on: { keydown: moveWithin } },
    ...head,
    h("tbody", {}, ...rows),
  );
  const drawnCells = /** @type {HTMLElement[]} */ ([...table.querySelectorAll("td[data-key]")]);
  sheets.set(table, {
    columns: cells[0].length,
    rows: cells.length,
    longest: (digits) => Math.max(0, ...values.map(written(values, digits)).map(({ length }) => length)),
    write: (digits) => {
      const short = written(values, digits);
      drawnCells.forEach((cell, at) => (cell.textContent = short(values[at])));
    },
    texts: () => drawnCells.map((cell) => cell.textContent ?? ""),
  });
  return h(
    "figure",
    { class: "numbers" },
    h("figcaption", {}, caption, note && h("small", {}, note)),
    h("div", { class: "scroll" }, table),
    legend(shades.paper, shades.full, values.some((value) => value < 0) && values.some((value) => value > 0)),
  );
}

/**
 * How the numbers of a grid are written: with the same decimals, or with an exponent each if all are small.
 * @param {number[]} values
 * @param {Digits} digits
 * @returns {(value: number) => string}
 */
function written(values, digits) {
  if (digits === "all") return allDigits;
  if (digits === "short") {
    const two = written(values, 2);
    return (value) => two(value).replace(/^(−?)0\./, "$1.");
  }
  const places = decimals(values, digits);
  if (places < digits + SMALL) return (value) => fixed(value, places);
  return (value) =>
    value === 0 || !Number.isFinite(value) ? allDigits(value) : readable(value.toExponential(digits - 1));
}

/**
 * @param {Cell | null} cell null without a number
 * @param {object} about
 * @param {(value: number) => number} about.shade -1 to 1
 * @param {(value: number) => string} about.text
 * @param {string} about.key
 * @param {boolean} about.first whether the focus starts here
 */
function drawn(cell, { shade, text, key, first }) {
  if (!cell) return h("td", { class: "nothing" });
  const t = shade(cell.value);
  const kinds = {
    on: cell.on,
    outside: cell.outside,
    gap: cell.gap,
    unused: cell.unused,
    best: cell.best,
    above: t > 0,
    below: t < 0,
    link: !!cell.follow,
  };
  const follow = cell.follow;
  let pointing = false; // the first tap of a finger shows the term, as the mouse does by pointing at it
  return h(
    "td",
    {
      class: Object.entries(kinds)
        .filter(([, is]) => is)
        .map(([kind]) => kind)
        .join(" "),
      key,
      "data-term": cell.term ?? null,
      tabindex: first ? "0" : "-1",
      "aria-label": `${cell.says}: ${text(cell.value)}`,
      "aria-selected": cell.on || cell.best ? "true" : null,
      style: { "--t": String(Math.abs(t)) },
      on: follow
        ? {
            pointerdown: (/** @type {PointerEvent} */ { pointerType, currentTarget }) => {
              const shown = /** @type {Element} */ (currentTarget).classList.contains("at");
              pointing = pointerType === "touch" && cell.term !== undefined && !shown;
            },
            click: () => !pointing && follow(),
            keydown: (/** @type {KeyboardEvent} */ event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              follow();
            },
          }
        : {},
    },
    text(cell.value),
  );
}

/**
 * Arrow keys move the focus from cell to cell; at the edge they stay.
 * @param {KeyboardEvent} event
 */
function moveWithin(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const cell = /** @type {HTMLElement} */ (event.target).closest("td");
  const row = /** @type {HTMLTableRowElement | null} */ (cell?.parentElement ?? null);
  if (!step || !cell || !row) return;
  event.preventDefault();
  event.stopPropagation();
  const body = /** @type {HTMLTableSectionElement} */ (row.parentElement);
  const next = body.rows[row.sectionRowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
  if (!next || next.tagName !== "TD" || next.tabIndex === undefined || !next.hasAttribute("tabindex")) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/**
 * The legend: the numbers at paper and at the full shade.
 * @param {number} paper
 * @param {number} full
 * @param {boolean} both there are numbers on either side of zero
 */
export function legend(paper, full, both) {
  if (!Number.isFinite(full) || full === paper) return null;
  return h(
    "p",
    { class: "legend", "aria-hidden": "true" },
    both ? h("span", {}, number(-full, false, 3)) : null,
    both ? h("i", { class: "ramp both" }) : null,
    both ? null : h("span", {}, number(paper, false, 3)),
    both ? null : h("i", { class: full < 0 ? "ramp below" : "ramp above" }),
    h("span", {}, number(full, false, 3)),
  );
}
