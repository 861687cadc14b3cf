/** The classes with their probabilities at the right end of the strip, the most probable first. */

import { h } from "../element.js";
import { probability } from "../format.js";
import { names } from "../labels.js";
import { judged, marks, ranked } from "../truth.js";

const SHOWN = 4;

/** @param {import("../trace.js").Trace} trace */
export function bars(trace) {
  const { classes } = trace.about.model;
  const probabilities = /** @type {number[]} */ (trace.about.probabilities);
  const { shown, rest } = ranked(trace, SHOWN);
  const rows = shown.map((at) => {
    const bar = h(
      "span",
      { class: trace.about.called.includes(at) ? "bar first" : "bar" },
      h("span", { class: "label" }, classes[at] ?? String(at)),
      h("span", { class: "marks" }, ...marks(trace, at)),
      h("i", {}, h("i", { style: { width: `${100 * probabilities[at]}%` } })),
      h("span", {}, probability(probabilities[at], 3)),
    );
    bar.dataset.class = String(at);
    return bar;
  });
  const more = rest > 0 ? [h("span", { class: "more" }, `and ${rest} more`)] : [];
  return h("span", { class: "bars" }, ...rows, ...more);
}

/**
 * The same in two short lines.
 * @param {import("../trace.js").Trace} trace
 */
export function answer(trace) {
  const { model, called, predicted, several, probabilities } = trace.about;
  const share = several ? "" : probability(probabilities[predicted], 2);
  const [mark, ...truth] = judged(trace).slice(1);
  const beside = truth.length ? ` ${share}` : ""; // without a truth to name, the second line is free
  return h(
    "span",
    { class: "answer" },
    h("b", {}, h("span", { class: "label" }, several ? names(model.classes, called) : model.classes[predicted])),
    h("span", { class: "marks" }, mark ? " " : "", mark ?? "", beside),
    h("small", {}, ...(truth.length ? truth : [share])),
  );
}
