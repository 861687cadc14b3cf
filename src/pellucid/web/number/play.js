/** Slides the window automatically, step by step, as long as the state is playing. */

import { h } from "../element.js";
import { settled } from "../place.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageStore} PageStore */

export const PACE = 150; // milliseconds from one place to the next

/** Whether the reader allows motion. */
export function moving() {
  return !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** @returns {Promise<number>} when the next frame is due, in milliseconds */
export function frame() {
  return new Promise(requestAnimationFrame);
}

/**
 * The place to the right, or at the end of a row the start of the next; null at the map's end.
 * @param {number[]} index
 * @param {number[]} shape
 */
export function following(index, shape) {
  const next = [...index];
  for (let axis = next.length - 1; axis >= Math.max(0, next.length - 2); axis--) {
    next[axis] += 1;
    if (next[axis] < shape[axis]) return next;
    next[axis] = 0;
  }
  return null;
}

/**
 * Slides one place at once and then continues, or stops. With reduced motion, slides one place only.
 * @param {Trace} trace
 * @param {PageStore} store
 * @returns {boolean} false if there is no window to slide
 */
export function toggle(trace, store) {
  const { view, name, index } = settled(trace, store.get());
  if (view || !index?.length) return false;
  const next = following(index, trace.shape(name));
  const playing = !store.get().playing && moving() && next !== null;
  void store.set({ playing, ...(store.get().playing || !next ? {} : { index: next }) }, true);
  return true;
}

/**
 * Slides from the map's start.
 * @param {Trace} trace
 * @param {PageStore} store
 */
export function replay(trace, store) {
  const { view, index } = settled(trace, store.get());
  if (view || !index?.length) return false;
  void store.set({ playing: moving(), index: index.map((at, axis) => (axis < index.length - 2 ? at : 0)) }, true);
  return true;
}

/**
 * The button that starts and stops the sliding; nothing without a map to slide over.
 * @param {import("../context.js").Context} context
 */
export function playButton({ trace, state: { index, playing }, store }) {
  if (!index || index.length < 2) return null;
  return h(
    "button",
    {
      type: "button",
      class: "play",
      key: "play",
      "aria-pressed": String(playing),
      "aria-keyshortcuts": "Space",
      on: { click: () => toggle(trace, store) },
    },
    h("i", { "aria-hidden": "true" }),
    "Slide on",
  );
}

/**
 * Moves while the state is playing. Each step waits until the last is drawn, so no work piles up. Any key except Space
 * stops it, and so do a click, the map's end and a hidden page.
 * @param {Document} page
 * @param {PageStore} store
 * @param {() => Trace | null} shown
 */
export function play(page, store, shown) {
  let running = false;
  const stop = () => {
    if (store.get().playing) void store.set({ playing: false }, true);
  };
  page.addEventListener("visibilitychange", () => page.hidden && stop());
  page.addEventListener("keydown", ({ key }) => key !== " " && stop(), true);
  page.addEventListener(
    "pointerdown",
    ({ target }) => !(target instanceof Element && target.closest(".play")) && stop(),
    true,
  );
  store.subscribe(({ playing }) => {
    if (playing && !running) void slideOn();
  });

  async function slideOn() {
    running = true;
    let due = performance.now() + PACE;
    while (store.get().playing) {
      const now = await frame();
      if (now < due || !store.get().playing) continue;
      due = Math.max(due + PACE, now);
      const trace = shown();
      const { name, index } = store.get();
      const next = trace && index ? following(index, trace.shape(name)) : null;
      if (next) await store.set({ index: next }, true);
      else stop();
    }
    running = false;
  }
}
