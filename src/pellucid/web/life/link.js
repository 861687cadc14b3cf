/** From a weight's number to its life. */

import { h } from "../element.js";
import { address, START } from "../store.js";
import { lifeState, weightHere } from "./place.js";

/**
 * @param {import("../context.js").Context} context
 * @returns {HTMLElement | ""} nothing if the number is no weight, or if the page has no lives
 */
export function lifeLink({ trace, state, store }) {
  const weight = weightHere({ trace, state });
  if (!weight) return "";
  const go = (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void store.set(lifeState(weight));
  };
  return h(
    "a",
    {
      class: "to-life",
      key: "to-life",
      href: address({ ...START, ...lifeState(weight) }),
      "aria-keyshortcuts": "W",
      on: { click: go },
    },
    "How it got its value: its life ",
    h("kbd", {}, "W"),
  );
}
