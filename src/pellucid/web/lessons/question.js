/** "What will this number be?": the reader types or chooses, then sees the sum. */

import { h } from "../element.js";
import { number } from "../format.js";

/** @typedef {import("./route.js").Question} Question */

/**
 * A number as people type it, with any kind of minus. "1,065" may be a thousand and 65, as the page writes it, or 1.065.
 * @param {string} text
 * @returns {number[]} its readings, the page's own first; empty if it is not a number
 */
export function readings(text) {
  const plain = text.trim().replace(/^[−–]/, "-");
  const thousands = /^-?[1-9]\d{0,2}(,\d{3})+(\.\d*)?$/.test(plain) ? [plain.replaceAll(",", "")] : [];
  const decimal = plain.replace(",", ".");
  const all = [...thousands, ...(/^-?(\d+\.?\d*|\.\d+)$/.test(decimal) ? [decimal] : [])];
  return all.map(Number);
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
    const said = readings(field.value);
    if (said.length) return check(said.find((each) => right(question, each)) ?? said[0]);
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
