/** A layer: its maps, one of them large, its filters, and the distribution of its numbers. */

import { layerForm } from "../whatif/adjust.js";
import { h } from "../element.js";
import { answerLink, makersLink } from "../life/filter.js";
import { exemplars } from "./exemplars.js";
import { filters } from "./filters.js";
import { number, size } from "../format.js";
import { histogram } from "./histogram.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf, nameOf, numberAt } from "./maps.js";
import { largeMap } from "./map.js";
import { paintable, paintButton, painter } from "../whatif/paint.js";
import { units } from "./units.js";
import { wall } from "./wall.js";
import { without } from "./without.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("../trace.js").Trace} Trace */

const MANY = 32; // maps from which on the most active come first, and a search helps

/** @param {StageContext} context */
export async function layer(context) {
  const { trace, state, served, width } = context;
  const node = /** @type {Node} */ (trace.node(state.name));
  const maps = mapsOf(trace, state.name, state.direction);
  const stage = h("section", { class: "stage layer-view", "aria-label": state.name });
  stage.append(facts(node, state.direction), layerForm(context) ?? "");
  if (state.direction === "update") stage.append(h("p", { class: "note" }, updated(trace, node)));
  if (!maps) {
    stage.append(h("p", { class: "note" }, trace.noGradient(state.name)));
    return stage;
  }
  const data = (await trace.array(`${maps.prefix}/${state.name}`)).data;
  if (maps.vector) {
    stage.append(units(context, data), answerLink(context), histogram(data) ?? "");
    return stage;
  }
  const first = maps.channels > MANY ? mostActive(data, maps) : 0;
  const cursor = within(state.cursor ?? [first, Math.floor(maps.height / 2), Math.floor(maps.width / 2)], maps);
  if (served && paintable(trace) && state.name === trace.nodes[0].name && state.direction === "forward") {
    const side = Math.max(200, Math.min(384, width - 20));
    stage.append(state.brush ? await painter({ ...context, served }, side) : (paintButton(context) ?? ""));
    if (state.brush) return stage;
  }
  const seen = await allMaps(context, maps, cursor);
  const made = makersLink(context, `Who made filter ${cursor[0]}`);
  const parts = [filters, without, exemplars].map((part) => part(context, node, cursor[0]));
  const learned = (await Promise.all(parts)).flat();
  // a step changes the weights; the maps only follow
  stage.append(...(state.direction === "update" ? [...learned, seen] : [seen, made, ...learned]));
  const spread = histogram(data);
  if (spread) stage.append(spread);
  return stage;
}

/**
 * @param {Node} node
 * @param {PageState["direction"]} direction
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
    ["defined in", node.source],
  ];
  const shown = entries.filter(([, value]) => value);
  return h(
    "dl",
    { class: "facts" },
    ...shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}

/**
 * @param {Trace} trace
 * @param {Node} node
 */
function updated(trace, node) {
  const weights = Object.values(node.reads).filter((name) => trace.update(name));
  if (!weights.length) return "This layer learns nothing, so a step changes none of its numbers.";
  return `A step of ${trace.about.optimizer} changes ${weights.join(" and ")}. Choose a weight below to see how.`;
}

/**
 * All maps on a wall, and the chosen one beside it.
 * @param {StageContext} context
 * @param {import("./maps.js").Maps} maps
 * @param {number[]} cursor channel, row, column
 */
async function allMaps({ trace, state, store, width, hover }, maps, [channel, row, column]) {
  const picture = isPicture(trace, state.name, state.direction);
  const channels = await Promise.all(Array.from({ length: maps.channels }, (_, at) => mapData(trace, maps, at)));
  const order = channels.map((_, at) => at);
  const many = channels.length > MANY;
  if (many) {
    const activity = channels.map(active);
    order.sort((a, b) => activity[b] - activity[a]);
  }
  const limit = (/** @type {number} */ at) => limitOf(trace, maps, state.scale, channels[at]);
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
    draw: (surface, at, place) => drawMap(surface, maps, channels[at], limit(at), place),
    choose: (at) => goTo(at, true),
    enter: () => /** @type {HTMLElement | null} */ (document.querySelector(".large"))?.focus(),
    says: (at) => `map ${at}`,
    numberAt: (at, x, y, place) =>
      numberAt(trace, maps, [{ channel: at, data: channels[at] }], place, { x, y, exact: state.exact }),
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
    says: (y, x) => nameOf(trace, maps, channel, [y, x], channels[channel][y * maps.width + x], state.exact),
    hover: (y, x) => hover([channel, y, x]),
    draw: (surface, place) =>
      picture
        ? drawPicture(surface, trace, maps, place)
        : drawMap(surface, maps, channels[channel], limit(channel), place),
    move: (y, x) => store.set({ cursor: [channel, y, x] }, true),
    enter: (y, x) =>
      store.set({ index: indexOf(trace, state.name, [channel, y, x]), cursor: [channel, y, x], channel: -1, page: 0 }),
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
 * @param {Trace} trace
 * @param {string} name
 * @param {number[]} index
 */
function indexOf(trace, name, index) {
  const axes = trace.shape(name).length;
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
 * The first map on the wall.
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
