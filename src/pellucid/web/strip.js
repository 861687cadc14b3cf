/** The network from left to right: the picture, each layer as a small square of its first maps, the classes. */

import { bars } from "./bars.js";
import { h, sharpCanvas } from "./element.js";
import { number, size } from "./format.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf } from "./layer/maps.js";
import { evaluatorOf } from "./arithmetic/working.js";
import { names } from "./labels.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./run.js").Node} Node */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{prefix: string, nodes: Node[]}} Group */

const SIDE = 68;
const GAP = 4;
const SHORT = 14; // letters of a formula that stand beside a layer without being folded

/**
 * What changes how the strip looks, apart from the mark on it.
 * @param {State} state
 */
export function look(state) {
  return JSON.stringify([state.direction === "backward", state.scale, state.open]);
}

/**
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 * @param {import("./main.js").Served | null} served
 */
export function strip(run, state, store, served) {
  const waiting = new IntersectionObserver(
    (seen) => {
      for (const entry of seen.filter((each) => each.isIntersecting)) {
        waiting.unobserve(entry.target);
        /** @type {any} */ (entry.target).draw();
      }
    },
    { rootMargin: "0px 200px" },
  );
  const columns = groups(run.nodes).flatMap((group) => {
    const single = group.nodes.length === 1;
    if (single || state.open.includes(group.prefix)) {
      const opened = group.nodes.map((node) => column(run, node, state, store, waiting));
      return single ? opened : [fold(group, true, state, store), ...opened];
    }
    return [folded(run, group, state, store, waiting)];
  });
  columns.at(-1)?.append(against(run, served));
  return h(
    "nav",
    { class: "strip", "aria-label": "The network, from the picture to the classes" },
    h("ol", {}, ...columns),
  );
}

/**
 * Layers one after the other whose names begin alike: a block.
 * @param {Node[]} nodes
 * @returns {Group[]}
 */
function groups(nodes) {
  /** @type {Group[]} */
  const found = [];
  for (const node of nodes) {
    const prefix = node.name.split(".")[0];
    const last = found[found.length - 1];
    if (last && last.prefix === prefix) last.nodes.push(node);
    else found.push({ prefix, nodes: [node] });
  }
  return found;
}

/**
 * @param {Group} group
 * @param {boolean} opened
 * @param {State} state
 * @param {Store} store
 */
