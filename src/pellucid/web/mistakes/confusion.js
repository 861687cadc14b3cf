/** The confusion matrix, a row for each true class, and the most frequent confusions. */

import { h } from "../element.js";
import { counted, percent } from "../format.js";

/** @typedef {(label: number, predicted: number) => void} Open */
/** @typedef {{label: number, predicted: number, count: number, of: number}} Pair */

const WORDY = 12; // classes up to which the names of the columns lie flat
const FEW = 4; // classes up to which there is room for large cells
const PAIRS = 8;

/**
 * The mistakes by class, the most frequent first.
 * @param {number[][]} confusion [true][predicted]
 * @returns {Pair[]}
 */
export function pairs(confusion) {
  const cells = confusion.flatMap((row, label) => {
    const of = row.reduce((a, b) => a + b, 0);
    return row.map((count, predicted) => ({ label, predicted, count, of }));
  });
  return cells
    .filter(({ label, predicted, count }) => count > 0 && label !== predicted)
    .sort((a, b) => b.count - a.count || b.count / b.of - a.count / a.of || a.label - b.label);
}

/**
 * @param {string[]} classes
 * @param {number[][]} confusion
 * @param {Open} open
 */
export function mostConfused(classes, confusion, open) {
  const confused = pairs(confusion);
  if (!confused.length) return h("p", { class: "note" }, "No picture was mistaken for another class.");
  const items = confused
    .slice(0, PAIRS)
    .map(({ label, predicted, count, of }) =>
      h(
        "li",
        {},
        h(
          "a",
          { ...place(label, predicted, open), key: `pair/${label},${predicted}` },
          `${classes[label]} mistaken for ${classes[predicted]}: ${counted(count)}`,
        ),
        h("small", {}, ` of ${counted(of)}, ${percent(count / of)}`),
      ),
    );
  const more = confused.length - items.length;
  return h(
    "div",
    { class: "confused" },
    h("h2", {}, "Most often confused"),
    h("ol", {}, ...items),
    more > 0 && h("p", { class: "note" }, `and ${counted(more)} more ${more === 1 ? "pair" : "pairs"} in the table`),
  );
}

/**
 * The table. One cell has the focus and the arrow keys move it; Enter opens the cell's pictures.
 * @param {string[]} classes
 * @param {number[][]} confusion
 * @param {Open} open
 */
export function matrix(classes, confusion, open) {
  const shares = confusion.map((row) => {
    const of = row.reduce((a, b) => a + b, 0) || 1;
    return row.map((count) => count / of);
  });
  const worst = Math.max(0, ...shares.map((row, label) => Math.max(0, ...row.filter((_, at) => at !== label))));
  const [first] = pairs(confusion);
  const [startRow, startColumn] = first ? [first.label, first.predicted] : [0, 0];
  const many = classes.length > WORDY;
  const head = classes.map((name) => h("th", { scope: "col", title: name }, h("span", {}, name)));
  const rows = confusion.map((row, label) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: classes[label] }, classes[label]),
      ...row.map((count, predicted) =>
        cell(classes, {
          label,
          predicted,
          count,
          t: label === predicted ? shares[label][predicted] : worst && shares[label][predicted] / worst,
          share: shares[label][predicted],
          first: label === startRow && predicted === startColumn,
          open,
        }),
      ),
    ),
  );
  const table = h(
    "table",
    {
      class: many ? "matrix many" : classes.length <= FEW ? "matrix few" : "matrix",
      role: "grid",
      "aria-label": "Confusion matrix: rows are the true classes, columns the predicted ones",
      on: { keydown: move },
    },
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, "is \\ predicted"), ...head)),
    h("tbody", {}, ...rows),
  );
  return h(
    "figure",
    { class: "confusion" },
    h("div", { class: "scroll" }, table),
    h(
      "figcaption",
      { class: "legend" },
      "share of the row: 0%",
      h("i", { class: "ramp above", "aria-hidden": "true" }),
      `${percent(worst)} wrong`,
      h("i", { class: "ramp right", "aria-hidden": "true" }),
      "right",
    ),
  );
}

/**
 * @param {string[]} classes
 * @param {object} about
 * @param {number} about.label
 * @param {number} about.predicted
 * @param {number} about.count
 * @param {number} about.t its shade, 0 to 1
 * @param {number} about.share of its row
 * @param {boolean} about.first whether the focus starts here
 * @param {Open} about.open
 */
function cell(classes, { label, predicted, count, t, share, first, open }) {
  const right = label === predicted;
  const kind = right ? "right" : count ? "wrong" : "none";
  const what = right ? `${classes[label]}, right` : `${classes[label]} mistaken for ${classes[predicted]}`;
  return h(
    "td",
    {
      class: kind,
      key: `cell/${label},${predicted}`,
      tabindex: first ? "0" : "-1",
      "aria-label": `${what}: ${counted(count)}${count ? `, ${percent(share)} of the row. Enter shows them` : ""}`,
      title: count ? `${what}: ${counted(count)}, ${percent(share)}` : null,
      style: { "--t": String(t) },
      on: count
        ? {
            click: () => open(label, predicted),
            keydown: (/** @type {KeyboardEvent} */ event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              event.stopPropagation();
              open(label, predicted);
            },
          }
        : {},
    },
    count ? counted(count) : "·",
  );
}

/**
 * The arrow keys in a table whose rows begin with a heading.
 * @param {KeyboardEvent} event
 */
export function move(event) {
  const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  const here = /** @type {HTMLTableCellElement | null} */ (/** @type {HTMLElement} */ (event.target).closest("td"));
  const row = /** @type {HTMLTableRowElement | null} */ (here?.parentElement ?? null);
  if (!step || !here || !row) return;
  event.preventDefault();
  event.stopPropagation();
  const within = (/** @type {number} */ at, /** @type {number} */ last) => Math.max(0, Math.min(last, at));
  const body = /** @type {HTMLTableSectionElement} */ (row.parentElement);
  const down = within(row.sectionRowIndex + step[0], body.rows.length - 1);
  const next = body.rows[down].cells[1 + within(here.cellIndex - 1 + step[1], row.cells.length - 2)];
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

/**
 * A link to a cell's pictures.
 * @param {number} label
 * @param {number} predicted
 * @param {Open} open
 */
function place(label, predicted, open) {
  return {
    href: `#/~mistakes/${label},${predicted}`,
    on: { click: (/** @type {MouseEvent} */ event) => (event.preventDefault(), open(label, predicted)) },
  };
}
