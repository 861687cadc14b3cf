/** "What will this number be?": the reader types or chooses, then sees the sum. */

import { h } from "../element.js";
import { number } from "../format.js";

/** @typedef {import("./route.js").Question} Question */

/**
 * A number as people type it: with a comma or a point, and any kind of minus.
 * @param {string} text
 * @returns {number | null} null if it is not a number
 */
export function typed(text) {
  const plain = text.trim().replace(",", ".").replace(/^[−–]/, "-");
  return /^-?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

/**
 * @param {Question} question
 * @param {number} said
 */
export function right({ answer, within = 0 }, said) {
  return Math.abs(said - answer) <= within + 1e-9;
}

/**
 * The question with its answer hidden.
 * @param {Question} question
 * @param {() => void} answered shows the place of the answer
 * @returns {HTMLElement}
 */
export function question(question, answered) {
  const { prompt, choices, worked } = question;
  const verdict = h("div", { class: "verdict", role: "status" });
  const show = (/** @type {string} */ opening) => {
    verdict.replaceChildren(h("p", {}, opening), h("p", { class: "worked" }, worked));
    answered();
  };
  const check = (/** @type {number} */ said) =>
    show(right(question, said) ? `${number(said)} is right.` : `You said ${number(said)}. This is the sum:`);
  const reveal = h(
    "button",
    { type: "button", class: "single", key: "ask/show", on: { click: () => show("This is the sum:") } },
    "Show the sum",
  );
  if (choices) {
    // two of a window's numbers may be the same
    const different = [...new Set(choices)];
    const buttons = different.map((each) =>
      h(
        "button",
        { type: "button", class: "single", key: `ask/${each}`, on: { click: () => check(each) } },
        number(each, false, 4),
      ),
    );
    return h(
      "div",
      { class: "question", role: "group", "aria-label": prompt },
      h("p", { class: "prompt" }, prompt),
      h("div", { class: "answers" }, ...buttons, reveal),
      verdict,
    );
  }
  const field = /** @type {HTMLInputElement} */ (
    h("input", { type: "text", inputmode: "text", autocomplete: "off", size: "8", key: "ask/field" })
  );
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const said = typed(field.value);
    if (said !== null) return check(said);
    verdict.replaceChildren(
      h("p", {}, field.value.trim() ? `“${field.value.trim()}” is not a number.` : "Type a number."),
    );
  };
  return h(
    "form",
    { class: "question", on: { submit } },
    h("label", { class: "prompt" }, prompt, " ", field),
    h("div", { class: "answers" }, h("button", { type: "submit", class: "single", key: "ask/check" }, "Check"), reveal),
    verdict,
  );
}
