/** What if: the reader's changes, their effect on the classes, and the way back. Needs a server. */

import { h } from "../element.js";
import { counted, exact, number, unit } from "../format.js";
import { names } from "../labels.js";
import { shifts } from "./shift.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {import("../context.js").Served} Served */
/**
 * In the server's form: a weight has a name and an index, any other change a layer.
 * @typedef {object} Change
 * @property {"weight" | "stride" | "padding" | "pooling"} what
 * @property {string} [name]
 * @property {number[]} [index]
 * @property {string} [layer]
 * @property {any} value
 * @property {any} [was]
 */
/**
 * A layer with a window. Pairs are for rows and columns.
 * @typedef {object} Adjustable
 * @property {string} layer
 * @property {string} kind of pooling, "" for a convolution
 * @property {number[]} size
 * @property {number[]} stride
 * @property {number[]} padding
 * @property {number[]} most_stride
 * @property {number[]} most_padding
 */
/**
 * @typedef {object} WhatIf
 * @property {Change[]} changes
 * @property {number} painted pixels
 * @property {number} picture number of this picture among those opened
 * @property {number} aside number of changes put back for now
 * @property {{probabilities: (number | null)[], predicted: number, loss: number | null} | null} before
 * @property {Adjustable[]} settings
 */

/**
 * @param {Trace} trace
 * @returns {WhatIf | null} null without a server
 */
export function whatIf(trace) {
  return trace.about.what_if ?? null;
}

/**
 * The probabilities before the first change.
 * @param {Trace} trace
 * @returns {(number | null)[]}
 */
export function before(trace) {
  return whatIf(trace)?.before?.probabilities ?? trace.about.probabilities;
}

/**
 * A change to the same target replaces the earlier one in its place.
 * @param {Change[]} changes
 * @param {Change[]} fresh
 */
export function merged(changes, fresh) {
  const same = (/** @type {Change} */ a, /** @type {Change} */ b) => target(a) === target(b);
  const replaced = changes.map((old) => fresh.find((each) => same(each, old)) ?? old);
  return [...replaced, ...fresh.filter((each) => !changes.some((old) => same(each, old)))];
}

/** @param {Change} change */
export function target({ what, name, index, layer }) {
  return JSON.stringify([what, name ?? layer, index ?? []]);
}

/** @param {Change[]} changes */
export function body(changes) {
  return JSON.stringify({ changes });
}

/**
 * For jobs that arrive faster than they are done: the latest runs next, those in between are dropped.
 * @template T
 * @param {(job: T) => Promise<unknown>} work
 * @returns {(job: T) => Promise<void>} resolves when no job waits
 */
export function latest(work) {
  /** @type {Promise<void> | null} */ let busy = null;
  /** @type {{job: T} | null} */ let next = null;
  const all = async () => {
    try {
      while (next) {
        const { job } = /** @type {{job: T}} */ (next);
        next = null;
        await work(job);
      }
    } finally {
      busy = null;
    }
  };
  return (job) => {
    next = { job };
    return (busy ??= all());
  };
}

/** @type {WeakMap<Served, (changes: Change[]) => Promise<void>>} */
const lines = new WeakMap();

/**
 * Shows the run with these changes to the network.
 * @param {Served} served
 * @param {Change[]} changes
 */
export function follow(served, changes) {
  const line = lines.get(served) ?? latest((/** @type {Change[]} */ all) => served.change("api/what-if", body(all)));
  lines.set(served, line);
  return line(changes);
}

/**
 * Finishes a change that has begun but has not reached the server.
 * @type {WeakMap<Served, () => Promise<unknown>>}
 */
export const pending = new WeakMap();

/**
 * Puts everything back, or applies the changes again.
 * @param {Served | null | undefined} served
 * @param {Trace} trace
 * @returns {boolean} whether there was anything to put back
 */
export function flip(served, trace) {
  const what = whatIf(trace);
  if (!served || !what) return false;
  const begun = pending.get(served);
  if (!(begun || what.changes.length || what.painted || what.aside)) return false;
  void Promise.resolve(begun?.()).then(() => served.change("api/what-if/flip"));
  return true;
}

/**
 * The changes and their effect; "" without changes.
 * @param {import("../context.js").Context} context
 * @returns {HTMLElement | ""}
 */
