/** The whole map: the map that is read, the map that results, and the window that sweeps over them. */

import { largestOf } from "../colors.js";
import { h } from "../element.js";
import { number as written, unit } from "../format.js";
import { limitOf, mapsOf } from "../layer/maps.js";
import { position } from "../trace.js";
import { chosenMap } from "./chosen.js";
import { placeOf } from "./follow.js";
import { marks } from "./marks.js";
import { drawsItself } from "./morph.js";
import { pane } from "./pane.js";
import { moving, pace, watchSweep } from "./play.js";
import { reachesOf } from "./reach.js";
import { slices } from "./window.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("./marks.js").Box} Box */
/** @typedef {import("./pane.js").Plane} Plane */
/** @typedef {import("./reach.js").Reach} Reach */
/**
 * @typedef {object} Scene
 * @property {NumberContext} context
 * @property {Plane} input
 * @property {Plane} output
 * @property {Reach} reach
 * @property {[number, number]} at the number's row and column
 */

const LARGEST = 360; // CSS pixels of a map's longer side
const CELL = 48; // CSS pixels of a number's side, at most
const EDGES = 4; // CSS pixels of the borders around a map
const GLIDE = 180; // milliseconds to a neighbouring place

/** @type {WeakMap<Element, Scene>} */
const scenes = new WeakMap();

/**
 * @param {NumberContext} context
 * @param {Working} working
 * @returns {Promise<HTMLElement | null>} null if the number is in no map, or if its op has no window
 */
export async function wholeMap(context, { name, index, quantity, parts }) {
  if (quantity === "update" || index.length < 2) return null;
  const all = await reachesOf(context.trace, name, quantity === "gradient");
  const columns = parts[0]?.terms.columns.map((column) => column.name) ?? [];
  const reach = all.find(({ column }) => columns.includes(column)) ?? all[0];
  if (!reach) return null;
  const [output, input] = await Promise.all([
    planeOf(context, name, quantity, index.slice(0, -2)),
    planeOf(context, reach.source, reach.prefix, leadOf(context, reach, parts[0], index)),
  ]);
  const [row, column] = index.slice(-2);
  return built({ context, input, output, reach, at: [row, column] });
}

/**
 * Which of the maps of an array the numbers below the whole map are from.
 * @param {NumberContext} context
 * @param {Reach} reach
 * @param {Part | undefined} part missing if no number is read here
 * @param {number[]} index
 */
function leadOf({ trace, state }, { source, column: name }, part, index) {
  const axes = trace.shape(source).length - 2;
  const column = part?.terms.columns.find((each) => each.name === name);
  if (!part || !column?.values.length) {
    const own = index.slice(0, -2);
    return own.length === axes && part ? own : new Array(axes).fill(0);
  }
  const perMap = slices(part);
  const row = perMap ? perMap[chosenMap(perMap, state.channel)].rows[0] : 0;
  return placeOf(part, column, row).slice(0, -2);
}

/**
 * @param {NumberContext} context
 * @param {string} name
 * @param {"value" | "gradient"} prefix
 * @param {number[]} lead
 * @returns {Promise<Plane>}
 */
async function planeOf({ trace, state }, name, prefix, lead) {
  const { shape, data } = await trace.array(`${prefix}/${name}`);
  const [rows, columns] = shape.slice(-2);
  const begin = position(trace.whole(name, [...lead, 0, 0]), shape);
  const own = data.subarray(begin, begin + rows * columns);
  const maps = mapsOf(trace, name, prefix === "gradient" ? "backward" : "forward");
  const limit = (maps && limitOf(trace, maps, state.scale, own)) || largestOf(own);
  const called = unit(name, lead);
  return {
    key: `${prefix}/${called}/${limit}`,
    name: prefix === "gradient" ? `gradient of ${called}` : called,
    data: own,
    size: [rows, columns],
    limit,
  };
}

/**
 * The element. It draws itself once it is on the page, and takes the next place from the next element.
 * @param {Scene} first
 */
