/** The mark on the strip: the reader's place, the window that a number reads, and the numbers that it feeds. */

import { evaluatorOf } from "../arithmetic/working.js";
import { h } from "../element.js";
import { isPicture } from "../layer/maps.js";
import { stopAt } from "../rove.js";
import { layersOf } from "./column.js";
import { tilesOf } from "./square.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

/** @type {WeakMap<HTMLElement, number>} the latest mark: an earlier one may still wait for its numbers */
const turns = new WeakMap();

/**
 * Moves the mark: the reader's layer, the window in the layer before, and the numbers that it feeds in the layer after.
 * @param {HTMLElement} strip
 * @param {Pick<Context, "trace" | "state">} context
 */
export async function mark(strip, context) {
  const { trace, state } = context;
  const turn = (turns.get(strip) ?? 0) + 1;
  turns.set(strip, turn);
  here(strip, context);
  const at = state.index ?? state.cursor;
  const node = trace.node(state.name);
  if (!node || !at || at.length !== 3) return;
  frame(strip, context, node, [at]);
  if (node.op !== null) {
    const evaluator = await evaluatorOf(trace, node, false);
    if (turns.get(strip) !== turn) return;
    for (const [local, source] of Object.entries(node.reads)) {
      const before = trace.node(source);
      const stages = before && evaluator.places("out", trace.whole(node.name, at), local);
      if (stages) frame(strip, context, before, corners(trace, stages, source));
    }
  }
  for (const { node: after, local } of trace.users(node.name)) {
    if (after.op === null) continue;
    const evaluator = await evaluatorOf(trace, after, false);
    if (turns.get(strip) !== turn) return;
    const stages = evaluator.places(local, trace.whole(node.name, at), "out");
    frame(strip, context, after, corners(trace, stages, after.name));
  }
}

/**
 * Marks the reader's column, its edges and, in the classes, the reader's class.
 * @param {HTMLElement} strip
 * @param {Pick<Context, "trace" | "state">} context
 */
function here(strip, { trace, state }) {
  const name = trace.node(state.name) ? state.name : (trace.users(state.name)[0]?.node.name ?? "");
  /** @type {Element | null} */ let now = null;
  for (const item of strip.querySelectorAll("li.layer")) {
    const own = layersOf(item).has(name);
    const button = /** @type {HTMLElement} */ (item.querySelector("button.open"));
    item.classList.toggle("now", own);
    if (own) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    if (own) now = item;
    for (const old of item.querySelectorAll("i.window")) old.remove();
  }
  if (now && !strip.contains(document.activeElement)) stopAt(strip, now.querySelector("button"));
  const names = now ? layersOf(now) : new Set();
  for (const path of /** @type {NodeListOf<SVGPathElement>} */ (strip.querySelectorAll(".edges path"))) {
    path.classList.toggle("lit", names.has(path.dataset.from) || names.has(path.dataset.to));
  }
  const chosen = name === trace.role("probability") ? state.index?.[0] : undefined;
  for (const bar of /** @type {NodeListOf<HTMLElement>} */ (strip.querySelectorAll(".bar"))) {
    bar.classList.toggle("chosen-class", bar.dataset.class === String(chosen));
  }
}

/**
 * The first and the last place of several.
 * @param {Trace} trace
 * @param {Int32Array[][]} stages
 * @param {string} name
 */
function corners(trace, stages, name) {
  const axes = stages.find((each) => each.length && each[0].length);
  if (!axes) return [];
  const ends = [
    axes.map((axis) => axis.reduce((a, b) => Math.min(a, b))),
    axes.map((axis) => axis.reduce((a, b) => Math.max(a, b))),
  ];
  return ends.map((end) => trace.short(name, end));
}

/**
 * @param {HTMLElement} strip
 * @param {Pick<Context, "trace" | "state">} context
 * @param {Node} node
 * @param {number[][]} ends
 */
function frame(strip, { trace, state }, node, ends) {
  const square = strip.querySelector(`li[data-name="${CSS.escape(node.name)}"] .square`);
  if (!square || !ends.length || ends[0].length !== 3 || node.shape.length !== 3) return;
  const [first, last] = [ends[0], ends[ends.length - 1]];
  tilesOf(trace, node, state, square).forEach(([x, y, width, height], tile) => {
    if (!isPicture(trace, node.name, state.direction) && (tile < first[0] || tile > last[0])) return;
    const [across, down] = [width / node.shape[2], height / node.shape[1]];
    const place = {
      left: x + first[2] * across - 2,
      top: y + first[1] * down - 2,
      width: Math.max(5, (last[2] - first[2] + 1) * across + 4),
      height: Math.max(5, (last[1] - first[1] + 1) * down + 4),
    };
    const style = Object.fromEntries(Object.entries(place).map(([key, value]) => [key, `${value}px`]));
    square.append(h("i", { class: "window", style }));
  });
}
