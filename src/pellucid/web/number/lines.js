/** Intermediate numbers that no array holds, line by line: softmax's powers and their total, an optimizer's means. */

import { h } from "../element.js";
import { formula } from "./formula.js";
import { number, unit } from "../format.js";
import { terms } from "./terms.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */

const SHOWN = 24;
const SUMMED = 6; // terms that are written out

/**
 * @param {import("./follow.js").NumberContext} context
 * @param {Part[]} between
 */
export function lines(context, between) {
  if (!between.length) return null;
  const items = between.map((part) =>
    h(
      "li",
      {},
      h("b", {}, unit(part.of, part.index)),
      part.terms.values.length === 1 ? formula(context, part, 0) : several(context, part),
    ),
  );
  const rest = items.slice(SHOWN);
  return h(
    "section",
    { class: "lines", "aria-label": "intermediate numbers" },
    h("h2", {}, "Intermediate numbers"),
    h("ol", {}, ...items.slice(0, SHOWN)),
    rest.length > 0 && h("details", {}, h("summary", {}, `${rest.length} more`), h("ol", {}, ...rest)),
  );
}

/**
 * @param {import("./follow.js").NumberContext} context
 * @param {Part} part
 */
function several(context, part) {
  const { exact } = context.state;
  const { values, pick, total } = part.terms;
  const shown = Array.from(values.slice(0, SUMMED), (value) => number(value, exact));
  const more = values.length > SUMMED ? ", …" : "";
  const text = pick === "max" ? `largest of ${shown.join(", ")}${more}` : `${shown.join(" + ")}${more ? " + …" : ""}`;
  return h(
    "div",
    { class: "formula-lines" },
    h("code", {}, text),
    h("code", { class: "strong" }, `= ${number(total, exact)}`),
    values.length > SUMMED && h("details", {}, h("summary", {}, `all ${values.length}`), long(context, part)),
  );
}

/**
 * @param {import("./follow.js").NumberContext} context
 * @param {Part} part
 */
function long(context, part) {
  return terms(context, part, { rows: [...part.terms.values.keys()], usual: "order" });
}