function fold({ prefix, nodes }, opened, state, store) {
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
 * The class that the loss is measured against; where there is a server, any can be chosen.
 * @param {Run} run
 * @param {import("./main.js").Served | null} served
 */
function against(run, served) {
  const { model, label, several } = run.about;
  if (!served || several) return h("small", {}, `against ${names(model.classes, run.about.against)}`);
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
 * A block that is closed: its last layer stands for it.
 * @param {Run} run
 * @param {Group} group
 * @param {State} state
 * @param {Store} store
 * @param {IntersectionObserver} waiting
 */
function folded(run, group, state, store, waiting) {
  const last = group.nodes[group.nodes.length - 1];
  const item = column(run, last, state, store, waiting, group.prefix);
  item.classList.add("folded");
  item.dataset.block = group.prefix;
  item.append(fold(group, false, state, store));
  return item;
}

/**
 * @param {Run} run
 * @param {Node} node
 * @param {State} state
 * @param {Store} store
 * @param {IntersectionObserver} waiting
 */
function column(run, node, state, store, waiting, title = node.name) {
  const maps = mapsOf(run, node.name, state.direction);
  const isLoss = !node.shape.length;
  const isBars = node.shape.length === 1 && node.name === run.role("probability") && state.direction !== "backward";
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
  if (isBars) square.replaceWith(bars(run));
  else if (isLoss) square.append(h("span", { class: "one" }, number(run.about.loss ?? NaN, false, 4)));
  else if (maps) {
    /** @type {any} */ (item).draw = () => draw(run, node, maps, state, square);
    waiting.observe(item);
  } else square.append(h("span", { class: "none" }, "no gradient"));
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

/**
 * The first four maps in a square; the picture and vectors alone.
 * @param {Run} run
 * @param {Node} node
 * @param {import("./layer/maps.js").Maps} maps
 * @param {State} state
 * @param {HTMLElement} square
 */
async function draw(run, node, maps, state, square) {
  const { canvas, context } = sharpCanvas(SIDE, SIDE);
  try {
    const tiles = tilesOf(run, node, state);
    if (isPicture(run, node.name, state.direction)) await drawPicture(context, run, maps, tiles[0]);
    else {
      for (const [channel, place] of tiles.entries()) {
        const data = await mapData(run, maps, channel);
        drawMap(context, maps, data, limitOf(run, maps, state.scale, data), place);
      }
    }
    square.prepend(canvas);
  } catch (error) {
    square.append(h("span", { class: "none" }, "not there"));
    console.warn(error);
  }
}

/**
 * Where the maps stand in the square: x, y, width, height, each map in its own proportions.
 * @param {Run} run
 * @param {Node} node
 * @param {State} state
 * @returns {[number, number, number, number][]}
 */
function tilesOf(run, node, state) {
  const maps = mapsOf(run, node.name, state.direction);
  if (!maps) return [];
  const alone = maps.channels === 1 || isPicture(run, node.name, state.direction);
  const side = alone ? SIDE : (SIDE - GAP) / 2;
  const square = maps.vector ? 1 : maps.width / maps.height;
  const [width, height] = square >= 1 ? [side, side / square] : [side * square, side];
  return Array.from({ length: alone ? 1 : Math.min(4, maps.channels) }, (_, tile) => [
    (tile % 2) * (side + GAP) + (maps.vector && maps.width <= 12 ? side / 3 : (side - width) / 2),
    Math.floor(tile / 2) * (side + GAP) + (side - height) / 2,
    maps.vector && maps.width <= 12 ? side / 3 : width,
    height,
  ]);
}

/**
 * Moves the mark: the layer where the reader is, the window in the layer before, and what it feeds in the layer after.
 * @param {HTMLElement} node the strip
 * @param {Run} run
 * @param {State} state
 */
export async function mark(node, run, state) {
  const name = run.node(state.name) ? state.name : (run.users(state.name)[0]?.node.name ?? "");
  const prefix = name.split(".")[0];
  for (const item of /** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll("li.layer"))) {
    const here = item.dataset.name === name || (item.dataset.block === prefix && name !== "");
    const was = item.classList.contains("now");
    item.classList.toggle("now", here);
    const button = /** @type {HTMLElement} */ (item.querySelector("button.open"));
    if (here) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
    for (const old of item.querySelectorAll("i.window")) old.remove();
    if (here && !was) show(node, item);
  }
  const at = state.index ?? state.cursor;
  const here = run.node(state.name);
  if (!here || !at || at.length !== 3) return;
  frame(node, run, here, state, [at]);
  if (here.op !== null) {
    const evaluator = await evaluatorOf(run, here, false);
    for (const [local, source] of Object.entries(here.reads)) {
      const found = run.node(source);
      if (found)
        frame(node, run, found, state, corners(run, evaluator.places("out", run.whole(here.name, at), local), source));
    }
  }
  for (const { node: after, local } of run.users(here.name)) {
    if (after.op === null) continue;
    const evaluator = await evaluatorOf(run, after, false);
    frame(node, run, after, state, corners(run, evaluator.places(local, run.whole(here.name, at), "out"), after.name));
  }
}

/**
 * The first and the last place of several.
 * @param {Run} run
 * @param {Int32Array[][]} stages
 * @param {string} name
 */
function corners(run, stages, name) {
  const axes = stages.find((each) => each.length && each[0].length);
  if (!axes) return [];
  const ends = [
    axes.map((axis) => axis.reduce((a, b) => Math.min(a, b))),
    axes.map((axis) => axis.reduce((a, b) => Math.max(a, b))),
  ];
  return ends.map((end) => run.short(name, end));
}

/**
 * @param {HTMLElement} strip
 * @param {Run} run
 * @param {Node} node
 * @param {State} state
 * @param {number[][]} ends
 */
function frame(strip, run, node, state, ends) {
  const square = strip.querySelector(`li[data-name="${CSS.escape(node.name)}"] .square`);
  if (!square || !ends.length || ends[0].length !== 3 || node.shape.length !== 3) return;
  const [first, last] = [ends[0], ends[ends.length - 1]];
  tilesOf(run, node, state).forEach(([x, y, width, height], tile) => {
    if (!isPicture(run, node.name, state.direction) && (tile < first[0] || tile > last[0])) return;
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
 * Scrolls the strip, and nothing else, until an item is on it.
 * @param {HTMLElement} strip
 * @param {HTMLElement} item
 */
function show(strip, item) {
  const left = item.offsetLeft - strip.offsetLeft;
  if (left < strip.scrollLeft || left + item.offsetWidth > strip.scrollLeft + strip.clientWidth) {
    strip.scrollLeft = left - strip.clientWidth / 2 + item.offsetWidth / 2;
  }
}
