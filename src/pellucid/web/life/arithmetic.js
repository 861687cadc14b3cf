/** One step's arithmetic on a weight: before − change = after, and the optimizer's formula where the step has it. */

import { OUT } from "../arithmetic/declaration.js";
import { Evaluator } from "../arithmetic/evaluator.js";
import { h } from "../element.js";
import { number } from "../format.js";
import { formula } from "../number/formula.js";
import { lines } from "../number/lines.js";
import { difference } from "../number/step.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./data.js").Step} Step */
/** @typedef {Pick<Step, "step" | "before" | "after" | "gradient" | "rate"> & Partial<Step>} Made */

/**
 * @param {StageContext} context
 * @param {Made} made
 * @param {string} optimizer
 */
export function arithmetic(context, made, optimizer) {
  const { exact } = context.state;
  const { before, after, gradient, rate } = made;
  const change = before - after;
  const facts = [
    ["before", before],
    ["change", after - before],
    ["after the step", after],
    ["gradient", gradient],
    ["learning rate", rate],
    ...Object.entries(made.remembered ?? {}).map(([name, value]) => [`${name.replaceAll("_", " ")} before`, value]),
  ];
  return h(
    "section",
    { class: "life-step", "aria-label": "The step’s arithmetic" },
    h("p", { class: "life-sum" }, difference({ from: before, to: after, change }, exact)),
    h(
      "dl",
      { class: "facts" },
      ...facts.map(([name, value]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, number(/** @type {number} */ (value), exact))),
      ),
    ),
    ...written(context, made, optimizer),
  );
}

/**
 * @param {StageContext} context
 * @param {Made} made
 * @param {string} optimizer
 */
function written(context, made, optimizer) {
  if (!made.op) {
    const text = `${optimizer} makes the change of the gradient, the learning rate and what it remembers of earlier steps. `;
    return [h("p", { class: "note" }, text, "The largest steps show its formula.")];
  }
  /** @type {Record<string, number[]>} */
  const arrays = { weight: [made.before], gradient: [made.gradient] };
  for (const [name, value] of Object.entries(made.remembered ?? {})) arrays[name] = [value];
  for (const name of made.op.inputs) arrays[name] ??= [0];
  const evaluator = new Evaluator(made.op, arrays);
  const part = (/** @type {any} */ terms, /** @type {string} */ of) => ({
    through: "",
    of,
    index: [],
    terms,
    named: (/** @type {string} */ column) => column.replaceAll("_", " "),
    windows: false,
    lead: () => 0,
  });
  const [after] = evaluator.forward([]).map((terms) => part(terms, ""));
  const between = made.op.stages
    .map(({ out }) => out)
    .filter((out) => out !== OUT)
    .flatMap((out) => evaluator.forward([], out).map((terms) => part(terms, out.replaceAll("_", " "))));
  const there = /** @type {import("../number/follow.js").NumberContext} */ ({
    ...context,
    follow() {},
    change() {},
    room: 4,
  });
  return [
    h(
      "div",
      { class: "life-formula" },
      h("h2", {}, `${made.op.kind}: the weight after the step`),
      formula(there, after, 0),
    ),
    lines(there, between),
  ];
}
