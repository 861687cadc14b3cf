/** What if a weight, a stride, a padding or a kind of pooling were different: the reader's controls. */

import { largestOf } from "../colors.js";
import { choice, h } from "../element.js";
import { exact, unit } from "../format.js";
import { Trouble } from "../host.js";
import { stays } from "../staying.js";
import { position } from "../trace.js";
import { shifts } from "./shift.js";
import { before, body, follow, latest, merged, whatIf } from "./whatif.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {import("./whatif.js").Change} Change */

const PAUSE = 250; // ms after the last step of a slider until what follows is worked out to the last number
/** @type {WeakMap<Served, Change[]>} the changes that a control waits for */
const awaited = new WeakMap();
const KINDS = /** @type {[string, string][]} */ ([
  ["max", "largest"],
  ["average", "average"],
  ["l2", "L2 norm"],
]);

/**
 * For a weight: a slider and a field; null if the number is not a weight.
 * @param {Context} context
 * @returns {Promise<HTMLElement | null>}
 */
export async function weightForm({ trace, state, served }) {
  const { name } = state;
  const index = state.index ?? [];
  const what = whatIf(trace);
  // the picture's standardisation is not part of the network
  if (!served || !what || trace.node(name) || !name.includes(".") || !index.length) return null;
  const { data, shape } = await trace.array(`value/${name}`);
  const value = data[position(index, shape)];
  const was = what.changes.find((each) => each.name === name && String(each.index) === String(index))?.was ?? value;
  const reach = 2 * Math.max(1e-3, Math.abs(value), Math.abs(was), largestOf(data));
  const change = (/** @type {number} */ to) => merged(what.changes, [{ what: "weight", name, index, value: to }]);
  const { outcome, foresee, commit } = hands(trace, served);
  const field = input("number", "what-if/value", exact(value).replace("−", "-"), {
    step: "any",
    "aria-label": `another value for ${unit(name, index)}`,
  });
  let slider = input("range", "what-if/slider", String(value), {
    min: -reach,
    max: reach,
    step: "any",
    "aria-label": `slide ${unit(name, index)} to another value`,
    on: {
      input: () => to(Number(slider.value)),
      change: () => commit(change(Number(slider.value))),
    },
  });
  stays(slider, (old) => {
    // the reader may already have moved it again
    if (!old.matches(":active") && !awaited.has(served)) old.value = slider.value;
    slider = old;
  });
  const to = (/** @type {number} */ other) => {
    slider.value = String(other);
    field.value = exact(Math.fround(other)).replace("−", "-");
    foresee(change(other));
  };
  field.addEventListener("input", () => {
    if (field.value === "") return;
    slider.value = field.value;
    foresee(change(Number(field.value)));
  });
  field.addEventListener("change", () => field.value !== "" && commit(change(Number(field.value)), 0));
  const set = (/** @type {number} */ other) => (to(other), commit(change(other), 0));
  const button = (/** @type {string} */ text, /** @type {number} */ wanted, off = false) =>
    h(
      "button",
      {
        type: "button",
        class: "single",
        key: `what-if/${text}`,
        "aria-disabled": off ? "true" : null,
        on: { click: () => off || set(wanted) },
      },
      text,
    );
  return form(
    `What if ${unit(name, index)} were a different number?`,
    h(
      "div",
      { class: "row" },
      slider,
      field,
      button("0", 0),
      button("its opposite", -was),
      button("as it was", was, value === was),
    ),
    outcome,
  );
}

/**
 * For a layer with a window: stride, padding, and the kind of pooling; null for any other layer.
 * @param {Context} context
 */
export function layerForm({ trace, state: { name }, served }) {
  const what = whatIf(trace);
  const layer = what?.settings.find((each) => each.layer === name);
  if (!served || !what || !layer) return null;
  const { outcome, foresee, commit } = hands(trace, served);
  const now = (/** @type {Change["what"]} */ kind, /** @type {any} */ otherwise) =>
    what.changes.find((each) => each.layer === name && each.what === kind)?.value ?? otherwise;
  const stride = pair("stride", now("stride", layer.stride), 1, layer.most_stride);
  const padding = pair("padding", now("padding", layer.padding), 0, layer.most_padding);
  const kind = now("pooling", layer.kind);
  const wanted = (/** @type {string} */ pooling) => {
    /** @type {Change[]} */
    const all = [
      { what: "stride", layer: name, value: stride.value() },
      { what: "padding", layer: name, value: padding.value() },
      ...(pooling ? [/** @type {Change} */ ({ what: "pooling", layer: name, value: pooling })] : []),
    ];
    return merged(
      what.changes,
      all.filter((each) => differs(each, layer) || changedBefore(each, what.changes)),
    );
  };
  for (const field of [...stride.fields, ...padding.fields]) {
    field.addEventListener("input", () => field.checkValidity() && field.value !== "" && foresee(wanted(kind)));
    field.addEventListener("change", () => {
      if (field.reportValidity() && field.value !== "") commit(wanted(kind));
    });
  }
  const kinds = choice(
    "pooling takes the",
    KINDS.map(([each, text]) => [each, text]),
    kind,
    (each) => commit(wanted(each), 0),
  );
  const movable = layer.most_padding.some((most) => most > 0);
  return form(
    "What if its settings were different?",
    h(
      "div",
      { class: "row" },
      kind ? h("span", { class: "setting" }, "takes the ", kinds) : "",
      stride.label,
      movable ? padding.label : "",
    ),
    outcome,
  );
}

