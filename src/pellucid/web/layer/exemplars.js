/** The patches of the training pictures that activate a filter most. Needs a server that has searched them. */

import { moveAmong } from "../among.js";
import { h } from "../element.js";
import { counted, number, unit } from "../format.js";
import { progress } from "../job.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {{name: string, activation: number, unit: number[], box: number[]}} Patch */
/**
 * @typedef {object} Exemplars
 * @property {number} seen
 * @property {number} there
 * @property {[number, number]} sees height and width
 * @property {Patch[]} patches
 */

/** @type {WeakMap<Trace, {path: string, drawn: HTMLElement}>} drawn elements stay, because pictures would flicker */
const shownPatches = new WeakMap();

/**
 * @param {Context} context
 * @param {import("../trace.js").Node} node
 * @param {number} channel
 * @returns {Promise<HTMLElement[]>} empty if the layer is not a convolution or there is no server
 */
export async function exemplars(context, node, channel) {
  const { trace, store, served } = context;
  const weight = node.reads.weight;
  if (!served || node.kind !== "convolution" || !weight?.endsWith(".weight")) return [];
  const place = `layer=${encodeURIComponent(weight.slice(0, -".weight".length))}&channel=${channel}`;
  const path = `api/exemplars?${place}`;
  const before = shownPatches.get(trace);
  if (before?.path === path) return [before.drawn];
  const answer = await (await served.ask(path, { method: "POST" })).json(); // starts the search
  const box = (/** @type {(Node | string | false)[]} */ ...inside) =>
    h("section", { class: "exemplars" }, h("h2", {}, `What activates filter ${channel} most`), ...inside);
  if (answer.state !== "done") {
    // only this part is redrawn: the reader may be typing in another
    const arrived = () => exemplars(context, node, channel).then(([drawn]) => waiting.replaceWith(drawn));
    const finished = () => void arrived().catch(() => store.set({}, true));
    const waiting = box(
      progress({ ask: served.ask, path, answer, doing: "Looking through the training pictures", finished }),
    );
    return [waiting];
  }
  const drawn = box(...patches({ ...context, served }, answer, place));
  shownPatches.set(trace, { path, drawn });
  return [drawn];
}

/**
 * @param {Context & {served: Served}} context
 * @param {Exemplars} exemplars
 * @param {string} place
 */
function patches({ trace, state, store, served }, { seen, there, sees, patches: all }, place) {
  const changed = !!trace.about.what_if?.changes.length; // the reader tries other weights
  const [height, width] = sees;
  const through = seen === there ? `all ${counted(there)}` : `${counted(seen)} of ${counted(there)}`;
  const open = async (/** @type {number} */ rank) => {
    if (await served.change(`api/exemplars/open?${place}&rank=${rank}`)) {
      store.set({ name: state.name, index: all[rank].unit, cursor: null, channel: -1, page: 0 });
    }
  };
  return [
    h(
      "p",
      { class: "note" },
      `${height} × ${width} pixels each, from ${through} training pictures. The number is the filter's output there.` +
        (changed ? " They come from the saved model, without your changes." : ""),
    ),
    h(
      "ul",
      { class: "patches", on: { keydown: moveAmong } },
      ...all.map(({ name, activation, unit: index }, rank) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              key: `patch/${rank}`,
              title: `${name}, ${unit(state.name, index)} = ${number(activation)}. Click to open it.`,
              on: { click: () => void open(rank) },
            },
            h("img", {
              src: served.source(`api/exemplars/patch?${place}&rank=${rank}`),
              alt: "",
              on: { error: (event) => event.target.replaceWith(h("span", { class: "gone" }, "no longer there")) },
            }),
            h("b", {}, number(activation, false, 4)),
            h("span", {}, name),
          ),
        ),
      ),
    ),
  ];
}
