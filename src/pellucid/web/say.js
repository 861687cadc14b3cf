/** Where the reader is, in a few sentences, and the keys that lead on. */

import { h } from "./element.js";

/** @type {[string, string][]} */
const WALK = [
  ["Enter", "open"],
  ["Esc", "back"],
  ["Space", "slide"],
  ["?", "all keys"],
];
/** Where there is nothing that slides. @type {[string, string][]} */
export const STILL = WALK.filter(([key]) => key !== "Space");

/**
 * @param {string} title
 * @param {string[]} sentences
 * @param {[string, string][]} keys the most useful here, and what they do
 */
export function say(title, sentences, keys = WALK) {
  return h(
    "section",
    { class: "say" },
    h("h1", {}, title),
    ...sentences.filter(Boolean).map((text) => h("p", {}, text)),
    h("p", { class: "keys" }, ...keys.flatMap(([key, what]) => [h("kbd", {}, key), ` ${what} `])),
  );
}
