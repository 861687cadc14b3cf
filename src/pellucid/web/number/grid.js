/** A grid of numbers: a cell is a number first and a shade second. It is a real table, with arrow keys. */

import { h } from "../element.js";
import { shading } from "../colors.js";
import { decimals, exact as allDigits, fixed, number } from "../format.js";

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

const DIGITS = 4; // in a cell: the list beside shows more

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
 */
export function grid({ key, caption, note, top, left, cells, exact, headed = true, heads, focus }) {
  const values = cells.flat().flatMap((cell) => (cell ? [cell.value] : []));
  const shades = shading(values);
  const places = decimals(values, DIGITS);
  const text = (/** @type {number} */ value) => (exact ? allDigits(value) : fixed(value, places));
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
  return h(
    "figure",
    { class: "numbers" },
    h("figcaption", {}, caption, note && h("small", {}, note)),
    h("div", { class: "scroll" }, table),
    legend(shades.paper, shades.full, values.some((value) => value < 0) && values.some((value) => value > 0)),
  );
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
            click: () => follow(),
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
