/** An optimizer's step on a weight: before − change = after, in numbers and as pictures. */

import { h } from "../element.js";
import { unit } from "../format.js";
import { position } from "../trace.js";
import { addingUp } from "./adding.js";
import { onOneLine } from "./equation.js";
import { grid } from "./grid.js";
import { mark, pointing } from "./triple.js";
import { view } from "./window.js";

/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("./follow.js").NumberContext} NumberContext */

const AROUND = 5; // rows and columns of a large array that are shown
const WHOLE = 12; // rows or columns of a kernel that is shown whole
const DIGITS = 7;
const OF_CHANGE = 2; // digits of the change, at least

/**
 * @param {NumberContext} context
 * @param {Working} working
 * @returns {Promise<HTMLElement | null>} null for a weight that is a single number without an index
 */
export async function stepView(context, { name, index }) {
  const { trace, state, follow } = context;
  if (!index.length) return null;
  const [before, after] = await Promise.all([trace.array(`value/${name}`), trace.array(`after/${name}`)]);
  const { shape } = before;
  const lead = index.slice(0, -2);
  const [y, x] = index.length > 1 ? index.slice(-2) : [0, index[0]];
  const [height, width] = index.length > 1 ? shape.slice(-2) : [1, shape[0]];
  const [y0, y1] = shown(y, height);
  const [x0, x1] = shown(x, width);
  const places = Array.from({ length: y1 - y0 }, (_, down) =>
    Array.from({ length: x1 - x0 }, (_, across) => [...lead, ...(index.length > 1 ? [y0 + down] : []), x0 + across]),
  );
  const all = places.flat();
  const own = all.findIndex((place) => String(place) === String(index));
  const numbers = all.map((place) => {
    const at = position(place, shape);
    return { from: before.data[at], to: after.data[at], change: before.data[at] - after.data[at] };
  });
  const scale = numbers.flatMap(({ from, to }) => [from, to]);
  const picture = (
    /** @type {"from" | "change" | "to"} */ which,
    /** @type {string} */ key,
    /** @type {string} */ caption,
  ) =>
    grid({
      key,
      caption,
      top: y0,
      left: x0,
      exact: state.exact,
      focus: [y - y0, x - x0],
      headed: which !== "change",
      ...(which !== "change" && { scale }),
      cells: places.map((row, down) =>
        row.map((place, across) => {
          const term = down * row.length + across;
          return {
            value: numbers[term][which],
            says: `${caption}, ${unit(name, place)}`,
            on: term === own,
            term,
            follow: term === own ? null : () => follow({ name, index: place, direction: state.direction }),
          };
        }),
      ),
    });
  const operator = (/** @type {string} */ text) => h("span", { class: "operator", "aria-hidden": "true" }, text);
  const { grids } = onOneLine(context, [
    picture("from", "before", "before"),
    operator("−"),
    picture("change", "change", "change, on its own scale"),
    operator("="),
    picture("to", "own", "after the step"),
  ]);
  const write = (/** @type {number} */ term) =>
    h(
      "p",
      { class: "triple", "aria-live": "polite", "aria-atomic": "true", "data-term": term },
      h("span", { class: "equality" }, difference(numbers[term], state.exact)),
      " ",
      h("span", { class: "names" }, unit(name, all[term])),
    );
  const whole = h(
    "section",
    { class: "equation step", "aria-label": "the step", on: pointing(write) },
    write(own),
    grids,
  );
  grids.classList.add("cropped");
  mark(whole, own);
  return whole;
}

/**
 * All rows of a kernel; some around the place in a large array.
 * @param {number} at
 * @param {number} size
 */
function shown(at, size) {
  return size <= WHOLE ? [0, size] : view(at, at, size, AROUND);
}

/**
 * "0.3604789 − 0.0000055 = 0.3604734", with as many digits as make it add up.
 * @param {{from: number, to: number, change: number}} numbers
 * @param {boolean} exact
 */
export function difference({ from, to, change }, exact) {
  const large = Math.max(Math.abs(from), Math.abs(to));
  const apart = change && large ? Math.floor(Math.log10(large)) - Math.floor(Math.log10(Math.abs(change))) : 0;
  const digits = Math.max(DIGITS, apart + (exact ? DIGITS : OF_CHANGE));
  const { parts, total, rest } = addingUp([from, -change], to, { digits });
  const sign = parts[1].startsWith("−") || parts[1] === "0" ? "−" : "+";
  const hidden = rest && ` (hidden digits ${rest})`;
  return `${parts[0]} ${sign} ${parts[1].replace(/^−/, "")} = ${total}${hidden}`;
}
