/** The sum: the shown map's products, the other maps and the bias, and the number that they give. */

import { h } from "../element.js";
import { counted } from "../format.js";
import { bracketed, writer } from "./digits.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../number/window.js").Slice} Slice */
/** @typedef {import("../context.js").Context} Context */

/**
 * What follows the equation: the sum of the shown map, the other maps and the bias, and the number itself.
 * @param {Context} context
 * @param {Working} working
 * @param {Slice[] | null} perMap
 * @param {number} chosen
 */
export function sumLine({ store }, working, perMap, chosen) {
  const { parts, total, recorded, unwritten } = working;
  const worked = parts.length > 0 && !unwritten.length;
  const [first] = parts;
  const most = first?.terms.pick === "max" ? [`largest of ${counted(first.terms.values.length)}`] : [];
  const addends = worked && !most.length ? addendsOf(working, perMap, chosen) : [];
  const { text, times, unit: each, decimals } = writer([...addends.map(({ value }) => value), total, recorded]);
  const rounded = (/** @type {number} */ value) => Math.round((value / each) * 10 ** decimals);
  const rest = rounded(total) - addends.reduce((sum, { value }) => sum + rounded(value), 0);
  const shown = addends.length > 1 || perMap ? addends : [];
  const hidden = shown.length > 1 && Number.isFinite(rest) && rest !== 0;
  return h(
    "p",
    { class: "summed" },
    ...most,
    ...shown.flatMap(({ value, label, map }, at) => {
      const inside = [h("small", {}, label), h("span", {}, (at ? bracketed(text(value)) : text(value)) + times)];
      const set = () => void store.set({ channel: map }, true);
      const pressed = String(map === chosen);
      return [
        at > 0 && h("span", { class: "between" }, "+"),
        map >= 0 && perMap && perMap.length > 1
          ? h(
              "button",
              { type: "button", class: "addend", key: `adds/${map}`, "aria-pressed": pressed, on: { click: set } },
              ...inside,
            )
          : h("span", { class: "addend" }, ...inside),
      ];
    }),
    hidden && h("span", { class: "between" }, "+"),
    hidden &&
      h(
        "span",
        { class: "addend" },
        h("small", {}, "digits not shown"),
        bracketed(text((rest * each) / 10 ** decimals)) + times,
      ),
    h("span", { class: "between" }, "="),
    h(
      "strong",
      { id: "value", "data-total": worked ? String(total) : null, "data-recorded": String(recorded) },
      text(worked ? total : recorded) + times,
    ),
    worked && h("span", { class: "addend" }, h("small", {}, "PyTorch computed"), text(recorded) + times),
    unwritten.length > 0 &&
      h("span", { class: "why" }, `Pellucid does not know the arithmetic of ${unwritten.join(", ")}.`),
  );
}

const CHIPS = 5;

/**
 * The numbers that are added: each map's sum, and the other parts' sums.
 * @param {Working} working
 * @param {Slice[] | null} perMap
 * @param {number} chosen
 * @returns {{value: number, label: string, map: number}[]} map -1 if none can be chosen
 */
function addendsOf({ parts }, perMap, chosen) {
  const [first, ...others] = parts;
  const maps = (perMap ?? []).map(({ total, lead }, map) => ({ value: total, label: `map ${lead.join(", ")}`, map }));
  const rest = maps.filter(({ map }) => map !== chosen);
  const some =
    maps.length > CHIPS
      ? [
          maps[chosen],
          {
            value: rest.reduce((sum, { value }) => sum + value, 0),
            label: `the other ${counted(rest.length)} maps`,
            map: -1,
          },
        ]
      : maps;
  const whole = { value: first.terms.total, label: labelOf(first), map: -1 };
  const beside = others.map((part) => ({ value: part.terms.total, label: labelOf(part), map: -1 }));
  return [...(maps.length ? some : [whole]), ...beside];
}

/** @param {Part} part */
function labelOf({ terms, named, through }) {
  if (terms.values.length > 1) return `${counted(terms.values.length)} products`;
  return terms.columns.length === 1 ? named(terms.columns[0].name) : `through ${through}`;
}
