/** Number grids on one line: the size of their cells and the digits in them, chosen for the room there is. */

import { sheetsIn } from "./grid.js";

/** @typedef {import("./grid.js").Sheet} Sheet */
/** @typedef {import("./grid.js").Digits} Digits */
/**
 * The size of an equation, in CSS pixels.
 * @typedef {object} Fit
 * @property {number} cell the width of a number
 * @property {number} font the size of its digits; 0 where none fit
 * @property {boolean} heads whether rows and columns are numbered
 * @property {boolean} beside whether the sum stands on the same line
 * @property {Digits} digits
 */

const GLYPH = 0.61; // width of a digit in a monospace font, by its size
const HEAD = 24; // a row's number
const PHONE = 600; // narrower pages have the smaller spaces
const ROOMY = { padding: 5, gap: 2, operator: 16, space: 8 }; // in a cell, between cells, an operator, around it
const TIGHT = { padding: 3, gap: 1, operator: 12, space: 3 };
const WIDEST = 50; // a cell, unless its digits need more
const HIGHEST = 30;
const LOWEST = 14;
const LEGEND = 120; // what a grid's legend needs

/**
 * Digits and sizes of type, best first.
 * @type {[Digits, number[]][]}
 */
const WAYS = [
  [4, [12, 11]],
  [3, [12, 11, 10]],
  [2, [12, 11, 10, 9]],
  ["short", [10, 9]],
];

/**
 * Writes the grids' numbers with the digits for which there is room, and sizes their cells.
 * @param {HTMLElement} line holds the grids and their operators
 * @param {object} about
 * @param {number} about.width the room, in CSS pixels
 * @param {boolean} about.exact
 * @param {number} [about.sum] what their sum takes if it stands beside them
 * @returns {Fit}
 */
export function fit(line, { width, exact, sum = 0 }) {
  const sheets = sheetsIn(line);
  const operators = line.querySelectorAll(".operator").length;
  const chosen = best(sheets, { width, exact, sum, operators });
  const { cell, font, heads, beside, digits } = chosen;
  const spaces = width < PHONE ? TIGHT : ROOMY;
  const columns = sheets.reduce((count, sheet) => count + sheet.columns, 0);
  for (const sheet of sheets) sheet.write(digits);
  line.classList.toggle("bare", !heads);
  line.classList.toggle("shades", font === 0);
  line.classList.toggle(
    "narrow",
    sheets.some((sheet) => sheet.columns * cell < LEGEND),
  );
  const high = Math.round(Math.max(LOWEST, Math.min(HIGHEST, cell * 0.7)));
  const sizes = {
    "--columns": columns,
    "--wanted": `${cell}px`,
    "--besides": `${besides(sheets, { heads, sum: beside ? sum : 0, operators, spaces })}px`,
    "--gap": `${spaces.gap}px`,
    "--operator": `${spaces.operator}px`,
    "--space": `${spaces.space}px`,
    "--high": `${high}px`,
    "--digit": `${font}px`,
  };
  for (const [name, value] of Object.entries(sizes)) line.style.setProperty(name, String(value));
  return chosen;
}

/**
 * @param {Sheet[]} sheets
 * @param {{width: number, exact: boolean, sum: number, operators: number}} about
 * @returns {Fit}
 */
function best(sheets, { width, exact, sum, operators }) {
  const columns = sheets.reduce((count, sheet) => count + sheet.columns, 0);
  const spaces = width < PHONE ? TIGHT : ROOMY;
  const layouts = [
    { beside: true, heads: true },
    { beside: true, heads: false },
    ...(sum ? [{ beside: false, heads: false }] : []),
  ];
  const rooms = layouts.map(({ beside, heads }) =>
    Math.floor((width - besides(sheets, { heads, sum: beside ? sum : 0, operators, spaces })) / columns),
  );
  /** @type {[Digits, number[]][]} */
  const ways = exact ? [["all", [12, 11, 10]], ...WAYS] : WAYS;
  for (const [digits, fonts] of ways) {
    const length = Math.max(...sheets.map((sheet) => sheet.longest(digits)));
    for (const [at, layout] of layouts.entries()) {
      if (digits === 4 && !layout.beside) continue; // the sum's place is worth more than a fourth digit
      for (const font of fonts) {
        const needed = Math.ceil(length * GLYPH * font + spaces.padding);
        if (needed <= rooms[at]) {
          return { ...layout, digits, font, cell: Math.max(needed, Math.min(WIDEST, rooms[at])) };
        }
      }
    }
  }
  const at = rooms[1] >= LOWEST ? 1 : rooms.length - 1;
  return { ...layouts[at], digits: 2, font: 0, cell: Math.max(1, Math.min(WIDEST, rooms[at])) };
}

/**
 * The width that is not the cells'.
 * @param {Sheet[]} sheets
 * @param {{heads: boolean, sum: number, operators: number, spaces: typeof ROOMY}} about
 */
function besides(sheets, { heads, sum, operators, spaces: { gap, operator, space } }) {
  const gaps = sheets.reduce((all, { columns }) => all + gap * (columns + 1) + (heads ? HEAD + gap : 0), 0);
  const between = operators * (operator + 2 * space);
  return Math.ceil(gaps + between + (sum ? sum + space : 0));
}
