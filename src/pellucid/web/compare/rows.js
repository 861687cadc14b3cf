/** A row for each layer: its map in both models and their difference, and the number that differs most. */

import { detail } from "./detail.js";
import { h } from "../element.js";
import { counted, size, unit } from "../format.js";
import { texts } from "./numbers.js";
import { apartOf, nameOf } from "./pair.js";
import { thumbnail } from "./thumbnail.js";
import { stateOf } from "./words.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./pair.js").Pair} Pair */
/** @typedef {import("./pair.js").Layer} Layer */
/**
 * @typedef {object} Chosen
 * @property {number | null} first the layer where they part first
 * @property {number | null} open the layer whose maps are large
 * @property {number | null} channel its map; null for the one with the number that differs most
 * @property {(row: number | "-", channel?: number | null, quiet?: boolean) => unknown} go
 */

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Chosen} chosen
 */
export function rows(context, pair, chosen) {
  const { layers } = pair.comparison;
  const list = h("ol", {}, ...layers.map((layer, at) => row(context, pair, layer, at, chosen)));
  return h(
    "section",
    { class: "compare-rows" },
    h("h2", {}, "Layer by layer"),
    h(
      "p",
      { class: "note" },
      "Each row shows the map with the number that differs most: in A, in B, and B − A. Open a row for all of its maps.",
    ),
    list,
  );
}

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {number} at
 * @param {Chosen} chosen
 */
function row(context, pair, layer, at, { first, open, channel, go }) {
  const { direction } = context.state;
  const says = stateOf(layer, direction, at === first);
  const opened = at === open;
  const button = h(
    "button",
    {
      type: "button",
      key: `compare/${at}`,
      "aria-expanded": String(opened),
      on: { click: () => go(opened ? "-" : at) },
    },
    h("b", {}, nameOf(layer)),
    h("small", {}, [...new Set(layer.kinds)].join(" | ")),
    h("small", {}, [...new Set(layer.shapes.map(size))].join(" | ")),
    h("span", { class: `verdict ${at === first ? "parts" : ""}` }, says),
  );
  const maps = h("div", { class: "compare-three" });
  const item = h("li", { class: opened ? "opened" : "" }, button, maps, most(context, layer));
  for (const side of /** @type {const} */ (["first", "second", "difference"])) {
    maps.append(thumbnail(context, pair, layer, side));
  }
  if (opened) item.append(detail(context, pair, layer, channel, (to) => go(at, to, true)));
  return item;
}

/**
 * The number that differs most, and the weights that differ.
 * @param {StageContext} context
 * @param {Layer} layer
 */
function most({ state }, layer) {
  const apart = apartOf(layer, state.direction);
  const lines = [];
  if (apart && apart.different) {
    const shown = texts(apart.first, apart.second, state.exact);
    lines.push(
      h(
        "p",
        { class: "most" },
        h("span", {}, "most: ", unit(layer.first ?? "", apart.index)),
        h("span", {}, `A ${shown.first}`),
        h("span", {}, `B ${shown.second}`),
        h("span", {}, "B − A ", h("b", {}, shown.difference)),
      ),
      h("p", { class: "note" }, `${counted(apart.different)} of ${counted(apart.count)} differ`),
    );
  }
  for (const each of layer.weights) {
    const shown = texts(each.first, each.second, state.exact);
    lines.push(
      h(
        "p",
        { class: "note" },
        `${each.names[0]}: ${counted(each.different)} of ${counted(each.count)} weights differ, most ` +
          `${unit(each.names[0], each.index)}: A ${shown.first}, B ${shown.second}`,
      ),
    );
  }
  return h("div", { class: "compare-most" }, ...lines);
}
