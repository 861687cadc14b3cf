/** An address that names nothing here: what is wrong with it, and the way to the start. */

import { h } from "../element.js";
import { unit } from "../format.js";
import { lessonAt } from "../lessons/guide.js";
import { split, START } from "../store.js";
import { VIEWS } from "../views.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Trace} Trace */

const WHOLE = /^\d{1,15}(,\d{1,15})*$/;
const CHOICES = /** @type {const} */ ({
  direction: ["forward", "backward", "update"],
  scale: ["unit", "layer", "network"],
  sorted: ["", "order", "size"],
  speed: ["normal", "slow", "fast"],
});

/**
 * What is wrong with the address that the reader came by; "" if it names a place.
 * @param {Trace} trace
 * @param {string} given
 */
export function lost(trace, given) {
  const { path } = split(given);
  const parts = path.map(decoded);
  const broken = path[parts.indexOf(null)];
  if (broken !== undefined)
    return `“${broken}” is not a valid part of an address: its % signs are not followed by a character’s code.`;
  const [first, second] = /** @type {string[]} */ (parts);
  if (parts.length > 2)
    return `The address has ${parts.length} parts. A place has two at most: a layer or weight, and an index.`;
  if (first.startsWith("~")) return lostView(first.slice(1));
  if (!first) return second ? `The address has the index ${second}, but no layer or weight before it.` : "";
  if (!trace.known(first)) return `This network has no layer or weight “${first}”.`;
  return second && second !== "-" ? lostIndex(first, trace.shape(first), second) : "";
}

/** @param {string} view */
function lostView(view) {
  return Object.hasOwn(VIEWS, view)
    ? ""
    : `There is no view “${view}”. The views are ${Object.keys(VIEWS).join(", ")}.`;
}

/**
 * Two classes by number, in the views that are about two; such a view shows its usual pair, or its table, otherwise.
 * @param {Trace} trace
 * @param {string} given
 */
function lostPair({ about }, given) {
  const [view, place = ""] = split(given).path.map((part) => decoded(part) ?? "");
  const pair = view === "~difference" || (view === "~mistakes" && !about.several);
  if (!place || !pair) return "";
  const { length } = about.model.classes;
  const numbers = place.split(",").map(Number);
  const fits = WHOLE.test(place) && numbers.length === 2 && numbers.every((each) => each < length);
  return fits ? "" : `“${place}” does not name two classes by number, from 0 to ${length - 1}.`;
}

/**
 * What is wrong with an index; "" if the array has it.
 * @param {string} name
 * @param {number[]} shape
 * @param {string} text "3,0,2,2"
 */
export function lostIndex(name, shape, text) {
  const range = shape.length
    ? `Its indices go from 0 to ${unit(
        "",
        shape.map((size) => size - 1),
      )}`
    : "It is one number";
  if (!WHOLE.test(text)) return `“${text}” is not an index of ${name}. ${range}.`;
  const index = text.split(",").map(Number);
  if (index.length !== shape.length)
    return `${unit(name, index)} names ${index.length} of ${shape.length} axes. ${range}.`;
  return index.every((at, axis) => at < shape[axis]) ? "" : `${unit(name, index)} does not exist. ${range}.`;
}

/**
 * What is wrong behind the question mark, where the place itself exists.
 * @param {Trace} trace
 * @param {string} given
 */
async function ignored(trace, given) {
  const { query } = split(given);
  const wrong = Object.entries(CHOICES).flatMap(([key, allowed]) => {
    const value = query.get(key) ?? allowed[0];
    return /** @type {readonly string[]} */ (allowed).includes(value)
      ? []
      : [`${key} is “${value}”; it can be ${allowed.filter(Boolean).join(", ")}.`];
  });
  const pair = lostPair(trace, given);
  if (pair) wrong.push(pair);
  const pictures = trace.about.pictures?.length ?? 1;
  const picture = query.get("picture");
  if (picture !== null && !(WHOLE.test(picture) && Number(picture) < pictures)) {
    wrong.push(
      `There is no picture ${picture} here; ${pictures === 1 ? "the only one is" : "they go up to"} ${pictures - 1}.`,
    );
  }
  const at = query.get("at");
  if (at !== null && !WHOLE.test(at)) wrong.push(`at is “${at}”; it must be whole numbers.`);
  for (const key of ["channel", "page"]) {
    const value = query.get(key);
    if (value !== null && !/^-?\d{1,15}$/.test(value)) wrong.push(`${key} is “${value}”; it must be a whole number.`);
  }
  const lesson = query.get("lesson");
  if (lesson) {
    const there = lessonAt(trace, lesson);
    const step = lesson.split(".")[1] ?? "1";
    if (!there) wrong.push(`There is no lesson “${lesson}” for this network.`);
    else if (!/^\d+$/.test(step) || there.step >= (await there.lesson.steps()).length) {
      wrong.push(`The lesson “${there.lesson.title}” has no step “${step}”.`);
    }
  }
  return wrong.join(" ");
}

/**
 * The page for an address that names no place.
 * @param {Context} context
 * @param {string} why
 * @returns {HTMLElement[]}
 */
export function nowhere({ store }, why) {
  return [
    h("section", { class: "say" }, h("h1", {}, "There is nothing at this address")),
    h("section", { class: "stage astray", "aria-label": "Not found" }, h("p", { role: "alert" }, why), start(store)),
  ];
}

/**
 * A line above a place whose address says more than exists; null if all is well.
 * @param {Context} context
 * @returns {Promise<HTMLElement | null>}
 */
export async function notice({ trace, state, store }) {
  const why = state.given && (await ignored(trace, state.given));
  // a status that arrives with its text is not read out; an alert is
  return why ? h("p", { class: "astray note", role: "alert" }, `${why} `, start(store)) : null;
}

/** @param {import("../store.js").PageStore} store */
function start(store) {
  const go = (/** @type {MouseEvent} */ event) => {
    event.preventDefault();
    void store.set({ ...START, present: store.get().present });
  };
  return h("a", { href: "#/", key: "start", on: { click: go } }, "Go to the start");
}

/**
 * @param {string} text
 * @returns {string | null}
 */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
