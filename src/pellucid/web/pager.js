/** The pages of a long list: the current one, and the two buttons beside it. */

import { h } from "./element.js";
import { counted } from "./format.js";

/**
 * @param {object} about
 * @param {number} about.page the current one, from 0
 * @param {number} about.pages their number
 * @param {number} about.count of items on all of them
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
    to(page - 1, "Previous", page === 0),
    h("span", {}, `${page + 1} of ${counted(pages)} pages, ${counted(count)} in all`),
    to(page + 1, "Next", page === pages - 1),
  );
}
