/** Where the reader is, in a few sentences, and the keys that lead on. */

import { h } from "./element.js";

/**
 * @param {string} title
 * @param {string[]} sentences
 */
export function say(title, sentences) {
  const kbd = (/** @type {string} */ key) => h("kbd", {}, key);
  return h(
    "section",
    { class: "say" },
    h("h1", {}, title),
    ...sentences.filter(Boolean).map((text) => h("p", {}, text)),
    h(
      "p",
      { class: "keys" },
      kbd("Enter"),
      " deeper ",
      kbd("Esc"),
      " back ",
      kbd("Space"),
      " slides on ",
      kbd("?"),
      " all keys",
    ),
  );
}
