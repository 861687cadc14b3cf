/** A column of the strip: a layer, or a folded part of the network, which its last layer stands for. */

import { answer, bars } from "./bars.js";
import { h } from "../element.js";
import { number, size } from "../format.js";
import { names } from "../labels.js";
import { mapsOf } from "../layer/maps.js";
import { told } from "../truth.js";
import { drawSquare, squareOf } from "./square.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("./cut.js").Part} Part */
/** @typedef {(element: Element, work: () => void) => void} WhenSeen */

/** @type {WeakMap<Element, Set<string>>} */
const layers = new WeakMap();

/**
 * The names of the layers that a column stands for.
 * @param {Element} item
 * @returns {Set<string>}
 */
export function layersOf(item) {
  return layers.get(item) ?? new Set();
}

/**
 * @param {Context} context
 * @param {Part} part
 * @param {{side: number, row: boolean, seen: WhenSeen}} how
 */
export function column(context, part, { side, row, seen }) {
  const { trace, state, store } = context;
  const node = part.nodes[part.nodes.length - 1];
  const folded = part.nodes.length > 1;
  const unfold = () => store.set({ open: [...state.open, part.id] });
  const square = squareOf(side);
  const count = `${part.nodes.length} layers`;
  const wires = neighbours(context, part);
  // a phone's row has room for one button: it opens the part
  const button =
    folded && row
      ? { key: `fold/${part.id}`, "aria-expanded": "false", "aria-label": `${part.title}: ${count}${wires}` }
      : { key: `layer/${node.name}`, "aria-label": `${part.title}: ${node.kind}, ${size(node.shape)}${wires}` };
  const item = itemOf(
    part,
    h(
      "button",
      {
        type: "button",
        class: "open",
        title: part.title,
        ...button,
        on: { click: folded && row ? unfold : () => store.set({ ...PLACE, name: node.name, index: null }) },
      },
      title(part),
      square,
      h("small", {}, size(node.shape).replaceAll(" ", "")),
    ),
  );
  if (folded) {
    item.classList.add("folded");
    if (row) square.append(h("span", { class: "count", "aria-hidden": "true" }, String(part.nodes.length)));
    else {
      item.append(
        h(
          "button",
          { type: "button", class: "fold", key: `fold/${part.id}`, "aria-expanded": "false", on: { click: unfold } },
          count,
        ),
      );
    }
  }
  if (mapsOf(trace, node.name, state.direction)) seen(item, () => void drawSquare(context, node, square));
  else square.append(h("span", { class: "none" }, row ? "–" : "no gradient"));
  return item;
}

/**
 * The classes, and the loss.
 * @param {Context} context
 * @param {Node} node
 * @param {boolean} row
 */
export function end(context, node, row) {
  const { trace, store } = context;
  const { model, loss, against } = trace.about;
  const isLoss = !node.shape.length;
  const part = { id: node.name, title: node.name, nodes: [node] };
  const says = isLoss
    ? `, ${number(loss ?? NaN, false, 4)} against ${names(model.classes, against)}`
    : `, ${names(model.classes, trace.about.called)}${told(trace)}`;
  const item = itemOf(
    part,
    h(
      "button",
      {
        type: "button",
        class: "open",
        key: `layer/${node.name}`,
        "aria-label": `${node.name}: ${node.kind}, ${size(node.shape)}${says}${neighbours(context, part)}`,
        on: { click: () => store.set({ ...PLACE, name: node.name, index: isLoss ? [] : null }) },
      },
      title(part),
      isLoss
        ? h("span", { class: "one" }, number(loss ?? NaN, false, row || (loss ?? 1) < SMALL ? 3 : 4))
        : row
          ? answer(trace)
          : bars(trace),
    ),
  );
  if (isLoss && !row) item.append(h("small", {}, `against ${names(model.classes, against)}`));
  item.classList.add("end");
  return item;
}

const SMALL = 0.001; // a loss with so many zeros that a fourth digit would push the class out of the column

const PLACE = { cursor: null, channel: -1, page: 0, sorted: /** @type {""} */ ("") };

/**
 * @param {Part} part
 * @param {HTMLElement} button
 */
function itemOf({ nodes }, button) {
  const item = h("li", { class: "layer" }, button);
  item.dataset.name = nodes[nodes.length - 1].name;
  layers.set(item, new Set(nodes.map(({ name }) => name)));
  return item;
}

/**
 * The name in two lines if it has two parts: "block." and "conv1", "conv1 … " and "relu1".
 * @param {Part} part
 */
function title({ title }) {
  const first = /^.*… |^[^ ]*\./.exec(title)?.[0] ?? "";
  return h("b", {}, first && h("span", { class: "path" }, first), title.slice(first.length));
}

/**
 * In words, what a part reads and what reads it.
 * @param {Context} context
 * @param {Part} part
 */
function neighbours({ trace }, { nodes }) {
  const own = new Set(nodes.map(({ name }) => name));
  const others = (/** @type {string[]} */ all) => [
    ...new Set(all.filter((name) => !own.has(name) && trace.node(name))),
  ];
  const reads = others(nodes.flatMap((node) => Object.values(node.reads)));
  const feeds = others(nodes.flatMap(({ name }) => trace.users(name).map(({ node }) => node.name)));
  return (reads.length ? `, reads ${listed(reads)}` : "") + (feeds.length ? `, feeds ${listed(feeds)}` : "");
}

/** @param {string[]} all */
function listed(all) {
  return all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}` : all[0];
}
