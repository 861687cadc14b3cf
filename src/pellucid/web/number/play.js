/** Plays: the window slides over its map, number by number, or sweeps it, as long as the state is playing. */

import { choice, h } from "../element.js";
import { settled } from "../place.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {import("../store.js").Speed} Speed */

/** @type {Record<Speed, number>} milliseconds a number, at least */
const PACES = { slow: 600, normal: 150, fast: 30 };
const WHOLE = 10_000; // milliseconds in which a fast window has swept a map, however large
const REDRAW = 150; // milliseconds between two drawings of the numbers, which a fast window leaves behind
const CALM = 500; // milliseconds between two jumps where motion is not wanted

/**
 * A map that is being swept: the numbers below the map follow, but not at every place.
 * @typedef {object} Sweep
 * @property {number[] | null} at the window's place; null if the state has it
 * @property {Set<(index: number[]) => void>} watching
 */

/** @type {WeakMap<PageStore, Sweep>} */
const sweeps = new WeakMap();

/** Whether the reader allows motion. */
export function moving() {
  return !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** @returns {Promise<number>} when the next frame is due, in milliseconds */
export function frame() {
  return new Promise(requestAnimationFrame);
}

/**
 * The milliseconds in which the window moves on by one number.
 * @param {Speed} speed
 * @param {number[]} shape the map's, or with further axes before it
 */
export function pace(speed, shape) {
  const count = shape.slice(-2).reduce((a, b) => a * b, 1);
  return speed === "fast" ? Math.min(PACES.fast, WHOLE / count) : PACES[speed];
}

/**
 * The place some numbers further on in the map, row by row: the last place at most; null if it is the last.
 * @param {number[]} index
 * @param {number[]} shape
 * @param {number} [count]
 */
export function following(index, shape, count = 1) {
  const axes = Math.min(2, index.length);
  const [lead, own, sizes] = [index.slice(0, -axes), index.slice(-axes), shape.slice(-axes)];
  const last = sizes.reduce((a, b) => a * b, 1) - 1;
  const at = own.reduce((sum, place, axis) => sum * sizes[axis] + place, 0);
  if (at >= last) return null;
  const next = Math.min(last, at + count);
  const width = sizes[axes - 1];
  return [...lead, ...(axes === 2 ? [Math.floor(next / width), next % width] : [next])];
}

/**
 * Plays from here, beginning with the next place, or pauses. At the map's end, plays from its start.
 * @param {Trace} trace
 * @param {PageStore} store
 * @returns {boolean} false if there is no window to slide
 */
export function toggle(trace, store) {
  const { view, name, index, playing } = settled(trace, store.get());
  if (view || !index?.length) return false;
  if (playing) pause(store);
  else void store.set({ playing: true, index: following(index, trace.shape(name)) ?? start(index) }, true);
  return true;
}

/**
 * Plays from the map's start.
 * @param {Trace} trace
 * @param {PageStore} store
 */
export function replay(trace, store) {
  const { view, index } = settled(trace, store.get());
  if (view || !index?.length) return false;
  sweepOf(store).at = null;
  void store.set({ playing: true, index: start(index) }, true);
  return true;
}

/** @param {number[]} index */
function start(index) {
  return index.map((at, axis) => (axis < index.length - 2 ? at : 0));
}

/**
 * Stops where the window is.
 * @param {PageStore} store
 */
function pause(store) {
  const sweep = sweepOf(store);
  const { at } = sweep;
  sweep.at = null;
  if (store.get().playing) void store.set({ playing: false, ...(at && { index: at }) }, true);
}

/** @param {PageStore} store */
function sweepOf(store) {
  const sweep = sweeps.get(store) ?? { at: null, watching: new Set() };
  sweeps.set(store, sweep);
  return sweep;
}

/**
 * Tells each place of a sweep, before the numbers follow.
 * @param {PageStore} store
 * @param {(index: number[]) => void} watch
 * @returns {() => void} ends it
 */
export function watchSweep(store, watch) {
  const { watching } = sweepOf(store);
  watching.add(watch);
  return () => void watching.delete(watch);
}

/**
 * Play or Pause, and the speed; nothing without a map to slide over.
 * @param {import("../context.js").Context} context
 */
export function player({ trace, state: { index, playing, speed }, store }) {
  if (!index || index.length < 2) return null;
  const button = h(
    "button",
    {
      type: "button",
      class: playing ? "play running" : "play",
      key: "play",
      "aria-keyshortcuts": "Space",
      on: { click: () => toggle(trace, store) },
    },
    h("i", { "aria-hidden": "true" }),
    playing ? "Pause" : "Play",
  );
  /** @type {[Speed, string][]} */
  const speeds = [
    ["slow", "Slow"],
    ["normal", "Normal"],
    ["fast", "Fast"],
  ];
  const faster = choice("speed", speeds, speed, (to) => store.set({ speed: to }, true));
  return h("div", { class: "player" }, button, h("span", { "aria-hidden": "true" }, "Speed"), faster);
}

/**
 * Moves while the state is playing. A slow window waits at each place until the numbers are drawn, so no work piles up.
 * Any key except Space and Tab stops it, and so do a click beside its own controls, the map's end and a hidden page.
 * @param {Document} page
 * @param {PageStore} store
 * @param {() => Trace | null} shown
 */
export function play(page, store, shown) {
  let running = false;
  const own = (/** @type {EventTarget | null} */ target) => target instanceof Element && !!target.closest(".player");
  page.addEventListener("visibilitychange", () => page.hidden && pause(store));
  page.addEventListener(
    "keydown",
    ({ key, target }) => {
      if (key !== " " && key !== "Tab" && !(key === "Enter" && own(target))) pause(store);
    },
    true,
  );
  page.addEventListener("pointerdown", ({ target }) => !own(target) && pause(store), true);
  store.subscribe(({ playing }) => {
    if (playing && !running) void slideOn();
  });

  async function slideOn() {
    running = true;
    let last = performance.now();
    while (store.get().playing) {
      const [trace, { name, index, speed }] = [shown(), store.get()];
      if (!trace || !index) break;
      const shape = trace.shape(name);
      const each = pace(speed, shape);
      if (speed === "fast" && moving()) {
        await sweepOn(store, shape, each);
        last = performance.now();
        continue;
      }
      const wait = moving() ? each : Math.max(CALM, each);
      const now = await frame();
      if (now - last < wait || !store.get().playing) continue;
      last = Math.max(last + wait, now - wait);
      const next = following(index, shape, speed === "fast" ? Math.floor(wait / each) : 1);
      if (next) await store.set({ index: next }, true);
      else pause(store);
    }
    running = false;
  }
}

/**
 * Moves the window many numbers in a frame. The numbers below the map are drawn now and then, and where it stops.
 * @param {PageStore} store
 * @param {number[]} shape
 * @param {number} each milliseconds a number
 */
async function sweepOn(store, shape, each) {
  const sweep = sweepOf(store);
  let [last, drawn] = [performance.now(), 0];
  /** @type {Promise<unknown> | null} */ let drawing = null;
  sweep.at = store.get().index;
  while (store.get().playing && store.get().speed === "fast" && sweep.at) {
    const now = await frame();
    // a late frame does not make the window leap
    const count = Math.floor(Math.min(now - last, REDRAW) / each);
    if (count < 1 || !sweep.at) continue;
    last = Math.max(last + count * each, now - each);
    const next = following(sweep.at, shape, count);
    if (!next) return pause(store);
    sweep.at = next;
    for (const watch of sweep.watching) watch(next);
    if (drawing || now - drawn < REDRAW) continue;
    drawn = now;
    drawing = store.set({ index: next }, true).finally(() => (drawing = null));
  }
  if (sweep.at && store.get().playing) void store.set({ index: sweep.at }, true);
  sweep.at = null;
}
