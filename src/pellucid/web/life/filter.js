/** From the reader's place to who made it: the filter behind a layer, a map, a number or a weight; or the answer. */

import { h } from "../element.js";
import { filterBehind } from "../mistakes/thumbnails.js";
import { address, START } from "../store.js";

/** @typedef {import("../context.js").Context} Context */

export const ANSWER = "answer"; // the place of the view that is about the prediction

/**
 * The state that shows who made what the reader is at.
 * @param {Pick<Context, "trace" | "state">} context
 * @returns {Partial<import("../store.js").PageState> | null} null if the page does not offer it here
 */
export function makersState({ trace, state: { view, name, index, cursor } }) {
  if (view || !trace.about.offers?.includes("makers")) return null;
  const to = (/** @type {string} */ place) => ({ view: "makers", place, lesson: "", present: false });
  const channel = (index ?? cursor)?.[0] ?? 0;
  if (trace.parameter(name)) {
    const filters = trace.shape(name).length > 1 || name.endsWith(".bias");
    return filters ? to(`${name.slice(0, name.lastIndexOf("."))},${channel}`) : null;
  }
  const node = trace.node(name);
  const weight = node?.kind === "dense" ? node.reads.weight : undefined;
  if (weight?.endsWith(".weight")) return to(`${weight.slice(0, -".weight".length)},${channel}`);
  const behind = node && filterBehind(trace, name, channel);
  return to(behind ? `${behind.layer},${behind.channel}` : ANSWER);
}

/**
 * @param {Context} context
 * @param {string} text
 * @returns {HTMLElement | ""} nothing if the page does not offer it here
 */
export function makersLink(context, text) {
  const there = makersState(context);
  return there && there.place !== ANSWER ? link(context, there, text) : "";
}

/**
 * @param {Context} context
 * @returns {HTMLElement | ""} nothing if this is not the prediction, or the page does not offer it
 */
export function answerLink(context) {
  const { trace, state } = context;
  const there = makersState(context);
  const here = ["", trace.role("probability"), trace.role("loss")].includes(state.name);
  return here && there?.place === ANSWER ? link(context, there, "Who taught this answer") : "";
}

/**
 * Whether a place is about the prediction.
 * @param {string} place
 */
export function ofAnswer(place) {
  return new RegExp(`^${ANSWER}(,\\d+)?$`).test(place);
}

/**
 * @param {Context} context
 * @param {Partial<import("../store.js").PageState>} there
 * @param {string} text
 */
function link({ store }, there, text) {
  const go = (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    void store.set(there);
  };
  const href = address({ ...START, ...there });
  return h(
    "a",
    { class: "to-life", key: "to-makers", href, "aria-keyshortcuts": "M", on: { click: go } },
    `${text} `,
    h("kbd", {}, "M"),
  );
}
