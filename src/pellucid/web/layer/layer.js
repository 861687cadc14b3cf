/** A layer: its maps, one of them large, its filters, and how its numbers lie. */

import { layerForm } from "../whatif/adjust.js";
import { h } from "../element.js";
import { exemplars } from "./exemplars.js";
import { filters } from "./filters.js";
import { number, size } from "../format.js";
import { histogram } from "./histogram.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf } from "./maps.js";
import { largeMap } from "./map.js";
import { paintable, paintButton, painter } from "../whatif/paint.js";
import { units } from "./units.js";
import { wall } from "./wall.js";

/** @typedef {import("../run.js").Run} Run */
/** @typedef {import("../store.js").State} State */
/** @typedef {import("../store.js").Store} Store */

const MANY = 32; // maps from which on the most active come first, and a search helps

/**
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 * @param {import("../main.js").Served | null} served
 * @param {number} width that the stage has
 * @param {(at: number[]) => void} hover
 */
export async function layer(run, state, store, served, width, hover) {
  const node = /** @type {import("../run.js").Node} */ (run.node(state.name));
  const maps = mapsOf(run, state.name, state.direction);
  const stage = h("section", { class: "stage layer-view", "aria-label": state.name });
  stage.append(facts(node, state.direction), layerForm(run, state.name, served) ?? "");
  if (state.direction === "update") stage.append(h("p", { class: "note" }, updated(run, node)));
  if (!maps) {
    stage.append(h("p", { class: "note" }, run.noGradient(state.name)));
    return stage;
  }
  const data = (await run.array(`${maps.prefix}/${state.name}`)).data;
  if (maps.vector) {
    stage.append(units(run, state, store, data), histogram(data) ?? "");
    return stage;
  }
  const first = maps.channels > MANY ? mostActive(data, maps) : 0;
  const cursor = within(state.cursor ?? [first, Math.floor(maps.height / 2), Math.floor(maps.width / 2)], maps);
  if (served && paintable(run) && state.name === run.nodes[0].name && state.direction === "forward") {
    const side = Math.max(200, Math.min(384, width - 20));
    stage.append(state.brush ? await painter(run, store, served, side) : (paintButton(run, store, served) ?? ""));
    if (state.brush) return stage;
  }
  const seen = await allMaps(run, state, store, maps, cursor, width, hover);
  const learned = [
    ...(await filters(run, state, store, node, cursor[0], width)),
    ...(await exemplars(run, state, store, served, node, cursor[0])),
  ];
  // a step changes what is learned, and the maps only follow
  stage.append(...(state.direction === "update" ? [...learned, seen] : [seen, ...learned]));
  const spread = histogram(data);
  if (spread) stage.append(spread);
  return stage;
}

/**
 * @param {import("../run.js").Node} node
 * @param {State["direction"]} direction
 */
