/** The choice among a file's pictures: a row in the header, and keys. */

import { h } from "../element.js";
import { percent } from "../format.js";
import { names, same, verdict } from "../labels.js";
import { sign } from "../truth.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageStore} PageStore */
/**
 * The description of a picture before its numbers are read. Classes by number; a thumbnail is a data: URL.
 * @typedef {object} Summary
 * @property {string} picture
 * @property {number[]} against the class or labels of its loss
 * @property {number[] | null} [truth] its true class or labels, if they are known
 * @property {number} predicted
 * @property {number[]} called
 * @property {number | null} probability
 * @property {string | null} thumbnail
 */

/**
 * A button for each picture; nothing if there is only one.
 * @param {import("../context.js").Context} context
 */
export function pictures(context) {
  const { trace, state, store } = context;
  const list = all(trace);
  if (list.length < 2) return "";
  const chosen = shown(trace, state.picture);
  const row = h(
    "div",
    { class: "pictures", role: "group", "aria-label": "Pictures", "aria-keyshortcuts": "[ ]" },
    ...list.map((each, number) => button(context, each, number, number === chosen)),
  );
  row.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere on the page an arrow goes to the next number
    const next = Math.max(0, Math.min(list.length - 1, chosen + by));
    /** @type {HTMLElement} */ (row.children[next]).focus();
    void store.set({ picture: next }, true);
  });
  requestAnimationFrame(() => reveal(row, /** @type {HTMLElement} */ (row.children[chosen])));
  return row;
}

/**
 * Goes to the previous or the next picture.
 * @param {Trace} trace
 * @param {PageStore} store
 * @param {number} by -1 or 1
 * @returns {boolean} false if there is only one picture
 */
export function beside(trace, store, by) {
  const count = all(trace).length;
  if (count < 2) return false;
  const next = shown(trace, store.get().picture) + by;
  if (next >= 0 && next < count) void store.set({ picture: next }, true);
  return true;
}

/**
 * @param {Trace} trace
 * @returns {Summary[]}
 */
function all(trace) {
  return trace.about.pictures ?? [];
}

/**
 * The first picture replaces one in the address that this file does not have.
 * @param {Trace} trace
 * @param {number} number
 */
function shown(trace, number) {
  return number < all(trace).length ? number : 0;
}

/**
 * @param {import("../context.js").Context} context
 * @param {Summary} summary
 * @param {number} number
 * @param {boolean} chosen
 */
function button({ trace, store }, summary, number, chosen) {
  const { picture, called, probability, thumbnail } = summary;
  const { classes } = trace.about.model;
  const known = verdict(summary, classes, trace.about.several);
  const share = probability === null || trace.about.several ? "" : percent(probability);
  const told = known && (known.right ? "right" : `wrong: ${known.truth}`);
  const other = known ? summary.truth : called;
  const against = same(summary.against, other ?? []) ? "" : `loss against ${names(classes, summary.against)}`;
  const name = names(classes, called);
  return h(
    "button",
    {
      type: "button",
      key: `picture/${number}`,
      "aria-pressed": String(chosen),
      "aria-label": [`${picture || `picture ${number}`}: ${name}`, told, share, against].filter(Boolean).join(", "),
      title: picture || false,
      tabindex: chosen ? 0 : -1,
      on: { click: () => store.set({ picture: number }) },
    },
    thumbnail ? h("img", { src: thumbnail, alt: "", draggable: "false" }) : h("span", { class: "file" }, picture),
    h("b", {}, name, known && " ", known && sign(known.right)),
    h("small", {}, known && !known.right ? known.truth : against || share),
  );
}

/**
 * Scrolls a row, and nothing else, until one of its buttons is visible.
 * @param {HTMLElement} row
 * @param {HTMLElement} chosen
 */
function reveal(row, chosen) {
  const left = chosen.offsetLeft - row.offsetLeft;
  row.scrollLeft = left + chosen.offsetWidth / 2 - row.clientWidth / 2;
}
