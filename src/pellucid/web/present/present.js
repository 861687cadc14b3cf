/** The page in presentation mode: a number's equation, a layer's map, or the classes, for readers in the last row. */

import { largestOf } from "../colors.js";
import { h, sharpCanvas } from "../element.js";
import { unit } from "../format.js";
import { largeMap } from "../layer/map.js";
import { drawMap, drawPicture, isPicture, limitOf, mapData, mapsOf, numberAt } from "../layer/maps.js";
import { wall } from "../layer/wall.js";
import { linkButton } from "../share/share.js";
import { workedOut } from "../walk/walk.js";
import { sumLine } from "./adds.js";
import { alone, writer } from "./digits.js";
import { equation } from "./equation.js";
import { inSight } from "./sight.js";
import { mapsOfSum } from "./products.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("./products.js").Room} Room */

const EDGE = 24; // CSS pixels beside and below
const TOP = 84; // of the title and the buttons
const UNDER = 48; // of the buttons where they stand under the title
const NARROW = 600;
const LESSON = 0.38; // of the height, for a lesson's text
const SUM = 150; // CSS pixels of the line that adds up
const ROW = 52; // of a bar in a list
const TILE = 56; // of a map on the wall

/**
 * @param {StageContext} context
 * @returns {Promise<HTMLElement[]>}
 */
export async function presentation(context) {
  const { state } = context;
  const draw = !state.name ? network : !state.index ? layer : number;
  const top = TOP + (window.innerWidth < NARROW ? UNDER : 0);
  const room = {
    width: window.innerWidth - 2 * EDGE,
    height: window.innerHeight * (state.lesson ? 1 - LESSON : 1) - top - EDGE,
  };
  const shown = await draw(context, room);
  const section = h(
    "section",
    { class: "stage presentation", key: "presentation", tabindex: "-1", "aria-label": "Presentation" },
    heading(context),
    ...shown,
  );
  return [section];
}

/** @param {StageContext} context */
function heading({ trace, state, store }) {
  const { name, index, direction } = state;
  const place = name ? unit(name, index ?? []) : (trace.about.picture ?? "");
  const title = name && direction === "backward" ? `gradient of ${place}` : place;
  const changes = trace.about.what_if?.changes.length ?? 0;
  return h(
    "div",
    { class: "heading" },
    h("h1", {}, index && direction === "update" ? `${place} after the step` : title || "The picture"),
    changes > 0 && h("span", { class: "changed" }, "in the changed network"),
    h(
      "div",
      { class: "ways-out" },
      linkButton(store, "present/link"),
      h(
        "button",
        {
          type: "button",
          key: "present/leave",
          "aria-keyshortcuts": "P Escape",
          on: { click: () => store.set({ present: false }, true) },
        },
        "Leave ",
        h("kbd", {}, "P"),
      ),
    ),
  );
}

/**
 * @param {StageContext} context
 * @param {Room} room
 */
async function number(context, { width, height }) {
  const worked = await workedOut(context.trace, context.state);
  if (typeof worked === "string") return [h("p", { class: "only" }, worked)];
  const [perMap, chosen] = mapsOfSum(worked, context.state);
  const shown = equation(context, worked, perMap, chosen, { width, height: height - SUM });
  return worked.parts.length ? [shown, sumLine(context, worked, perMap, chosen)] : [shown];
}

/**
 * @param {StageContext} context
 * @param {Room} room
 */
