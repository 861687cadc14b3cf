/** The classes with their probabilities, the most probable first. */

import { h } from "../element.js";
import { probability } from "../format.js";

const SHOWN = 5;

/** @param {import("../trace.js").Trace} trace */
export function bars(trace) {
  const { classes } = trace.about.model;
  const probabilities = /** @type {number[]} */ (trace.about.probabilities);
  const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
  const rows = order
    .slice(0, SHOWN)
    .map((at) =>
      h(
        "span",
        { class: trace.about.called.includes(at) ? "bar first" : "bar" },
        h("span", { class: "label" }, classes[at] ?? String(at)),
        h("i", {}, h("i", { style: { width: `${100 * probabilities[at]}%` } })),
        h("span", {}, probability(probabilities[at], 3)),
      ),
    );
  const more = order.length > SHOWN ? [h("span", { class: "more" }, `and ${order.length - SHOWN} more`)] : [];
  return h("span", { class: "bars" }, ...rows, ...more);
}