export function bar({ trace, store, served }) {
  const what = whatIf(trace);
  if (!served || !what) return "";
  const count = what.changes.length + (what.painted ? 1 : 0);
  const key = h("kbd", {}, "Z");
  const turn = (/** @type {string} */ text) =>
    h(
      "button",
      {
        type: "button",
        class: "back",
        key: "what-if/flip",
        "aria-keyshortcuts": "Z",
        on: { click: () => flip(served, trace) },
      },
      key,
      text,
    );
  if (!count && what.aside) {
    return h(
      "section",
      { class: "what-if aside", "aria-label": "What if" },
      h("p", {}, h("b", {}, "As it was."), ` ${many(what.aside)} put back for now.`),
      turn(what.aside === 1 ? " shows it again" : " shows them again"),
    );
  }
  if (!count) return "";
  const { classes } = trace.about.model;
  return h(
    "section",
    { class: "what-if", "aria-label": "What if" },
    h(
      "div",
      { class: "made" },
      h("p", {}, h("b", {}, "What if: "), many(count)),
      h(
        "ul",
        { class: "chips" },
        ...what.changes.map((each) => chip(each, what.changes, store, served)),
        painted(what, store, served),
      ),
      turn(count === 1 ? " puts it back" : " puts them back"),
    ),
    h("div", { class: "came" }, shifts(classes, before(trace), trace.about.probabilities), loss(trace, what)),
    h(
      "p",
      { class: "note" },
      `All numbers on this page come from the ${what.changes.length ? "changed network" : "painted picture"}. `,
      what.changes.length ? "Changes to the network stay when you open another picture. " : "",
      what.painted && what.changes.length ? "Paint stays on this picture only. " : "",
      weights(what) ? "The optimizer keeps its memory of a changed weight." : "",
    ),
  );
}

/** @param {WhatIf} what */
function weights({ changes }) {
  return changes.some(({ what }) => what === "weight");
}

/** @param {number} count */
function many(count) {
  return count === 1 ? "1 change" : `${counted(count)} changes`;
}

/**
 * @param {Trace} trace
 * @param {WhatIf} what
 */
function loss(trace, { before: old }) {
  if (!old || old.loss === null || trace.about.loss === null) return null;
  const [was, is] = [old.loss, trace.about.loss].map((each) => number(each, false, 4));
  return h(
    "p",
    { class: "loss" },
    `loss against ${names(trace.about.model.classes, trace.about.against)}: ${was} → `,
    h("b", {}, is),
  );
}

/**
 * @param {Change} change
 * @param {Change[]} all
 * @param {PageStore} store
 * @param {Served} served
 */
function chip(change, all, store, served) {
  const label = `${place(change)} ${values(change)}`;
  const go = () =>
    store.set({
      name: change.name ?? change.layer ?? "",
      index: change.index ?? null,
      cursor: null,
      channel: -1,
      page: 0,
      sorted: "",
    });
  const drop = () =>
    void follow(
      served,
      all.filter((each) => each !== change),
    );
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", class: "to", key: `chip/${target(change)}`, on: { click: go } },
      h("code", {}, place(change)),
      ` ${values(change)}`,
    ),
    h("button", { type: "button", class: "drop", "aria-label": `Undo: ${label}`, on: { click: drop } }, "×"),
  );
}

/**
 * @param {WhatIf} what
 * @param {PageStore} store
 * @param {Served} served
 */
function painted({ painted: count }, store, served) {
  if (!count) return null;
  const label = count === 1 ? "1 pixel painted" : `${counted(count)} pixels painted`;
  const go = () => store.set({ name: "", index: null, cursor: null, brush: true });
  return h(
    "li",
    {},
    h("button", { type: "button", class: "to", key: "chip/paint", on: { click: go } }, label),
    h(
      "button",
      {
        type: "button",
        class: "drop",
        "aria-label": `Undo: ${label}`,
        on: { click: () => void served.change("api/what-if/paint") },
      },
      "×",
    ),
  );
}

/** @param {Change} change */
function place({ name, index, layer }) {
  return name ? unit(name, index ?? []) : (layer ?? "");
}

/** @param {Change} change */
function values({ what, was, value }) {
  const text = (/** @type {any} */ each) =>
    typeof each === "number"
      ? number(each, false, 4)
      : Array.isArray(each)
        ? each[0] === each[1]
          ? String(each[0])
          : each.join("×")
        : String(each);
  const digits = what === "weight" && text(was) === text(value) ? [was, value].map(exact) : [was, value].map(text);
  return `${what === "weight" ? "" : `${what} `}${digits[0]} → ${digits[1]}`;
}
