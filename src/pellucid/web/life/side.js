/** The pictures on one side, such as those that pushed a filter back: each with its value and a bar. */

import { h } from "../element.js";
import { number } from "../format.js";

/**
 * @param {string} name
 * @param {{image: HTMLElement, value: number, label: string, path: string, title: string}[]} all
 * @param {number} most the largest magnitude, whose bar is whole
 */
export function side(name, all, most) {
  const item = (/** @type {(typeof all)[number]} */ { image, value, label, path, title }) =>
    h(
      "li",
      { title },
      image,
      h("b", {}, number(value, false, 3)),
      h("span", {}, label),
      h(
        "span",
        { class: "length", "aria-hidden": "true" },
        h("i", {
          class: value < 0 ? "below" : "above",
          style: { width: `${(100 * Math.abs(value)) / (most || 1)}%` },
        }),
      ),
      h("span", { class: "hidden" }, path),
    );
  return h(
    "div",
    { class: "pushed" },
    h("h3", {}, name),
    all.length ? h("ul", {}, ...all.map(item)) : h("p", { class: "note" }, "None."),
  );
}
