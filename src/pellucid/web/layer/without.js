/** What a filter is worth: the accuracy without it, and all filters of the layer, ranked by it. */

import { moveAmong } from "../among.js";
import { h } from "../element.js";
import { counted, percent } from "../format.js";
import { progress } from "../job.js";
import { pager } from "../pager.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Node} Node */
/**
 * @typedef {object} Filter
 * @property {number} filter
 * @property {number} accuracy without it
 * @property {boolean} within_chance whether chance may explain the difference
 * @property {number} only_with pictures that are right only with it
 * @property {number} only_without and only without it
 * @property {{name: string, before: number, accuracy: number, within_chance: boolean} | null} worst the class that
 *     changes most
 */
/**
 * @typedef {object} Layer
 * @property {"test" | "validation"} side of the pictures
 * @property {string} zeroed_after the layer whose maps are set to zero
 * @property {number} pictures
 * @property {number} accuracy with every filter
 * @property {Filter[]} filters the most important first
 */

const PAGE = 12; // filters on a page
const ORDER = "The list is by accuracy; the place of such a filter in it means little.";

/**
 * @param {Context} context
 * @param {Node} node
 * @param {number} channel
 * @returns {Promise<HTMLElement[]>} empty if the layer is not a convolution, or if the page is of no model folder
 */
export async function without(context, node, channel) {
  const { trace, store, served } = context;
  if (node.kind !== "convolution" || !node.reads.weight) return [];
  const box = (/** @type {(HTMLElement | string | false)[]} */ ...inside) => [
    h(
      "section",
      { class: "without", "aria-label": "Without this filter" },
      h("h2", {}, `What filter ${channel} is worth`),
      ...inside,
    ),
  ];
  if (!served) {
    const { measured, model } = trace.about;
    if (!measured) return [];
    const layer = Object.hasOwn(measured.without, node.name) ? measured.without[node.name] : null;
    return layer
      ? box(...figures(context, layer, channel))
      : box(h("p", { class: "note" }, command(model.name, node.name)));
  }
  const place = `layer=${encodeURIComponent(node.name)}`;
  const path = `api/without?${place}`;
  const answer = await (await served.ask(path)).json();
  const redraw = () => void store.set({}, true);
  if (answer.state === "done") return box(...figures(context, answer, channel));
  if (answer.state === "running") {
    const stop = () => void served.ask(`api/without/stop?${place}`, { method: "POST" }).then(redraw);
    const doing = `Setting each filter of ${node.name} to zero, and classifying the pictures again`;
    return box(
      progress({ ask: served.ask, path, answer, doing, finished: redraw, method: "GET", counts: "runs", stop }),
    );
  }
  const start = () => void served.ask(path, { method: "POST" }).then(redraw);
  return box(
    answer.state === "failed" && h("p", { role: "alert" }, answer.error),
    h("p", { class: "note" }, "How many pictures does the network get right without one of its filters?"),
    h(
      "button",
      { type: "button", class: "single", key: "without/start", on: { click: start } },
      `Measure all ${counted(node.shape[0])} filters of ${node.name}`,
    ),
  );
}

/**
 * @param {Context} context
 * @param {Layer} layer
 * @param {number} channel
 */
function figures({ trace, state, store }, layer, channel) {
  const { filters, pictures, side, accuracy, zeroed_after: place } = layer;
  const chosen = filters.find(({ filter }) => filter === channel);
  const pages = Math.ceil(filters.length / PAGE);
  const page = Math.min(state.page, pages - 1);
  const most = Math.max(...filters.map((each) => Math.abs(accuracy - each.accuracy))) || 1;
  const chance = filters.filter((each) => each.within_chance).length;
  const choose = (/** @type {number} */ filter) =>
    store.set({ cursor: [filter, ...(state.cursor ?? [0, 0, 0]).slice(1)] }, true);
  return [
    chosen ? h("p", { class: "line" }, ...sentence(chosen, layer)) : "",
    h(
      "p",
      { class: "note" },
      `Its map is set to zero${place === state.name ? "" : ` after ${place}`}, one filter at a time. ` +
        (side === "test"
          ? ""
          : "The validation pictures also chose the weights, so the figures flatter the network. ") +
        (chance
          ? `In grey: ${counted(chance)} of ${counted(filters.length)} differences may be chance. ${ORDER} `
          : "") +
        (trace.about.what_if?.changes.length ? "This is the saved model, without your changes." : ""),
    ),
    h(
      "ol",
      { class: "worth", start: String(page * PAGE + 1), on: { keydown: moveAmong } },
      ...filters.slice(page * PAGE, (page + 1) * PAGE).map((each) => {
        const change = each.accuracy - accuracy;
        return h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              key: `worth/${each.filter}`,
              class: each.within_chance ? "chance" : undefined,
              "aria-current": each.filter === channel ? "true" : null,
              "aria-label":
                `Without filter ${each.filter}: ${percent(each.accuracy)} instead of ${percent(accuracy)}` +
                (each.within_chance ? ", may be chance" : ""),
              on: { click: () => choose(each.filter) },
            },
            h("span", {}, `filter ${each.filter}`),
            h(
              "span",
              { class: "length" },
              h("i", {
                class: change > 0 ? "below" : "above",
                style: { width: `${(100 * Math.abs(change)) / most}%` },
              }),
            ),
            h("span", { class: "value" }, percent(each.accuracy)),
            h("span", { class: "value" }, points(change)),
          ),
        );
      }),
    ),
    pages > 1 ? pager({ page, pages, count: filters.length, change: (change) => store.set(change, true) }) : "",
    h(
      "p",
      { class: "note" },
      `The accuracy on ${counted(pictures)} ${side} pictures without each filter, and the change in points. A small ` +
        "change does not mean that a filter does nothing: others may do the same.",
    ),
  ];
}

/**
 * @param {Filter} chosen
 * @param {Layer} layer
 */
function sentence({ accuracy, within_chance: chance, worst, only_with: lost, only_without: gained }, layer) {
  const of = `${counted(layer.pictures)} ${layer.side} pictures`;
  const may = (/** @type {boolean} */ maybe) => (maybe ? " (may be chance)" : "");
  return [
    "Without this filter: ",
    h("b", {}, percent(accuracy)),
    ` instead of ${percent(layer.accuracy)} of ${of}${may(chance)}`,
    worst
      ? `; ${worst.name}: ${percent(worst.accuracy)} instead of ${percent(worst.before)}${may(worst.within_chance)}`
      : "",
    `. ${counted(lost)} become wrong, ${counted(gained)} become right.`,
  ];
}

/** @param {number} share a difference of two shares */
function points(share) {
  const text = (100 * Math.abs(share)).toFixed(1);
  return `${share < 0 ? "−" : share > 0 ? "+" : "±"}${text}`;
}

/**
 * @param {string} model
 * @param {string} layer
 */
function command(model, layer) {
  return (
    `This file has no figures for it. “pellucid without ${model} --layer ${layer}” measures them; a file that ` +
    "“pellucid explain --html” writes afterwards shows them."
  );
}
