/** A matrix as a table of small cells: numbers, shades of grey or plain squares, with marks that move. */

import { h } from "../../element.js";

/**
 * @typedef {object} Board
 * @property {HTMLElement} element
 * @property {() => void} fill writes every cell anew
 * @property {(kinds: (row: number, column: number) => string) => void} mark classes of cells, such as "on"
 * @property {(row: number, column: number) => void} focus
 */

/**
 * @param {object} about
 * @param {string} about.title
 * @param {string} [about.kind] a class of the table: "kernel", "greys"
 * @param {number} about.rows
 * @param {number} about.columns
 * @param {[number, number]} [about.border] rows above and below, columns at each side, that are not in the matrix
 * @param {(row: number, column: number) => string} about.text
 * @param {(row: number, column: number) => number | null} [about.grey] from 0, black, to 255
 * @param {(row: number, column: number) => string} [about.says] for a screen reader
 * @param {(row: number, column: number) => void} [about.go] what choosing a cell does; without it none can be chosen
 * @param {(place: [number, number] | null) => void} [about.look] the pointer is on a cell, or on none
 * @returns {Board}
 */
export function board({ title, kind = "", rows, columns, border = [0, 0], text, grey, says, go, look }) {
  const [down, across] = border;
  /** @type {Map<string, HTMLElement>} */
  const cells = new Map();
  const inside = (/** @type {number} */ row, /** @type {number} */ column) =>
    row >= 0 && row < rows && column >= 0 && column < columns;
  /** @type {[number, number]} */
  let focus = [0, 0];
  const put = (/** @type {number} */ row, /** @type {number} */ column) => {
    cells.get(String(focus))?.setAttribute("tabindex", "-1");
    focus = [row, column];
    cells.get(String(focus))?.setAttribute("tabindex", "0");
  };
  const lines = Array.from({ length: rows + 2 * down }, (_, line) =>
    h(
      "tr",
      {},
      ...Array.from({ length: columns + 2 * across }, (_, at) => {
        const [row, column] = [line - down, at - across];
        const chosen = go && inside(row, column);
        const cell = h("td", {
          role: go ? "gridcell" : null,
          tabindex: chosen ? (row + column ? "-1" : "0") : null,
          key: chosen ? `figure/${row},${column}` : undefined,
          on: chosen ? { click: () => go(row, column), pointerenter: () => look?.([row, column]) } : {},
        });
        cells.set(`${row},${column}`, cell);
        return cell;
      }),
    ),
  );
  const moved = (/** @type {KeyboardEvent} */ event) => {
    const to = step(event.key, focus, rows, columns);
    if (!to || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    put(...to);
    cells.get(String(to))?.focus();
    go?.(...to);
  };
  const table = h(
    "table",
    {
      class: `board ${kind}`,
      role: go ? "grid" : null,
      on: go ? { keydown: moved, pointerleave: () => look?.(null) } : {},
    },
    h("caption", {}, title),
    h("tbody", {}, ...lines),
  );
  const each = (/** @type {(cell: HTMLElement, row: number, column: number) => void} */ act) =>
    cells.forEach((cell, place) => act(cell, .../** @type {[number, number]} */ (place.split(",").map(Number))));
  return {
    element: table,
    fill: () =>
      each((cell, row, column) => {
        const shown = text(row, column);
        if (cell.textContent !== shown) cell.textContent = shown;
        const shade = inside(row, column) ? (grey?.(row, column) ?? null) : null;
        if (shade !== null) cell.style.setProperty("background", `rgb(${shade}, ${shade}, ${shade})`);
        if (says && inside(row, column)) cell.setAttribute("aria-label", says(row, column));
      }),
    mark: (kinds) =>
      each((cell, row, column) => {
        cell.className = `${inside(row, column) ? "" : "outside"} ${kinds(row, column)}`.trim();
        if (go && inside(row, column)) cell.setAttribute("aria-selected", String(cell.classList.contains("here")));
      }),
    focus: put,
  };
}

/**
 * The place that a key leads to; null for other keys.
 * @param {string} key
 * @param {[number, number]} from
 * @param {number} rows
 * @param {number} columns
 * @returns {[number, number] | null}
 */
export function step(key, [row, column], rows, columns) {
  /** @type {Record<string, [number, number]>} */
  const to = {
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    Home: [row, 0],
    End: [row, columns - 1],
  };
  if (!Object.hasOwn(to, key)) return null;
  const [y, x] = to[key];
  return [Math.max(0, Math.min(rows - 1, y)), Math.max(0, Math.min(columns - 1, x))];
}
