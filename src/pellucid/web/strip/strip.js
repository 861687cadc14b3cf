/** The network from left to right: the picture, each layer as a small square of its first maps, the classes. */

import { bars } from "./bars.js";
import { h } from "../element.js";
import { number, size } from "../format.js";
import { names } from "../labels.js";
import { mapsOf } from "../layer/maps.js";
import { drawSquare } from "./square.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {{prefix: string, nodes: Node[]}} Group */

const SHORT = 14; // letters of a formula that stand beside a layer without being folded

/**
 * The part of the state that affects the strip, apart from its mark.
 * @param {PageState} state
 */
export function look(state) {
  return JSON.stringify([state.direction === "backward", state.scale, state.open]);
}

/** @param {Context} context */
export function strip(context) {
  const { trace, state } = context;
  const seen = whenSeen();
  const columns = groups(trace.nodes).flatMap((group) => {
    const single = group.nodes.length === 1;
    if (single || state.open.includes(group.prefix)) {
      const opened = group.nodes.map((node) => column(context, node, seen));
      return single ? opened : [fold(context, group, true), ...opened];
    }
    return [folded(context, group, seen)];
  });
  columns.at(-1)?.append(against(context));
  return h(
    "nav",
    { class: "strip", "aria-label": "The network, from the picture to the classes" },
    h("ol", {}, ...columns),
  );
}

/**
 * Delays work until an element comes near the visible part of the page.
 * @returns {(element: Element, work: () => void) => void}
 */
function whenSeen() {
  /** @type {WeakMap<Element, () => void>} */
  const works = new WeakMap();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((each) => each.isIntersecting)) {
        observer.unobserve(target);
        works.get(target)?.();
      }
    },
    { rootMargin: "0px 200px" },
  );
  return (element, work) => {
    works.set(element, work);
    observer.observe(element);
  };
}

/**
 * Groups consecutive layers whose names have the same prefix: a block.
 * @param {Node[]} nodes
 * @returns {Group[]}
 */
function groups(nodes) {
  /** @type {Group[]} */
  const all = [];
  for (const node of nodes) {
    const prefix = node.name.split(".")[0];
    const last = all[all.length - 1];
    if (last && last.prefix === prefix) last.nodes.push(node);
    else all.push({ prefix, nodes: [node] });
  }
  return all;
}

/**
 * @param {Context} context
 * @param {Group} group
 * @param {boolean} opened
 */
function fold({ state, store }, { prefix, nodes }, opened) {
  const open = opened ? state.open.filter((each) => each !== prefix) : [...state.open, prefix];
  const button = h(
    "button",
    {
      type: "button",
      class: "fold",
      key: `fold/${prefix}`,
      "aria-expanded": String(opened),
      on: { click: () => store.set({ open }) },
    },
    opened ? `close ${prefix}` : `${nodes.length} layers`,
  );
  return opened ? h("li", { class: "block" }, button) : button;
}

/**
 * The class of the loss; with a server, the reader can choose another.
 * @param {Context} context
 */
function against({ trace, served }) {
  const { model, label, several } = trace.about;
  if (!served || several) return h("small", {}, `against ${names(model.classes, trace.about.against)}`);
  const options = model.classes.map((/** @type {string} */ name, /** @type {number} */ at) =>
    h("option", { value: name, selected: at === label }, name),
  );
  const select = /** @type {HTMLSelectElement} */ (
    h("select", { key: "against", "aria-label": "loss against" }, ...options)
  );
  select.addEventListener("change", () => void served.against(select.value));
  return h("label", {}, h("small", {}, "against"), select);
}

/**
 * A closed block, represented by its last layer.
 * @param {Context} context
 * @param {Group} group
 * @param {ReturnType<typeof whenSeen>} seen
 */
function folded(context, group, seen) {
  const last = group.nodes[group.nodes.length - 1];
  const item = column(context, last, seen, group.prefix);
  item.classList.add("folded");
  item.dataset.block = group.prefix;
  item.append(fold(context, group, false));
  return item;
}

/**
 * @param {Context} context
 * @param {Node} node
 * @param {ReturnType<typeof whenSeen>} seen
 * @param {string} title
 */
function column(context, node, seen, title = node.name) {
  const { trace, state, store } = context;
  const maps = mapsOf(trace, node.name, state.direction);
  const isLoss = !node.shape.length;
  const isBars = node.shape.length === 1 && node.name === trace.role("probability") && state.direction !== "backward";
  const square = h("span", { class: "square" });
  const item = h("li", { class: "layer" });
  item.dataset.name = node.name;
  const button = h(
    "button",
    {
      type: "button",
      class: "open",
      key: `layer/${node.name}`,
      "aria-label": `${title}: ${node.kind}, ${size(node.shape)}`,
      on: { click: () => store.set({ ...PLACE, name: node.name, index: isLoss ? [] : null }) },
    },
    h("b", {}, title),
    square,
    h("small", {}, isLoss ? node.kind : size(node.shape)),
  );
  item.append(button, ...formulas(node));
  if (isBars) square.replaceWith(bars(trace));
  else if (isLoss) square.append(h("span", { class: "one" }, number(trace.about.loss ?? NaN, false, 4)));
  else if (maps) seen(item, () => void drawSquare(context, node, square));
  else square.append(h("span", { class: "none" }, "no gradient"));
  return item;
}

const PLACE = { cursor: null, channel: -1, page: 0, sorted: /** @type {""} */ ("") };

/** @param {Node} node */
function formulas(node) {
  const lines = [node.size_formula, node.parameters_formula].filter((line) => /\d/.test(line));
  if (!lines.length) return [];
  if (lines.every((line) => line.length <= SHORT)) return lines.map((line) => h("small", { class: "formula" }, line));
  return [
    h("details", { class: "formula" }, h("summary", {}, "arithmetic"), ...lines.map((line) => h("small", {}, line))),
  ];
}
