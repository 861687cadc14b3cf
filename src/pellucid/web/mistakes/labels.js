/** With several labels a picture: for each label, the pictures that got it, missed it, or got it without having it. */

import { h } from "../element.js";
import { counted, percent } from "../format.js";
import { move } from "./confusion.js";

/** @typedef {"right" | "missed" | "wrong"} Kind */
/** @typedef {Record<Kind, number>} Counts */
/** @typedef {(label: number, kind: Kind) => void} Open */

const KINDS = /** @type {Kind[]} */ (["right", "missed", "wrong"]);
const HEADS = { right: "right", missed: "missed", wrong: "called, but not there" };
const MANY = 12; // labels up to which there is room for large cells

/**
 * What a cell holds, as a title.
 * @param {string} name
 * @param {Kind} kind
 */
export function titled(name, kind) {
  return { right: `${name}, right`, missed: `${name}, missed`, wrong: `Called ${name}, but not there` }[kind];
}

/**
 * A row a label. One cell has the focus and the arrow keys move it; Enter opens the cell's pictures.
 * @param {string[]} classes
 * @param {Counts[]} labels
 * @param {Open} open
 */
export function labelTable(classes, labels, open) {
  const worst = Math.max(0, ...labels.flatMap((counts) => [share(counts, "missed"), share(counts, "wrong")]));
  const first = worstCell(labels);
  const rows = labels.map((counts, label) =>
    h(
      "tr",
      {},
      h("th", { scope: "row", title: classes[label] }, classes[label]),
      ...KINDS.map((kind) =>
        cell(classes[label], {
          kind,
          counts,
          t: kind === "right" ? share(counts, kind) : worst && share(counts, kind) / worst,
          first: label === first.label && kind === first.kind,
          key: `cell/${label},${kind}`,
          open: () => open(label, kind),
        }),
      ),
    ),
  );
  const head = KINDS.map((kind) => h("th", { scope: "col" }, HEADS[kind]));
  const table = h(
    "table",
    {
      class: labels.length > MANY ? "matrix" : "matrix few",
      role: "grid",
      "aria-label": "Labels: how many pictures got each label rightly, missed it, or got it wrongly",
      on: { keydown: move },
    },
    h("thead", {}, h("tr", {}, h("td", { class: "corner" }, "label"), ...head)),
    h("tbody", {}, ...rows),
  );
  return h("figure", { class: "confusion" }, h("div", { class: "scroll" }, table));
}

/**
 * The share of a kind: of the pictures that have the label, or for "wrong" of those that got it.
 * @param {Counts} counts
 * @param {Kind} kind
 */
function share({ right, missed, wrong }, kind) {
  if (kind === "wrong") return wrong / (right + wrong || 1);
  return (kind === "right" ? right : missed) / (right + missed || 1);
}

/**
 * Where the focus begins: at the most frequent mistake.
 * @param {Counts[]} labels
 * @returns {{label: number, kind: Kind}}
 */
function worstCell(labels) {
  const cells = labels.flatMap((counts, label) => KINDS.slice(1).map((kind) => ({ label, kind, count: counts[kind] })));
  const [first] = cells.sort((a, b) => b.count - a.count);
  return first?.count ? first : { label: 0, kind: "right" };
}

/**
 * @param {string} name
 * @param {object} about
 * @param {Kind} about.kind
 * @param {Counts} about.counts
 * @param {number} about.t how strongly it is shaded, 0 to 1
 * @param {boolean} about.first whether the focus begins here
 * @param {string} about.key
 * @param {() => void} about.open
 */
function cell(name, { kind, counts, t, first, key, open }) {
  const count = counts[kind];
  const of = kind === "wrong" ? "those that were called so" : "those that have it";
  const what = `${titled(name, kind)}: ${counted(count)}`;
  const more = count ? `, ${percent(share(counts, kind))} of ${of}` : "";
  return h(
    "td",
    {
      class: count ? (kind === "right" ? "right" : "wrong") : "none",
      key,
      tabindex: first ? "0" : "-1",
      "aria-label": `${what}${more}${count ? ". Enter shows them" : ""}`,
      title: count ? `${what}${more}` : null,
      style: { "--t": String(t) },
      on: count
        ? {
            click: open,
            keydown: (/** @type {KeyboardEvent} */ event) => {
              if (event.key !== "Enter") return;
              event.preventDefault();
              event.stopPropagation();
              open();
            },
          }
        : {},
    },
    count ? counted(count) : "·",
  );
}

/**
 * "1,missed" is a label, by number, and a kind.
 * @param {string} place
 * @param {number} labels
 * @returns {[number, Kind] | null}
 */
export function labelAt(place, labels) {
  const [, label, named] = place.match(/^(\d+),([a-z]+)$/) ?? [];
  const kind = KINDS.find((each) => each === named);
  return kind && Number(label) < labels ? [Number(label), kind] : null;
}
