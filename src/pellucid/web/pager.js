/** A long list in pages: which one is shown, and the two buttons beside it. */

import { h } from "./element.js";
import { counted } from "./format.js";

/**
 * @param {object} about
 * @param {number} about.page the one that is shown, from 0
 * @param {number} about.pages how many there are
 * @param {number} about.count of what is listed on all of them
 * @param {(change: {page: number}) => void} about.change
 */
export function pager({ page, pages, count, change }) {
  const to = (/** @type {number} */ next, /** @type {string} */ text, /** @type {boolean} */ off) =>
    h(
      "button",
      { type: "button", key: `page/${text}`, disabled: off, on: { click: () => change({ page: next }) } },
      text,
    );
  return h(
    "p",
    { class: "pager" },
    to(page - 1, "before", page === 0),
    h("span", {}, `${page + 1} of ${counted(pages)} pages, ${counted(count)} in all`),
    to(page + 1, "after", page === pages - 1),
  );
}
