/** The sum of the terms beside PyTorch's value. */

import { h } from "../element.js";
import { counted, decimals, exact as allDigits, fixed, leftOut, number, unit } from "../format.js";

/** @typedef {import("../arithmetic/working.js").Working} Working */

/**
 * @param {Working} working
 * @param {boolean} exact
 */
export function result(working, exact) {
  const { parts, recorded, total, difference, bound, unwritten } = working;
  const name = unit(working.name, working.index);
  const title =
    working.quantity === "gradient"
      ? `gradient of ${name}`
      : working.quantity === "update"
        ? `${name} after the step`
        : name;
  const worked = parts.length > 0 && !unwritten.length;
  const sums = parts.map((part) => part.terms.total);
  const places = decimals([...sums, total, recorded]);
  const text = (/** @type {number} */ value) => (exact ? allDigits(value) : fixed(value, places));
  const rest = exact ? 0 : leftOut(sums, total, places);
  const entries = [
    ["unit", title],
    ...(worked ? parts.map((part) => [label(part), text(part.terms.total)]) : []),
    ...(worked && rest !== 0 ? [["digits not shown", fixed(rest, places)]] : []),
    ...(worked && parts.length > 1 ? [["together", text(total), "total"]] : []),
    ["PyTorch computed", text(recorded), "recorded"],
    ...(worked ? [["difference", number(difference, exact, 3), "difference"]] : []),
    ...(worked && bound ? [["rounding explains", `± ${number(bound, false, 2)}`]] : []),
  ];
  return h(
    "div",
    { class: "result" },
    h(
      "strong",
      { id: "value", "data-total": worked ? String(total) : null, "data-recorded": String(recorded) },
      text(worked ? total : recorded),
    ),
    h("dl", {}, ...entries.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
    unwritten.length > 0 &&
      h(
        "p",
        {},
        working.note ||
          `Pellucid does not know the arithmetic of ${unwritten.join(", ")}. It shows what PyTorch computed, but not how.`,
      ),
  );
}

/** @param {import("../arithmetic/working.js").Part} part */
function label({ terms, named, through }) {
  if (terms.pick === "max") return `largest of ${terms.values.length}`;
  if (terms.values.length > 1) return `sum of ${counted(terms.values.length)} terms`;
  const [only] = terms.columns;
  return terms.columns.length === 1 ? named(only.name) : `through ${through}`;
}
