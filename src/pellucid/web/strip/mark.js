/** The mark on the strip: the reader's place, the window that a number reads, and the numbers that it feeds. */

import { evaluatorOf } from "../arithmetic/working.js";
import { h } from "../element.js";
import { isPicture } from "../layer/maps.js";
import { tilesOf } from "./square.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

/**
 * Moves the mark: the reader's layer, the window in the layer before, and the numbers that it feeds in the layer after.
 * @param {HTMLElement} strip
 * @param {Pick<Context, "trace" | "state">} context
 */
export async function mark(strip, context) {
  const { trace, state } = context;
  const name = trace.node(state.name) ? state.name : (trace.users(state.name)[0]?.node.name ?? "");
  const prefix = name.split(".")[0];
  for (const item of /** @type {NodeListOf<HTMLElement>} */ (strip.querySelectorAll("li.layer"))) {
    const here = item.dataset.name === name || (item.dataset.block === prefix && name !== "");
    const was = item.classList.contains("now");
    item.classList.toggle("now", here);
    const button = /** @type {HTMLElement} */ (item.querySelector("button.open"));
    if (here) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    for (const old of item.querySelectorAll("i.window")) old.remove();
    if (here && !was) show(strip, item);
  }
  const at = state.index ?? state.cursor;
  const here = trace.node(state.name);
  if (!here || !at || at.length !== 3) return;
  frame(strip, context, here, [at]);
  if (here.op !== null) {
    const evaluator = await evaluatorOf(trace, here, false);
    for (const [local, source] of Object.entries(here.reads)) {
      const before = trace.node(source);
      if (before)
        frame(
          strip,
          context,
          before,
          corners(trace, evaluator.places("out", trace.whole(here.name, at), local), source),
        );
    }
  }
  for (const { node: after, local } of trace.users(here.name)) {
    if (after.op === null) continue;
    const evaluator = await evaluatorOf(trace, after, false);
    frame(
      strip,
      context,
      after,
      corners(trace, evaluator.places(local, trace.whole(here.name, at), "out"), after.name),
    );
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
  tilesOf(trace, node, state).forEach(([x, y, width, height], tile) => {
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

/**
 * Scrolls the strip, and nothing else, until an item is visible.
 * @param {HTMLElement} strip
 * @param {HTMLElement} item
 */
function show(strip, item) {
  const left = item.offsetLeft - strip.offsetLeft;
  if (left < strip.scrollLeft || left + item.offsetWidth > strip.scrollLeft + strip.clientWidth) {
    strip.scrollLeft = left - strip.clientWidth / 2 + item.offsetWidth / 2;
  }
}
