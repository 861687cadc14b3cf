/** Where the network looked for either class: Grad-CAM and occlusion over the picture, each with its trust score. */

import { h, sharpCanvas } from "../element.js";
import { drawImage } from "../colors.js";
import { number } from "../format.js";
import { progress } from "../job.js";
import { fullAt, greyUnder } from "./contributions.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {import("../trace.js").Trace} Trace */
/**
 * @typedef {object} Looked one map
 * @property {number} class
 * @property {"grad_cam" | "occlusion"} method
 * @property {string} [error] why there is no map; then the rest is missing
 * @property {number} trust
 * @property {number} area the mean probability while the marked pixels are removed
 * @property {number} random the same for the same shapes in other places
 * @property {number} spread its standard deviation
 * @property {string} verdict
 * @property {string | null} layer
 */

const METHODS = {
  grad_cam: [
    "Grad-CAM",
    "The last feature maps, weighted by their mean gradient: coarse, and only what speaks for it.",
  ],
  occlusion: ["Occlusion", "A window is covered with the mean colour. The map is how much the logit falls."],
};

/** @type {WeakMap<Trace, {query: string, drawn: HTMLElement}>} the maps stay while the digits change */
const shownMaps = new WeakMap();

/**
 * @param {Context & {served: Served}} context
 * @param {[number, number]} pair the amber class and the blue one
 * @param {string} query of these classes and this run
 * @param {number} side the longer side of each picture, in CSS pixels
 * @returns {Promise<HTMLElement>}
 */
export async function whereItLooked(context, pair, query, side) {
  const { trace, served } = context;
  const before = shownMaps.get(trace);
  const known = `${query}/${side}`;
  if (before?.query === known) return before.drawn;
  const path = `api/difference/where?${query}`;
  const answer = await (await served.ask(path, { method: "POST" })).json();
  const box = (/** @type {(Node | string)[]} */ ...inside) =>
    h("section", { class: "where" }, h("h2", {}, "Where the network looked"), ...inside);
  if (answer.state === "done") {
    const drawn = box(...(await maps(context, pair, query, side, answer.maps)));
    shownMaps.set(trace, { query: known, drawn });
    return drawn;
  }
  // only this part is redrawn: the reader may be reading another
  const arrived = () => whereItLooked(context, pair, query, side).then((drawn) => waiting.replaceWith(drawn));
  const finished = () => void arrived().catch(() => context.store.set({}, true));
  const doing = "Computing four maps, and how far to trust them";
  const waiting = box(progress({ ask: served.ask, path, answer, doing, finished }));
  return waiting;
}

/**
 * @param {Context & {served: Served}} context
 * @param {[number, number]} pair
 * @param {string} query
 * @param {number} side
 * @param {Looked[]} all
 */
async function maps(context, pair, query, side, all) {
  const { classes } = context.trace.about.model;
  const rows = Object.entries(METHODS).map(async ([method, [title, what]]) => {
    const figures = pair.map((one, at) => {
      const looked = /** @type {Looked} */ (all.find((each) => each.class === one && each.method === method));
      return figure(context, looked, at === 0 ? 1 : -1, query, side, `${title} for ${classes[one]}`);
    });
    return h(
      "div",
      {},
      h("h3", {}, title),
      h("p", { class: "note" }, what),
      h("div", {}, ...(await Promise.all(figures))),
    );
  });
  return [
    h(
      "p",
      { class: "note" },
      "Trust is how much faster the class's probability falls when the marked pixels are removed than when the same " +
        "shapes are removed elsewhere. Above two deviations of chance, a map can be trusted.",
    ),
    h("div", { class: "methods" }, ...(await Promise.all(rows))),
  ];
}

/**
 * @param {Context & {served: Served}} context
 * @param {Looked} looked
 * @param {1 | -1} sign of the colour that speaks for the class
 * @param {string} query
 * @param {number} side
 * @param {string} title
 */
async function figure({ trace, served }, looked, sign, query, side, title) {
  if (looked.error) return h("figure", {}, h("figcaption", {}, h("b", {}, title), h("span", {}, looked.error)));
  const answer = await served.ask(`api/difference/map?${query}&class=${looked.class}&method=${looked.method}`);
  const [height, width] = (answer.headers.get("X-Shape") ?? "").split(",").map(Number);
  const values = Float64Array.from(new Float32Array(await answer.arrayBuffer()), (value) => sign * value);
  const cell = side / Math.max(height, width);
  const { canvas, surface } = sharpCanvas(cell * width, cell * height);
  const image = await greyUnder(trace, values, width, height, fullAt(values));
  if (image) drawImage(surface, image, [0, 0, cell * width, cell * height]);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${title}, over the picture. ${looked.verdict}`);
  const text = (/** @type {number | null} */ value) => (value === null ? "no number" : number(value, false, 3));
  return h(
    "figure",
    {},
    canvas,
    h(
      "figcaption",
      {},
      h("b", {}, title),
      h("span", { "data-trust": String(looked.trust) }, `trust ${text(looked.trust)}`),
      h("span", {}, `probability ${text(looked.area)}, elsewhere ${text(looked.random)} ± ${text(looked.spread)}`),
      h("span", {}, looked.verdict),
      looked.layer !== null && h("span", {}, `maps of ${looked.layer}`),
    ),
  );
}
