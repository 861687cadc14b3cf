/** The view of one weight's life: the curve with its cursor, the step under it, and the pictures. Redrawn in place. */

import { dark } from "../colors.js";
import { h } from "../element.js";
import { counted, exact as allDigits, number, unit } from "../format.js";
import { addingUp } from "../number/adding.js";
import { chart } from "../training/curves.js";
import { createTransport } from "../training/transport.js";
import { arithmetic } from "./arithmetic.js";
import { ending, exactly } from "./ending.js";
import { pictures, pushers } from "./pictures.js";
import { more } from "./more.js";
import { stepOf } from "./source.js";
import { thumbnails } from "./thumbnails.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./data.js").Life} Life */
/** @typedef {import("./data.js").Step} Step */

const REST = 250; // milliseconds without a change until the address says it
const DIGITS = 3;
/** @type {[string, string][]} */
const KEYS = [
  ["← →", "one step"],
  ["N", "next large step"],
  ["Space", "play"],
  ["Esc", "back"],
];

/**
 * @param {StageContext} first
 * @param {import("./place.js").Weight} weight
 * @param {Life} life
 */
export function createPlayer(first, weight, life) {
  const { store, served } = first;
  const { steps, values, epoch_steps: each } = life;
  const name = unit(weight.name, weight.index);
  const title = `The life of ${name}`;
  let context = first;
  const walked = values.length - 1 === steps && steps > 0; // a head that was fitted at once has no steps
  let at = life.largest[0]?.step ?? 0;
  let drawn = "";
  let addressed = ""; // the step that the address says: a late drawing of it must not take the reader back
  let resting = 0;
  let inDark = dark();
  /** @type {Map<number, Step>} */
  const known = new Map(life.largest.map((step) => [step.step, step]));
  const ordered = [...life.largest].sort((a, b) => a.step - b.step);
  const thumbnail = thumbnails(first, weight, life);

  const digits = (/** @type {number} */ value) => number(value, false, DIGITS);
  const transport = createTransport((step) => go(step));
  const seek = (/** @type {number} */ x) => (transport.stop(), go(Math.max(0, Math.min(steps, Math.round(x)))));
  const curve = chart({ title: `The value of ${name}`, across: "steps", height: 240, format: digits, seek });
  const heading = h("h2", { class: "life-at" });
  const before = jump("Previous large step", -1);
  const after = jump("Next large step", 1);
  const moment = h("div", { class: "stack" });
  const stage = h(
    "section",
    { class: "stage training life", "aria-label": title },
    walked && transport.node,
    walked &&
      h(
        "div",
        { class: "stack life-now" },
        curve.node,
        h("div", { class: "row jumps" }, before, after, heading),
        moment,
      ),
    pushers(life, thumbnail, digits),
    ...ending(first, weight, life),
  );
  const aside = say(title, life);
  document.addEventListener("keydown", onKey, { capture: true });

  /** @param {number} step */
  function go(step) {
    at = Math.max(0, Math.min(steps, step));
    draw();
    window.clearTimeout(resting);
    resting = window.setTimeout(() => {
      addressed = String(at);
      if (stage.isConnected && String(store.get().cursor) !== addressed) void store.set({ cursor: [at] }, true);
    }, REST);
  }

  /**
   * @param {string} text
   * @param {1 | -1} by
   */
  function jump(text, by) {
    const click = () => large(by);
    const keys = by > 0 ? "N" : "Shift+N";
    return /** @type {HTMLButtonElement} */ (
      h(
        "button",
        { type: "button", class: "single", key: `life/${text}`, "aria-keyshortcuts": keys, on: { click } },
        text,
      )
    );
  }

  /** @param {1 | -1} by */
  function large(by) {
    const next = by > 0 ? ordered.find(({ step }) => step > at) : ordered.findLast(({ step }) => step < at);
    if (next) (transport.stop(), go(next.step));
  }

  /** @param {KeyboardEvent} event */
  function onKey(event) {
    if (!stage.isConnected || !walked || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key.toLowerCase() !== "n" || target.matches("input:not([type=range]), select, textarea")) return;
    if (document.querySelector("dialog[open]")) return;
    large(event.shiftKey ? -1 : 1);
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  function draw() {
    const { state } = context;
    const look = JSON.stringify([at, state.exact, known.has(at), dark()]);
    if (look === drawn) return;
    drawn = look;
    const epoch = at ? Math.ceil(at / each) : 0;
    const where = at ? `step ${counted(at)} of ${counted(steps)}, epoch ${epoch}` : "the start";
    transport.set(at, steps + 1, where, `${where}: ${number(values[at])}`);
    curve.move(at);
    before.disabled = !ordered.some(({ step }) => step < at);
    after.disabled = !ordered.some(({ step }) => step > at);
    const rank = life.largest.findIndex(({ step }) => step === at);
    heading.textContent = at
      ? `Step ${counted(at)}${rank < 0 ? "" : rank ? `, number ${rank + 1} by size` : ", the largest"}`
      : "The start";
    moment.replaceChildren(...about(state.exact));
  }

  /** @param {boolean} exact */
  function about(exact) {
    if (!at)
      return [
        h("p", { class: "life-sum" }, allDigits(life.first)),
        h("p", { class: "note" }, `${sentence(life.begins)}.`),
      ];
    const step = known.get(at);
    const made = step ?? { ...stepOf(life, at), ...plain(life) };
    const shown = arithmetic(context, made, life.optimizer);
    if (step) return [shown, pictures(step, { thumbnail, exact, augmented: !!life.augmented })];
    const arrived = (/** @type {Step} */ fresh) => {
      known.set(fresh.step, fresh);
      drawn = "";
      draw();
    };
    return [shown, more({ served, weight, life, step: at, arrived, redraw: () => ((drawn = ""), draw()) })];
  }

  return {
    nodes: [aside, stage],
    /** @param {StageContext} now */
    show(now) {
      context = now;
      if (!walked) return;
      const { cursor } = now.state;
      if (cursor?.length === 1 && String(cursor) !== addressed) {
        addressed = String(cursor);
        at = Math.max(0, Math.min(steps, cursor[0]));
      }
      /** @type {[number, number][]} */
      const points = values.map((value, step) => [step, value]);
      /** @type {[number, number][]} */
      const marks = ordered.map(({ step, after: value }) => [step, value]);
      // the canvas measures itself once it is on the page
      requestAnimationFrame(() => {
        if (inDark !== dark()) curve.recolor();
        inDark = dark();
        curve.set(
          [
            { name: "value", color: "var(--curve-1)", points },
            { name: "after a large step", color: "var(--curve-2)", points: marks, dots: true, width: 0 },
          ],
          steps,
          `${name} over ${counted(steps)} steps, from ${digits(life.first)} to ${digits(life.last)}; the largest steps: ` +
            `${life.largest.map(({ step }) => step).join(", ")}.`,
        );
        curve.move(at);
      });
      draw();
    },
  };
}

/**
 * The formula of plain gradient descent is that of every step at its rate.
 * @param {Life} life
 * @returns {Partial<Step>}
 */
function plain({ largest, rates }) {
  const [step] = largest;
  const same = step?.op && !Object.keys(step.remembered ?? {}).length && rates.every((rate) => rate === step.rate);
  return same ? { op: step.op, remembered: {} } : {};
}

/**
 * @param {string} title
 * @param {Life} life
 */
function say(title, life) {
  const { first, last, steps } = life;
  const { parts, total, rest } = addingUp([first, last - first], last, { digits: 7 });
  const sign = parts[1].startsWith("−") ? "−" : "+";
  const updates = steps ? `all ${counted(steps)} updates` : "what the pictures pushed";
  return h(
    "section",
    { class: "say training" },
    h("h1", { tabindex: "-1", key: "heading" }, title),
    h("p", {}, `It begins as ${number(first)}: ${life.begins}.`),
    h(
      "p",
      { class: "life-whole" },
      `${parts[0]} ${sign} ${parts[1].replace(/^−/, "")} = ${total}`,
      h("small", {}, `the start, plus ${updates}${rest && `, hidden digits ${rest}`}`),
    ),
    ...exactly(life),
    steps ? h("p", {}, "Point at the curve, or use the slider. Dots mark the largest steps.") : "",
    h("p", { class: "keys", hidden: !steps }, ...KEYS.flatMap(([key, what]) => [h("kbd", {}, key), ` ${what} `])),
  );
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