function built(first) {
  const [left, right] = [pane(), pane()];
  const marked = marks();
  const readout = h("output", { class: "reading", id: "reading" });
  const field = h(
    "div",
    { class: "field", key: "whole", tabindex: "0", role: "application", "aria-describedby": "reading" },
    left.figure,
    right.figure,
    marked.node,
  );
  const node = h("div", { class: "sweep" }, field, readout);
  let scene = first;
  let sized = "";
  let room = 0; // CSS pixels
  /** @type {[number, number] | null} */ let shown = null;
  let unwatch = () => {};

  const cells = () => {
    const { reach, output } = scene;
    const gap = Math.max(24, Math.min(90, room * 0.08));
    const side = Math.min(LARGEST, (room - gap) / 2 - EDGES);
    const [tall, wide] = reach.ends.map(([low, high]) => high - low + 1);
    field.style.setProperty("gap", `${gap}px`);
    return [side / Math.max(tall, wide), side / Math.max(...output.size)].map((cell) => Math.min(CELL, cell));
  };

  /** @param {number[]} at */
  const fill = ([row, column]) => {
    const { output, context } = scene;
    const { playing } = context.state;
    right.upTo(playing ? row * output.size[1] + column : Infinity, output.size[1]);
  };

  /**
   * @param {[number, number]} at
   * @param {number} duration
   */
  const move = (at, duration) => {
    const [own, other] = cells();
    marked.move(boxes(scene, at, [own, other], [left.canvas, right.canvas]), duration, scene.context.state.playing);
    fill(at);
    shown = at;
  };

  const draw = () => {
    const { input, output, reach, context, at } = scene;
    const [own, other] = cells();
    const size = String([room, input.size, output.size, reach.ends]);
    left.paint(input, reach.ends, own);
    right.paint(output, endsOf(output), other);
    const { playing, speed } = context.state;
    const swept = playing && speed === "fast" && moving();
    const apart = shown ? Math.abs(at[0] - shown[0]) + Math.abs(at[1] - shown[1]) : 0;
    const glides = moving() && apart === 1 && sized === size;
    sized = size;
    // a sweep is ahead of the numbers
    if (!swept || !shown) move(at, glides ? (playing ? pace(speed, []) : GLIDE) : 0);
    else fill(shown);
    tell();
  };

  const tell = () => {
    const { input, output, at, context } = scene;
    field.setAttribute(
      "aria-label",
      `The window in ${input.name}, and its number in ${output.name}. Arrow keys move it, Space plays.`,
    );
    readout.setAttribute("aria-live", context.state.playing ? "off" : "polite");
    const value = written(output.data[at[0] * output.size[1] + at[1]], context.state.exact);
    const text = `${reading(scene)} → row ${at[0]}, column ${at[1]} of ${output.name} = ${value}`;
    if (readout.textContent !== text) readout.textContent = text;
  };

  left.canvas.addEventListener("click", (event) => {
    const { reach, output } = scene;
    const place = left.under(event, reach.ends);
    const [row, column] = reach.spans.map((span, axis) => nearest(span, place[axis], output.size[axis]));
    go(scene, [row, column]);
  });
  right.canvas.addEventListener("click", (event) => {
    go(scene, right.under(event, endsOf(scene.output)));
  });
  const seen = new ResizeObserver(() => {
    if (!node.isConnected) return unwatch();
    if (node.clientWidth === room) return; // its height follows its text
    room = node.clientWidth;
    unwatch();
    unwatch = watchSweep(scene.context.store, (index) => {
      const [row, column] = index.slice(-2);
      if (node.isConnected) move([row, column], 0);
      else unwatch();
    });
    sized = "";
    draw();
  });
  seen.observe(node);
  scenes.set(node, first);
  drawsItself(node, (fresh) => {
    scene = /** @type {Scene} */ (scenes.get(fresh));
    if (room) draw();
  });
  return node;
}

/**
 * @param {Plane} plane
 * @returns {Reach["ends"]}
 */
function endsOf({ size: [rows, columns] }) {
  return [
    [0, rows - 1],
    [0, columns - 1],
  ];
}

/**
 * @param {Scene} scene
 * @param {[number, number]} at
 */
function go({ context: { store, state } }, at) {
  void store.set({ index: [...(state.index ?? []).slice(0, -2), ...at] }, true);
}

/**
 * The number whose window is in the middle of a place, or nearest to it.
 * @param {import("./reach.js").Span} span
 * @param {number} place
 * @param {number} size
 */
function nearest(span, place, size) {
  let [best, least] = [0, Infinity];
  for (let at = 0; at < size; at++) {
    const places = span(at);
    const away = Math.abs((places[0] + places[places.length - 1]) / 2 - place);
    if (away < least) [best, least] = [at, away];
  }
  return best;
}

/**
 * The places of the window and its number on the page.
 * @param {Scene} scene
 * @param {[number, number]} at
 * @param {number[]} cells CSS pixels of a number, in the input and in the output
 * @param {HTMLCanvasElement[]} canvases
 * @returns {import("./marks.js").Marked}
 */
function boxes({ reach }, at, [own, other], [left, right]) {
  const [rows, columns] = reach.spans.map((span, axis) => span(at[axis]));
  const [x, y] = [right.offsetLeft + right.clientLeft, right.offsetTop + right.clientTop];
  /** @type {Box} */
  const number = [x + at[1] * other, y + at[0] * other, other, other];
  if (!rows.length || !columns.length) return { window: null, number, cells: [] };
  const [[top], [first]] = reach.ends;
  const reached = (/** @type {number[]} */ places) => places[places.length - 1] - places[0] + 1;
  /** @type {Box} */
  const window = [
    left.offsetLeft + left.clientLeft + (columns[0] - first) * own,
    left.offsetTop + left.clientTop + (rows[0] - top) * own,
    reached(columns) * own,
    reached(rows) * own,
  ];
  const apart = reached(rows) > rows.length || reached(columns) > columns.length;
  const each = (/** @type {number} */ row) =>
    columns.map((column) => /** @type {Box} */ ([(column - columns[0]) * own, (row - rows[0]) * own, own, own]));
  return { window, number, cells: apart ? rows.flatMap(each) : [] };
}

/**
 * The window in words.
 * @param {Scene} scene
 */
function reading({ reach, input, at }) {
  const [rows, columns] = reach.spans.map((span, axis) => span(at[axis]));
  if (!rows.length || !columns.length) return `no number of ${input.name}`;
  const outside = [rows, columns].some(
    (places, axis) => places[0] < 0 || places[places.length - 1] >= input.size[axis],
  );
  return `${places("row", rows)}, ${places("column", columns)} of ${input.name}${outside ? ", with padding" : ""}`;
}

/**
 * @param {string} what
 * @param {number[]} all
 */
function places(what, all) {
  const [first, last] = [all[0], all[all.length - 1]].map((place) => String(place).replace("-", "−"));
  if (all.length === 1) return `${what} ${first}`;
  const step = all[1] - all[0];
  return `${what}s ${first} to ${last}${step > 1 ? `, every ${step}${step === 2 ? "nd" : step === 3 ? "rd" : "th"}` : ""}`;
}
