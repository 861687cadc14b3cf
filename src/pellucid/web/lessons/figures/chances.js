/** Three scores, and what follows from them: powers, probabilities, the loss, the gradients. */

import { h } from "../../element.js";
import { number } from "../../format.js";
import { chances } from "./arithmetic.js";
import { SCORES, SCORES_TRUTH } from "./material.js";
import { enough, placesThatAddUp, signed } from "./written.js";

const DIGITS = 4;

/**
 * Every number of the figure as it is written. All sums of shown numbers are the shown sums.
 * @param {number[]} scores
 * @param {number} truth
 */
export function writtenChances(scores, truth) {
  const { powers, total, probabilities, loss, gradients } = chances(scores, truth);
  const places = placesThatAddUp(powers, total);
  const shares = Math.max(DIGITS, placesThatAddUp(probabilities, 1));
  const short = (/** @type {number} */ value) => number(value, false, DIGITS);
  const fixed = (/** @type {number} */ value, /** @type {number} */ decimals) =>
    value.toFixed(decimals).replace("-", "−");
  return {
    powers: powers.map((power) => fixed(power, places)),
    total: fixed(total, places),
    probabilities: probabilities.map((each) => fixed(each, shares)),
    gradients: gradients.map((each) => fixed(each, shares)),
    believed: enough(probabilities[truth], (value) => short(-Math.log(value))),
    loss: short(loss),
  };
}

/**
 * "7.38906 / (7.38906 + 2.71828 + 1.10517) = 7.38906 / 11.21251 = 0.6590"
 * @param {number} at the class
 */
export function softmaxInNumbers(at) {
  const { powers, total, probabilities } = writtenChances(SCORES, SCORES_TRUTH);
  return `${powers[at]} / (${powers.join(" + ")}) = ${powers[at]} / ${total} = ${probabilities[at]}`;
}

/** "-ln(0.2424) = 1.417" */
export function lossInNumbers() {
  const { believed, loss } = writtenChances(SCORES, SCORES_TRUTH);
  return `-ln(${believed}) = ${loss}`;
}

/**
 * "0.6590 - 0 = 0.6590"
 * @param {number} at the class
 */
export function gradientInNumbers(at) {
  const { probabilities, gradients } = writtenChances(SCORES, SCORES_TRUTH);
  return `${probabilities[at]} - ${at === SCORES_TRUTH ? 1 : 0} = ${gradients[at]}`;
}

/**
 * In the address: "softmax", "softmax:loss" or "softmax:gradient" say how far the figure goes.
 * @returns {import("./sliding.js").Figure}
 */
export function scored() {
  const sum = h("p", { class: "figure-sum" });
  const body = h("div", { class: "scroll" });
  return {
    element: h("div", { class: "sliding" }, sum, body),
    update: ({ argument, asked }) => {
      const all = writtenChances(SCORES, SCORES_TRUTH);
      const far = { loss: 1, gradient: 2 }[argument] ?? 0;
      const [first] = SCORES.keys();
      const at = far ? SCORES_TRUTH : first; // the class that the sum is about
      const sums = [softmaxInNumbers(first), lossInNumbers(), gradientInNumbers(SCORES_TRUTH)];
      const whole = sums[far];
      sum.textContent = asked ? `${whole.slice(0, whole.indexOf(" = "))} = ?` : whole;
      const columns = [
        "class",
        "score",
        "e^score",
        "probability",
        ...(far ? ["truth"] : []),
        ...(far === 2 ? ["gradient"] : []),
      ];
      const cell = (/** @type {string} */ text, /** @type {boolean} */ unknown) => h("td", {}, unknown ? "?" : text);
      const rows = SCORES.map((score, each) =>
        h(
          "tr",
          { class: each === at ? "here" : "" },
          h("th", { scope: "row" }, "ABC"[each]),
          cell(signed(score), false),
          cell(all.powers[each], false),
          cell(all.probabilities[each], asked && far === 0),
          far && cell(each === SCORES_TRUTH ? "1" : "0", false),
          far === 2 && cell(all.gradients[each], asked),
        ),
      );
      body.replaceChildren(
        h(
          "table",
          { class: "plain" },
          h("caption", {}, `Three classes. The picture is of class ${"ABC"[SCORES_TRUTH]}.`),
          h("thead", {}, h("tr", {}, ...columns.map((each) => h("th", { scope: "col" }, each)))),
          h("tbody", {}, ...rows),
          h(
            "tfoot",
            {},
            h(
              "tr",
              {},
              h("th", { scope: "row" }, "sum"),
              h("td", {}),
              h("td", {}, all.total),
              h("td", {}, asked && far === 0 ? "?" : "1"),
            ),
          ),
        ),
      );
    },
  };
}
