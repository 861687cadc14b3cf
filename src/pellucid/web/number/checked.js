/** The badge beside a gradient: how it was checked, with the largest difference, and what was not checked. */

import { central } from "../arithmetic/moved.js";
import { h } from "../element.js";
import { counted, number, unit } from "../format.js";
import { morph } from "./morph.js";

/** @typedef {import("../arithmetic/moved.js").Central} Central */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../trace.js").Trace} Trace */
/**
 * @typedef {object} Agreement with the module's own run
 * @property {number} parameters
 * @property {number} numbers
 * @property {number} largest
 * @property {string} where
 */
/** @typedef {{state: "agrees" | "part" | "corner" | "differs" | "unchecked", text: string, from?: string}} Verdict from:
 *     the array from which on recorded gradients stood in */

const REST = 300; // milliseconds that a number is looked at before the work on it begins
const RELATIVE = 1e-3; // a larger difference is no rounding
const SCALED = 1e-5; // the same, times the sum of the terms' magnitudes
const FINEST = 8 * Number.EPSILON; // of the scores: a smaller change of the loss is lost in double precision

/** @type {WeakMap<Trace, Map<string, Central | string>>} results, or what prevented one */
const results = new WeakMap();

/**
 * The badge of a gradient; null for any other number. The central differences follow when it is drawn.
 * @param {import("../context.js").Context} context
 * @param {Working} working
 */
export function checkedBadge({ trace, state }, working) {
  if (working.quantity !== "gradient" || working.kind === "the loss") return null;
  const title = unit(working.name, working.index);
  const known = results.get(trace) ?? new Map();
  results.set(trace, known);
  const result = known.get(title);
  if (result === undefined && !state.playing) void follow(trace, working, title, known);
  return badge(trace, working, title, result ?? null);
}

/**
 * Works it out behind the drawing, and stops when the reader goes on.
 * @param {Trace} trace
 * @param {Working} working
 * @param {string} title
 * @param {Map<string, Central | string>} known
 */
async function follow(trace, working, title, known) {
  const drawn = () => {
    const here = /** @type {HTMLElement | null} */ (document.querySelector(".checked"));
    return here?.dataset.of === title ? here : null;
  };
  await new Promise((resolve) => setTimeout(resolve, REST));
  const pause = async () => {
    await new Promise((resolve) => setTimeout(resolve));
    return drawn() !== null;
  };
  if (!(await pause())) return;
  try {
    const result = await central(trace, working.name, working.index, pause);
    if (result) known.set(title, result);
  } catch (error) {
    known.set(title, error instanceof Error ? error.message : String(error));
  }
  const here = drawn();
  const result = known.get(title);
  if (here && result !== undefined) morph(here, badge(trace, working, title, result));
}

/**
 * @param {Trace} trace
 * @param {Working} working
 * @param {string} title
 * @param {Central | string | null} result null until there is one
 */
function badge(trace, working, title, result) {
  const agreement = /** @type {Agreement | null} */ (trace.about.agreement ?? null);
  const { state, text, from } =
    result === null
      ? { state: "waits", text: "This number is moved next.", from: "" }
      : verdict(trace, working, result);
  const apart =
    result && typeof result !== "string" && state !== "unchecked" ? Math.abs(result.slope - working.recorded) : 0;
  const largest = Math.max(apart, agreement?.largest ?? 0);
  const heads = {
    agrees: ["✓", "Gradient checked", `largest difference ${number(largest, false, 2)}`],
    part: ["–", "Gradient checked in part", `by central differences up to ${from} only`],
    corner: [from ? "–" : "✓", from ? "Gradient checked in part" : "Gradient checked", "the loss has a corner here"],
    differs: ["✗", "Gradient differs", `by ${number(apart, false, 2)}`],
    unchecked: agreement
      ? ["–", "Gradient checked in part", "not by central differences"]
      : ["–", "Gradient not checked", ""],
    waits: ["…", "Gradient", "being checked"],
  };
  const [sign, head, rest] = heads[/** @type {keyof typeof heads} */ (state)];
  const entry = (/** @type {string} */ name, /** @type {string} */ says) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, says));
  return h(
    "details",
    { class: `checked ${state}`, "data-of": title },
    h(
      "summary",
      { key: "checked" },
      h("span", { "aria-hidden": "true" }, sign),
      h("b", {}, head),
      rest && h("small", {}, rest),
    ),
    h(
      "dl",
      {},
      entry("Against the module's own run", own(agreement)),
      entry("By central differences", text),
      entry("Not checked", unchecked(trace, working, agreement)),
    ),
  );
}