async function layer({ trace, state, store, hover }, { width, height }) {
  const node = /** @type {Node} */ (trace.node(state.name));
  const maps = mapsOf(trace, state.name, state.direction);
  if (!maps) return [h("p", { class: "only" }, trace.noGradient(state.name))];
  if (maps.vector) {
    const { data } = await trace.array(`${maps.prefix}/${state.name}`);
    const classes = /** @type {string[]} */ (trace.about.model.classes);
    const named = (/** @type {number} */ at) =>
      unit(state.name, trace.shape(state.name).length ? [at] : []) +
      (data.length === classes.length ? ` ${classes[at]}` : "");
    const open = (/** @type {number} */ at) =>
      void store.set({ index: trace.shape(state.name).length ? [at] : [], channel: -1, page: 0 });
    return [bars(Array.from(data), named, open, Math.floor(height / ROW))];
  }
  const middle = [0, Math.floor(maps.height / 2), Math.floor(maps.width / 2)];
  const limits = [maps.channels, maps.height, maps.width];
  const [channel, row, column] = (state.cursor ?? middle).map((at, axis) =>
    Math.max(0, Math.min(limits[axis] - 1, at)),
  );
  const data = await mapData(trace, maps, channel);
  const picture = isPicture(trace, state.name, state.direction);
  const limit = (/** @type {ArrayLike<number>} */ numbers) => limitOf(trace, maps, state.scale, numbers);
  const beside = width > height ? Math.min(width / 3, 400) : 0;
  const side = Math.max(160, Math.min(width - beside, height - (beside ? 96 : 180)));
  const move = (/** @type {number[]} */ cursor) => void store.set({ cursor }, true);
  const map = largeMap({
    key: "large",
    name: state.name,
    channel,
    height: maps.height,
    width: maps.width,
    data,
    cursor: [row, column],
    side,
    exact: false,
    says: (y, x) => `${unit(state.name, [channel, y, x])} is ${alone(data[y * maps.width + x])}`,
    hover: (y, x) => hover([channel, y, x]),
    draw: (surface, place) =>
      picture ? drawPicture(surface, trace, maps, place) : drawMap(surface, maps, data, limit(data), place),
    move: (y, x) => move([channel, y, x]),
    enter: (y, x) => {
      const index = trace.shape(state.name).length === 2 ? [y, x] : [channel, y, x];
      void store.set({ index, cursor: [channel, y, x], channel: -1, page: 0 });
    },
  });
  /** @type {Map<number, ArrayLike<number>>} */
  const loaded = new Map();
  const tiles = inSight(async (at, surface, place) => {
    const numbers = await mapData(trace, maps, at);
    loaded.set(at, numbers);
    drawMap(surface, maps, numbers, limit(numbers), place);
  });
  const chooser = wall({
    key: "wall",
    label: `The ${maps.channels} maps of ${state.name}`,
    order: Array.from({ length: maps.channels }, (_, at) => at),
    chosen: channel,
    side: TILE,
    width: beside ? beside - 24 : width,
    aspect: maps.width / maps.height,
    draw: (surface, at, place) => tiles.add(at, surface, place),
    choose: (at) => move([at, row, column]),
    enter: () => /** @type {HTMLElement | null} */ (document.querySelector(".large"))?.focus(),
    says: (at) => `map ${at}`,
    numberAt: (at, x, y, place) => {
      const numbers = loaded.get(at);
      return numbers ? numberAt(trace, maps, [{ channel: at, data: numbers }], place, { x, y, exact: false }) : null;
    },
  });
  const size = node.size_formula && h("p", { class: "size" }, node.size_formula);
  const all = maps.channels > 1 && tiles.within(h("div", { class: "maps-of" }, chooser));
  return [h("div", { class: "map-of" }, map, h("div", { class: "beside" }, size, all))];
}

/**
 * @param {StageContext} context
 * @param {Room} room
 */
async function network({ trace, store }, { width, height }) {
  const [first] = trace.nodes;
  const classes = /** @type {string[]} */ (trace.about.model.classes);
  const values = /** @type {(number | null)[]} */ (trace.about.probabilities).map((each) => each ?? NaN);
  const open = (/** @type {number} */ at) =>
    void store.set({ name: trace.role("probability"), index: [at], page: 0, channel: -1, sorted: "" });
  const narrow = width < 600 || (width < 700 && height > width);
  const list = bars(values, (at) => classes[at] ?? String(at), open, Math.floor(height / (narrow ? 2 : 1) / ROW), 1);
  const maps = mapsOf(trace, first.name, "forward");
  if (!maps || !isPicture(trace, first.name, "forward")) return [list];
  const scale = Math.min((narrow ? 1 : 0.45) * width, height / (narrow ? 2.2 : 1)) / Math.max(maps.width, maps.height);
  const { canvas, surface } = sharpCanvas(maps.width * scale, maps.height * scale);
  await drawPicture(surface, trace, maps, [0, 0, maps.width * scale, maps.height * scale]);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `The picture ${trace.about.picture}, as the network receives it`);
  return [h("div", { class: "map-of" }, canvas, list)];
}

/**
 * The largest numbers as bars that open them.
 * @param {number[]} values
 * @param {(at: number) => string} named
 * @param {(at: number) => void} open
 * @param {number} most
 * @param {number} [full] the number of a full bar; by default the largest
 */
function bars(values, named, open, most, full = largestOf(values) || 1) {
  const size = (/** @type {number} */ at) => (Number.isFinite(values[at]) ? Math.abs(values[at]) : 0);
  const order = values.map((_, at) => at).sort((a, b) => size(b) - size(a));
  const { text, times } = writer(values);
  const rows = order.slice(0, Math.max(3, most)).map((at) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", key: `bar/${at}`, on: { click: () => open(at) } },
        h("span", { class: "label" }, named(at)),
        h(
          "span",
          { class: "length", "aria-hidden": "true" },
          h("i", {
            class: values[at] < 0 ? "below" : "above",
            style: { width: `${(100 * Math.min(full, size(at))) / full}%` },
          }),
        ),
        h("span", { class: "value" }, text(values[at]) + times),
      ),
    ),
  );
  return h("ol", { class: "bars-of" }, ...rows);
}
