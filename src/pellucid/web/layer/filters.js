/** The weights of a layer: filters as pictures, in colour if they see colours. Other weights as bars. */

import { drawImage, largestOf, pixelImage, signedImage } from "../colors.js";
import { h } from "../element.js";
import { number, unit } from "../format.js";
import { wall } from "./wall.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageState} PageState */

/**
 * The filters of a convolution, and the kernels of the filter that makes map `channel`.
 * @param {import("../context.js").StageContext} context
 * @param {import("../trace.js").Node} node
 * @param {number} channel
 * @returns {Promise<HTMLElement[]>}
 */
export async function filters(context, node, channel) {
  const { trace, state, store, width } = context;
  const name = node.reads.weight;
  const go = (/** @type {string} */ to, /** @type {number[]} */ index) =>
    store.set({ name: to, index, cursor: null, channel: -1, page: 0, sorted: "" });
  const others = await Promise.all(
    Object.entries(node.reads)
      .filter(
        ([local, source]) =>
          local !== "weight" && trace.known(source) && !trace.node(source) && trace.shape(source).length === 1,
      )
      .map(([, source]) => single(context, source, channel, go)),
  );
  if (!name || !trace.parameter(name)) return others.length ? [h("section", { class: "filters" }, ...others)] : [];
  const shape = trace.shape(name);
  const { what, data } = await shown(trace, name, state.direction);
  if (shape.length === 1) {
    return [
      h(
        "section",
        { class: "filters" },
        h("p", { class: "weights" }, await single(context, name, channel, go), ...others),
      ),
    ];
  }
  if (shape.length !== 4) return [];
  const [count, depth, rows, columns] = shape;
  const limit = largestOf(data);
  const kernel = (/** @type {number} */ filter, /** @type {number} */ from) =>
    data.subarray((filter * depth + from) * rows * columns, (filter * depth + from + 1) * rows * columns);
  const colored = depth === 3;
  const side = count > 64 ? 22 : count > 16 ? 34 : 48;
  const called = /** @type {Record<string, string>} */ ({ backward: "gradient of ", update: "change of " });
  // the weight of a kernel at a place of its drawing; in colour three kernels lie over each other
  const weightAt = (
    /** @type {number} */ filter,
    /** @type {number[]} */ from,
    /** @type {[number, number]} */ [x, y],
    /** @type {[number, number, number, number]} */ [left, top, wide, tall],
  ) => {
    const [cell, line] = [wide / columns, tall / rows];
    const [column, row] = [Math.floor((x - left) / cell), Math.floor((y - top) / line)];
    if (column < 0 || row < 0 || column >= columns || row >= rows) return null;
    const says = from.map((map) => {
      const value = number(kernel(filter, map)[row * columns + column], state.exact);
      return `${called[state.direction] ?? ""}${unit(name, [filter, map, row, column])} is ${value}`;
    });
    /** @type {import("../colors.js").Place} */
    const place = [left + column * cell, top + row * line, cell, line];
    return { says: says.join(", "), place };
  };
  const all = wall({
    key: "filters",
    label: `The ${count} ${what} of ${state.name}`,
    order: Array.from({ length: count }, (_, at) => at),
    chosen: channel,
    side,
    width,
    aspect: columns / rows,
    draw: (surface, at, place) => {
      const image = colored
        ? pixelImage([kernel(at, 0), kernel(at, 1), kernel(at, 2)], columns, rows, -limit, limit)
        : signedImage(kernel(at, 0), columns, rows, limit);
      drawImage(surface, image, place);
    },
    choose: (at) => store.set({ cursor: [at, ...(state.cursor ?? [0, 0, 0]).slice(1)] }, true),
    says: (at) => `filter ${at}`,
    numberAt: (at, x, y, place) => weightAt(at, colored ? [0, 1, 2] : [0], [x, y], place),
  });
  const own = wall({
    key: "kernels",
    label: `The ${depth} kernels of filter ${channel}. Enter opens a weight.`,
    order: Array.from({ length: depth }, (_, at) => at),
    chosen: -1,
    side,
    width,
    aspect: columns / rows,
    draw: (surface, at, place) => drawImage(surface, signedImage(kernel(channel, at), columns, rows, limit), place),
    choose: (at) => go(name, [channel, at, Math.floor(rows / 2), Math.floor(columns / 2)]),
    enter: (at) => go(name, [channel, at, Math.floor(rows / 2), Math.floor(columns / 2)]),
    says: (at) => `kernel for input map ${at}`,
    numberAt: (at, x, y, place) => weightAt(channel, [at], [x, y], place),
  });
  const title = colored ? `${count} ${what}, in colour` : `${count} ${what}, each shown by its first kernel`;
  return [
    h(
      "section",
      { class: "filters" },
      h("div", {}, h("h2", {}, title), all),
      h("div", {}, h("h2", {}, `Filter ${channel}: one kernel for each input map`), own),
      others.length > 0 && h("p", { class: "weights" }, ...others),
    ),
  ];
}

/**
 * A weight's numbers for the direction: their values, their gradients, or their changes in one step.
 * @param {Trace} trace
 * @param {string} name
 * @param {PageState["direction"]} direction
 */
async function shown(trace, name, direction) {
  const { data } = await trace.array(`value/${name}`);
  if (direction === "backward" && trace.has(`gradient/${name}`)) {
    return { what: "filter gradients", data: (await trace.array(`gradient/${name}`)).data };
  }
  if (direction === "update" && trace.has(`after/${name}`)) {
    const after = (await trace.array(`after/${name}`)).data;
    return { what: "filter changes in one step", data: Float64Array.from(data, (before, at) => after[at] - before) };
  }
  return { what: "filters", data };
}

/**
 * One stored number of a channel: its bias, its running mean. In the update also its new value.
 * @param {import("../context.js").Context} context
 * @param {string} name
 * @param {number} channel
 * @param {(name: string, index: number[]) => void} go
 */
async function single({ trace, state: { direction, exact } }, name, channel, go) {
  const { data } = await trace.array(`value/${name}`);
  const at = Math.min(channel, data.length - 1);
  const changes = direction === "update" && trace.has(`after/${name}`);
  const after = changes ? ` → ${number((await trace.array(`after/${name}`)).data[at], exact)}` : "";
  return h(
    "button",
    { type: "button", class: "factor", key: `weight/${name}`, on: { click: () => go(name, [at]) } },
    `${unit(name, [at])} = ${number(data[at], exact)}${after}`,
  );
}