/** @param {Agreement | null} agreement */
function own(agreement) {
  if (!agreement) return "This page does not hold the comparison.";
  const { parameters, numbers, largest, where } = agreement;
  if (!numbers) return "No parameter has a gradient that could be compared.";
  const what = `${counted(numbers)} gradients, those of ${counted(parameters)} ${parameters === 1 ? "parameter" : "parameters"}, were compared`;
  return largest
    ? `${what}. The largest difference is ${number(largest, false, 2)}, in ${where}.`
    : `${what}. All are equal, bit for bit.`;
}

/**
 * @param {Trace} trace
 * @param {Working} working
 * @param {Central | string} result
 * @returns {Verdict}
 */
function verdict(trace, { recorded, parts, name }, result) {
  if (typeof result === "string") return { state: "unchecked", text: `This failed: ${result}` };
  const { slope, sides, step, passed, stopped } = result;
  const stops = stopped.map(({ name: at, why }) => `From ${at} on, PyTorch's gradients stand in: ${why}.`);
  if (!passed.length) {
    const why = stopped[0]?.why ?? "nothing that the loss reads depends on this number";
    return { state: "unchecked", text: `This number was not moved: ${why}.` };
  }
  if (!Number.isFinite(slope) || !Number.isFinite(recorded)) {
    return { state: "unchecked", text: "Numbers on the way to the loss are infinite." };
  }
  const terms = parts.reduce((sum, part) => part.terms.values.reduce((all, term) => all + Math.abs(term), sum), 0);
  const narrow = trace.precision(name)?.[0] ?? 0; // 16 bits round at every step
  const room = Math.max(RELATIVE, 64 * narrow) * Math.abs(recorded) + Math.max(SCALED, 8 * narrow) * terms;
  const digits = (/** @type {number} */ value) => number(value, false, 7);
  const moved =
    `The number was moved up and down by ${number(step, false, 2)}, and the change followed through ` +
    `${listed(passed)} without a derivative.`;
  const measured = `The slope is ${digits(slope)}, PyTorch's gradient ${digits(recorded)}, the difference ${number(Math.abs(slope - recorded), false, 2)}.`;
  const text = [moved, measured, ...stops].join(" ");
  const from = stopped[0]?.name ?? "";
  if (Math.abs(slope - recorded) <= room) return { state: from ? "part" : "agrees", text, from };
  const scores = /** @type {number[]} */ (trace.about.logits ?? []).map(Math.abs).filter(Number.isFinite);
  const finest = (FINEST * Math.max(1, ...scores)) / step;
  if (Math.max(Math.abs(slope), Math.abs(recorded)) < finest) {
    const small = `That is too small to be measured: below ${number(finest, false, 2)} the loss has no digits left.`;
    return { state: "unchecked", text: [text, small].join(" ") };
  }
  const [low, high] = [Math.min(...sides) - room, Math.max(...sides) + room];
  if (high - low > 4 * room && recorded >= low && recorded <= high) {
    const both = `Within this step the loss has a corner, as ReLU has at 0 and max pooling at a tie: its slope is ${digits(sides[1])} below and ${digits(sides[0])} above. PyTorch's gradient is ${digits(recorded)}.`;
    return { state: "corner", text: [moved, both, ...stops].join(" "), from };
  }
  return { state: "differs", text };
}

/**
 * @param {Trace} trace
 * @param {Working} working
 * @param {Agreement | null} agreement
 */
function unchecked(trace, { name }, agreement) {
  const others = `The other numbers of ${name} by central differences: each is checked when it is opened.`;
  if (!agreement || trace.parameter(name)) return others;
  return `${others} The module's own run keeps gradients of parameters only, not of ${name}.`;
}

/** @param {string[]} names */
function listed(names) {
  if (names.length > 4) return `${names.slice(0, 2).join(", ")}, … and ${names[names.length - 1]}`;
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}` : names[0];
}
