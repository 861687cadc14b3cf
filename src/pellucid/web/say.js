/** The reader's place in a few sentences, and the next keys. */

import { h } from "./element.js";

/** @type {[string, string][]} */
const WALK = [
  ["Enter", "open"],
  ["Esc", "back"],
  ["Space", "play"],
  ["?", "all keys"],
];
/** Without a window to slide. @type {[string, string][]} */
export const STILL = WALK.filter(([key]) => key !== "Space");

/**
 * @param {string} title
 * @param {string[]} sentences
 * @param {[string, string][]} keys the most useful keys here, and their actions
 */
export function say(title, sentences, keys = WALK) {
  return h(
    "section",
    { class: "say" },
    h("h1", { tabindex: "-1", key: "heading" }, title),
    ...sentences.filter(Boolean).map((text) => h("p", {}, text)),
    h("p", { class: "keys" }, ...keys.flatMap(([key, what]) => [h("kbd", {}, key), ` ${what} `])),
  );
}
