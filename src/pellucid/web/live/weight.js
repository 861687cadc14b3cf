/** One weight around the last step: before − change = after. And all of an array's weights as a table. */

import { h } from "../element.js";
import { exact, unit } from "../format.js";
import { decoded, indexIn, placeIn } from "./numbers.js";

/** @typedef {import("./numbers.js").Live} Live */
/** @typedef {import("./numbers.js").Weight} Weight */

const DIGITS = 9; // of the larger weight in an equation, as many as a float32 has
const PLACES = 15; // decimals at most
const MOST = 200; // rows of the table

export function createWeight() {
  const select = /** @type {HTMLSelectElement} */ (h("select", { id: "live-array", key: "live/array" }));
  const index = /** @type {HTMLInputElement} */ (
    h("input", { id: "live-index", key: "live/index", type: "text", autocomplete: "off" })
  );
  const equation = h("output", { class: "live-equation", for: "live-array live-index" });
  const why = h("p", { class: "note" });
  const holder = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The weights as numbers" });
  const table = h(
    "details",
    { class: "numbers", on: { toggle: fill } },
    h("summary", {}, "All shown weights as numbers"),
    holder,
  );
  const node = h(
    "section",
    { class: "live-weight" },
    h("h2", {}, "One weight: before − change = after"),
    h(
      "div",
      { class: "row" },
      h("label", { for: select.id }, "Weights"),
      select,
      h("label", { for: index.id }, "at"),
      index,
    ),
    equation,
    why,
    table,
  );
  /** @type {Live | null} */ let now = null;
  let [name, at] = ["", 0];

  /** @returns {Weight | undefined} */
  const chosen = () => now?.layers.flatMap(({ weights }) => weights).find((each) => each.name === name);
  select.addEventListener("change", () => choose(select.value, 0));
  index.addEventListener("change", () => {
    const array = chosen();
    const place = array
      ? placeIn(
          index.value
            .split(/[\s,]+/)
            .filter(Boolean)
            .map(Number),
          array.shape,
        )
      : -1;
    index.setAttribute("aria-invalid", String(place < 0));
    if (place >= 0) return choose(name, place);
    equation.textContent = `There is no ${name}[${index.value}]; the shown ones are ${array?.shape.join(" × ")}, counted from 0.`;
  });

  /**
   * @param {string} array
   * @param {number} place
   */
  function choose(array, place) {
    [name, at] = [array, place];
    draw(true);
  }

  /** @param {boolean} write whether the fields follow */
  function draw(write) {
    const array = chosen();
    if (!array || !now) return;
    if (write) {
      select.value = name;
      index.value = indexIn(at, array.shape).join(", ");
      index.setAttribute("aria-invalid", "false");
    }
    if (index.getAttribute("aria-invalid") !== "true") {
      const { text, reason } = inWords(now, array, at);
      if (equation.textContent !== text) equation.textContent = text;
      if (why.textContent !== reason) why.textContent = reason;
    }
    fill();
  }

  function fill() {
    const array = chosen();
    if (!(/** @type {HTMLDetailsElement} */ (table).open) || !array) return;
    const values = decoded(array.now);
    const [before, gradient] = [array.before && decoded(array.before), array.gradient && decoded(array.gradient)];
    const shown = Math.min(values.length, MOST);
    const cell = (/** @type {string} */ text) => h("td", {}, text);
    const rows = Array.from({ length: shown }, (_, each) => {
      const [was, change, is] = before ? difference(before[each], values[each]) : ["–", "–", exact(values[each])];
      return h(
        "tr",
        {},
        h("th", { scope: "row" }, unit(name, indexIn(each, array.shape))),
        ...[was, change, is].map(cell),
        cell(gradient ? exact(gradient[each]) : "–"),
      );
    });
    holder.replaceChildren(
      h(
        "table",
        { class: "plain" },
        h("caption", {}, shown < values.length ? `The first ${shown} of ${values.length} shown` : "All shown"),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["weight", "before", "change", "after", "gradient"].map((each) => h("th", { scope: "col" }, each)),
          ),
        ),
        h("tbody", {}, ...rows),
      ),
    );
  }

  return {
    node,
    choose,
    /** @param {Live} live */
    show(live) {
      now = live;
      const names = live.layers.flatMap(({ weights }) => weights.map((each) => each.name));
      if (names.join() !== [...select.options].map(({ value }) => value).join())
        select.replaceChildren(...names.map((each) => h("option", { value: each }, each)));
      node.hidden = !names.length;
      const array = chosen();
      const there = array && at < decoded(array.now).length;
      if (!there) [name, at] = [names[0] ?? "", 0];
      draw(!there || document.activeElement !== index);
    },
  };
}

/**
 * The texts add up as they stand: the change is the difference of the shown digits.
 * @param {Live} now
 * @param {Weight} array
 * @param {number} at
 */
function inWords(now, array, at) {
  const value = decoded(array.now)[at];
  const called = unit(array.name, indexIn(at, array.shape));
  if (array.before === null) return { text: `${called} = ${exact(value)}`, reason: "No step has been made yet." };
  const [was, change, is] = difference(decoded(array.before)[at], value);
  const text = `${called}: ${was} − ${change.startsWith("−") ? `(${change})` : change} = ${is}`;
  const gradient = array.gradient === null ? null : decoded(array.gradient)[at];
  const { optimizer, momentum, weight_decay } = now.settings;
  const plain = optimizer === "sgd" && momentum === 0 && weight_decay === 0 && now.last;
  const reason =
    gradient === null
      ? ""
      : plain
        ? `The change is the learning rate times the gradient: ${plain.rate} × ${exact(gradient)}.`
        : `The gradient is ${exact(gradient)}; ${optimizer} makes the change of it and of what it remembers.`;
  return { text, reason };
}

/**
 * A weight before a step, the change and the weight after it, as texts of which the first minus the second is the
 * third, to the last digit.
 * @param {number} before
 * @param {number} after
 */
function difference(before, after) {
  const largest = Math.max(Math.abs(before), Math.abs(after), Number.MIN_VALUE);
  if (!Number.isFinite(largest)) return [exact(before), exact(before - after), exact(after)];
  const places = Math.max(0, Math.min(PLACES, DIGITS - Math.ceil(Math.log10(largest))));
  const [was, is] = [before.toFixed(places), after.toFixed(places)];
  return [was, (Number(was) - Number(is)).toFixed(places), is].map((text) => text.replace("-", "−"));
}