function facts(node, direction) {
  const [low, mean, high] = node.range;
  const largest = node.gradient_largest;
  const entries = [
    ["what", node.kind],
    ["size", node.size_formula ? `${size(node.shape)}, from ${node.size_formula}` : size(node.shape)],
    ["parameters", node.parameters_formula],
    direction === "backward"
      ? ["largest gradient", largest === null ? "" : number(largest)]
      : ["smallest, mean, largest", low === null ? "" : [low, mean, high].map((each) => number(each)).join(", ")],
    ["written in", node.source],
  ];
  const shown = entries.filter(([, value]) => value);
  return h(
    "dl",
    { class: "facts" },
    ...shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}

/**
 * @param {Run} run
 * @param {import("../run.js").Node} node
 */
function updated(run, node) {
  const weights = Object.values(node.reads).filter((name) => run.update(name));
  if (!weights.length) return "Nothing here is learned: one step changes no number of this layer itself.";
  return `A step of ${run.about.optimizer} changes ${weights.join(" and ")}. Choose a weight below to see how.`;
}

/**
 * All maps on a wall, and the chosen one beside it.
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 * @param {import("./maps.js").Maps} maps
 * @param {number[]} cursor channel, row, column
 * @param {number} width
 * @param {(at: number[]) => void} hover
 */
async function allMaps(run, state, store, maps, [channel, row, column], width, hover) {
  const picture = isPicture(run, state.name, state.direction);
  const channels = await Promise.all(Array.from({ length: maps.channels }, (_, at) => mapData(run, maps, at)));
  const order = channels.map((_, at) => at);
  const many = channels.length > MANY;
  if (many) {
    const activity = channels.map(active);
    order.sort((a, b) => activity[b] - activity[a]);
  }
  const limit = (/** @type {number} */ at) => limitOf(run, maps, state.scale, channels[at]);
  const goTo = (/** @type {number} */ to, /** @type {boolean} */ quiet) =>
    store.set({ cursor: [to, row, column] }, quiet);
  const side = many ? 40 : channels.length > 8 ? 64 : 84;
  const large = Math.max(200, Math.min(384, width - 20));
  const beside = width > 720 ? width - large - 32 : width;
  const chooser = wall({
    key: "wall",
    label: `The ${channels.length} maps of ${state.name}${many ? ", most active first" : ""}`,
    order,
    chosen: channel,
    side,
    width: Math.max(120, beside),
    aspect: maps.width / maps.height,
    draw: (context, at, place) => drawMap(context, maps, channels[at], limit(at), place),
    choose: (at) => goTo(at, true),
    enter: () => /** @type {HTMLElement | null} */ (document.querySelector(".large"))?.focus(),
    says: (at) => `map ${at}`,
  });
  const map = largeMap({
    key: "large",
    name: state.name,
    channel,
    height: maps.height,
    width: maps.width,
    data: channels[channel],
    cursor: [row, column],
    side: large,
    exact: state.exact,
    hover: (y, x) => hover([channel, y, x]),
    draw: (context, place) =>
      picture
        ? drawPicture(context, run, maps, place)
        : drawMap(context, maps, channels[channel], limit(channel), place),
    move: (y, x) => store.set({ cursor: [channel, y, x] }, true),
    enter: (y, x) =>
      store.set({ index: indexOf(run, state.name, [channel, y, x]), cursor: [channel, y, x], channel: -1, page: 0 }),
  });
  const title = many
    ? `${channels.length} maps, most active first`
    : channels.length === 1
      ? "One map"
      : `${channels.length} maps`;
  return h(
    "div",
    { class: "maps" },
    h(
      "div",
      { class: "all" },
      h("h2", {}, title),
      many && search(channels.length, channel, (at) => goTo(at, false)),
      chooser,
    ),
    map,
  );
}

/**
 * An index with as many places as the layer has axes.
 * @param {Run} run
 * @param {string} name
 * @param {number[]} index
 */
function indexOf(run, name, index) {
  const axes = run.shape(name).length;
  return axes === 2 ? index.slice(1) : index;
}

/**
 * @param {number} count
 * @param {number} channel
 * @param {(channel: number) => void} go
 */
function search(count, channel, go) {
  const input = /** @type {HTMLInputElement} */ (
    h("input", {
      type: "number",
      min: "0",
      max: String(count - 1),
      value: String(channel),
      key: "search",
      inputmode: "numeric",
    })
  );
  input.addEventListener("change", () => {
    const wanted = Number.parseInt(input.value, 10);
    if (wanted >= 0 && wanted < count) go(wanted);
  });
  return h("label", { class: "search" }, `map 0 to ${count - 1}: `, input);
}

/**
 * The map with which the wall begins.
 * @param {Float32Array | Float64Array} data
 * @param {import("./maps.js").Maps} maps
 */
function mostActive(data, { channels, height, width }) {
  const size = height * width;
  const activity = Array.from({ length: channels }, (_, at) => active(data.subarray(at * size, (at + 1) * size)));
  return activity.indexOf(Math.max(...activity));
}

/**
 * How active a map is: its mean magnitude.
 * @param {ArrayLike<number>} data
 */
function active(data) {
  let sum = 0;
  for (let at = 0; at < data.length; at++) sum += Math.abs(data[at]);
  return sum / data.length;
}

/**
 * @param {number[]} cursor
 * @param {import("./maps.js").Maps} maps
 */
function within(cursor, maps) {
  const sizes = [maps.channels, maps.height, maps.width];
  return sizes.map((count, axis) => Math.max(0, Math.min(count - 1, cursor[axis] ?? 0)));
}