/**
 * @param {Change} change
 * @param {import("./whatif.js").Adjustable} layer
 */
function differs({ what, value }, layer) {
  const own = { stride: layer.stride, padding: layer.padding, pooling: layer.kind, weight: null }[what];
  return String(own) !== String(value);
}

/**
 * @param {Change} change
 * @param {Change[]} changes
 */
function changedBefore({ what, layer }, changes) {
  return changes.some((each) => each.what === what && each.layer === layer);
}

/**
 * The common part of both forms: foresee during a movement, apply after it, and show the effect.
 * @param {Trace} trace
 * @param {Served} served
 */
function hands(trace, served) {
  // from the beginning as high as later, so nothing moves when the reader does
  const shown = shifts(trace.about.model.classes, before(trace), trace.about.probabilities);
  const outcome = h("div", { class: "foreseen", role: "status" }, shown);
  let timer = 0;
  const ask = latest(async (/** @type {Change[]} */ changes) => {
    try {
      const answer = await (await served.ask("api/what-if/foresee", { method: "POST", body: body(changes) })).json();
      if (answer.fits) outcome.replaceChildren(shifts(trace.about.model.classes, before(trace), answer.probabilities));
      else outcome.replaceChildren(refused(answer, changes, served));
      return answer.fits;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      outcome.replaceChildren(h("p", { class: "refused" }, error.message));
    }
  });
  const settle = async (/** @type {Change[]} */ changes) => {
    await ask(changes);
    if (!outcome.querySelector(".refused")) await follow(served, changes);
    if (awaited.get(served) === changes) awaited.delete(served);
  };
  return {
    outcome,
    foresee: (/** @type {Change[]} */ changes) => {
      window.clearTimeout(timer);
      awaited.delete(served);
      void ask(changes);
    },
    commit: (/** @type {Change[]} */ changes, pause = PAUSE) => {
      window.clearTimeout(timer);
      awaited.set(served, changes);
      timer = window.setTimeout(() => void settle(changes), pause);
    },
  };
}

/**
 * Why a change does not fit, and what would.
 * @param {{why: string, instead: Change[]}} answer
 * @param {Change[]} changes
 * @param {Served} served
 */
function refused({ why, instead }, changes, served) {
  const all = () => void follow(served, merged(changes, instead));
  return h(
    "div",
    { class: "refused" },
    h("p", {}, why),
    instead.length > 0 &&
      h(
        "button",
        { type: "button", class: "single", key: "what-if/instead", on: { click: all } },
        "Change that as well",
      ),
  );
}

/**
 * @param {string} title
 * @param {...Node} parts
 */
function form(title, ...parts) {
  return h("section", { class: "adjust", "aria-label": title }, h("h2", {}, title), ...parts);
}

/**
 * A field for rows and one for columns, or one for both if they agree.
 * @param {string} what
 * @param {number[]} now
 * @param {number} least
 * @param {number[]} most
 */
function pair(what, now, least, most) {
  const alike = now[0] === now[1] && most[0] === most[1];
  const fields = (alike ? [""] : [" of rows", " of columns"]).map((axis, at) =>
    input("number", `what-if/${what}${axis}`, String(now[at]), {
      min: least,
      max: most[at],
      step: 1,
      inputmode: "numeric",
      "aria-label": what + axis,
    }),
  );
  const label = h(
    "span",
    { class: "setting" },
    `${what} `,
    ...fields,
    h("small", {}, ` ${least} to ${Math.max(...most)}`),
  );
  return { fields, label, value: () => (alike ? [fields[0], fields[0]] : fields).map((field) => Number(field.value)) };
}

/**
 * @param {string} type
 * @param {string} key
 * @param {string} value
 * @param {Record<string, any>} attributes
 */
function input(type, key, value, attributes) {
  const field = /** @type {HTMLInputElement} */ (h("input", { type, key, ...attributes }));
  field.value = value;
  return field;
}
