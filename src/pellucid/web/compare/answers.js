/** Both predictions: the classes with their probabilities in each model, and the difference in points. */

import { h } from "../element.js";
import { percent } from "../format.js";
import { names } from "../labels.js";
import { judged } from "../truth.js";

/** @typedef {import("../trace.js").Trace} Trace */

const SHOWN = 5;

/** @param {import("./pair.js").Pair} pair */
export function answers({ first, second, comparison }) {
  const classes = [...new Set([...first.about.model.classes, ...second.about.model.classes])];
  const share = (/** @type {Trace} */ trace, /** @type {string} */ name) => {
    const at = trace.about.model.classes.indexOf(name);
    return at < 0 ? undefined : /** @type {number | null} */ (trace.about.probabilities[at]);
  };
  const all = classes.map((name) => ({ name, one: share(first, name), other: share(second, name) }));
  all.sort((a, b) => Math.max(b.one ?? 0, b.other ?? 0) - Math.max(a.one ?? 0, a.other ?? 0));
  const rows = all
    .slice(0, SHOWN)
    .map(({ name, one, other }) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, name),
        ...[one, other].map((each) => h("td", {}, each === undefined ? "no such class" : percent(each))),
        h("td", {}, points(one, other)),
      ),
    );
  const more = all.length - rows.length;
  return h(
    "table",
    { class: "plain compare-answers" },
    h("caption", {}, "The classes in both models", more > 0 ? `, and ${more} more` : ""),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "class"),
        h("th", { scope: "col" }, h("b", {}, "A"), ` ${comparison.first}: `, says(first)),
        h("th", { scope: "col" }, h("b", {}, "B"), ` ${comparison.second}: `, says(second)),
        h("th", { scope: "col" }, "B − A"),
      ),
    ),
    h("tbody", {}, ...rows),
  );
}

/** @param {Trace} trace */
function says(trace) {
  return h("span", {}, names(trace.about.model.classes, trace.about.called), ...judged(trace));
}

/**
 * @param {number | null | undefined} one
 * @param {number | null | undefined} other
 */
function points(one, other) {
  if (typeof one !== "number" || typeof other !== "number") return "–";
  // the difference of the two shown percentages
  const by = Math.round(1000 * other) - Math.round(1000 * one);
  return `${by > 0 ? "+" : by < 0 ? "−" : ""}${(Math.abs(by) / 10).toFixed(1)} points`;
}
