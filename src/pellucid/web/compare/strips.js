/** The strips of both models, one above the other. The layer where they part first is marked in both. */

import { layersOf } from "../strip/column.js";
import { roomOf } from "../strip/room.js";
import { strip } from "../strip/strip.js";
import { h } from "../element.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./pair.js").Pair} Pair */
/** @typedef {import("./pair.js").Layer} Layer */

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {number | null} first the layer where they part first
 * @param {(row: number) => void} show
 */
export function strips(context, pair, first, show) {
  const { layers } = pair.comparison;
  const room = roomOf(/** @type {HTMLElement} */ (document.querySelector("main")));
  const sides = /** @type {const} */ ([
    ["A", "first"],
    ["B", "second"],
  ]);
  const both = sides.map(([letter, side]) => {
    const trace = pair[side];
    const store = {
      ...context.store,
      /** @param {Partial<import("../store.js").PageState>} change @param {boolean} [quiet] */
      set(change, quiet) {
        if (!("name" in change)) return context.store.set(change, quiet);
        const row = layers.findIndex((layer) => layer[side] === change.name);
        if (row >= 0) show(row);
        return Promise.resolve();
      },
    };
    const nav = strip({ ...context, trace, store }, room);
    nav.setAttribute("aria-label", `${letter}, ${pair.comparison[side]}: from the picture to the classes`);
    // the same layers are in both strips, and the page finds the focus by its key
    for (const each of /** @type {NodeListOf<HTMLElement>} */ (nav.querySelectorAll("[data-key]")))
      each.dataset.key = `${letter}/${each.dataset.key}`;
    marked(nav, layers, side, first);
    return h("div", {}, h("h2", {}, `${letter}: ${pair.comparison[side]}`), nav);
  });
  return h("div", { class: "compare-strips" }, ...both);
}

/**
 * @param {HTMLElement} nav
 * @param {Layer[]} layers
 * @param {"first" | "second"} side
 * @param {number | null} first
 */
function marked(nav, layers, side, first) {
  const parting = first === null ? null : layers[first][side];
  const alone = new Set(
    layers.filter((layer) => layer.first === null || layer.second === null).map((each) => each[side]),
  );
  for (const item of nav.querySelectorAll("li.layer")) {
    const own = [...layersOf(item)];
    const button = /** @type {HTMLElement} */ (item.querySelector("button.open"));
    const label = button.getAttribute("aria-label") ?? "";
    if (parting !== null && own.includes(parting)) {
      item.classList.add("parts-here");
      button.setAttribute("aria-label", `${label}; the models part first here`);
    } else if (own.every((name) => alone.has(name))) {
      item.classList.add("alone");
      button.setAttribute("aria-label", `${label}; only this model has it`);
    }
  }
}
