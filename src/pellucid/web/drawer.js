/** Draws the store's state: the header, the network, and the open view. Redraws only what has changed. */

import { anchored } from "./anchor.js";
import { h } from "./element.js";
import { unit } from "./format.js";
import { guide } from "./lessons/guide.js";
import { header } from "./header/header.js";
import { morph } from "./number/morph.js";
import { pace } from "./number/play.js";
import { corners, slide } from "./number/slide.js";
import { settled } from "./place.js";
import { listen } from "./pointing.js";
import { stage } from "./stage.js";
import { drawAround } from "./staying.js";
import { mark } from "./strip/mark.js";
import { roomOf } from "./strip/room.js";
import { look, strip } from "./strip/strip.js";
import { VIEWS } from "./views.js";

/** @typedef {import("./trace.js").Trace} Trace */
/** @typedef {import("./store.js").PageState} PageState */
/** @typedef {import("./store.js").PageStore} PageStore */

/**
 * @typedef {object} Scene
 * @property {HTMLElement} page
 * @property {PageStore} store
 * @property {import("./context.js").Served | null} served
 * @property {(error: unknown) => void} complain
 * @property {() => void} showHelp
 */

/**
 * @param {Scene} scene
 * @returns {(state: PageState, trace: Trace) => Promise<void>} redraws what has changed, or everything for another trace
 */
export function drawer({ page, store, served, complain, showHelp }) {
  let turn = 0;
  let shownLook = "";
  /** @type {HTMLElement | null} */ let network = null;
  /** @type {HTMLElement | null} */ let top = null;
  let shownTop = "";
  /** @type {Trace | null} */ let shownTrace = null;
  const main = h("main", {});
  const reading = guide(store, complain);
  page.replaceChildren(main, reading.panel);
  listen(page);
  /** @type {PageState | null} */ let before = null;
  return async (/** @type {PageState} */ wanted, /** @type {Trace} */ trace) => {
    const mine = ++turn;
    const other = trace !== shownTrace;
    shownTrace = trace;
    const state = settled(trace, wanted);
    const context = { trace, state, store, served };
    reading.tell(trace, state);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.key;
    const opened = before !== null && where(before) !== where(state);
    const hold = other && !opened ? anchored(main) : () => {};
    const switches = JSON.stringify([state.view, state.direction, state.scale, state.exact]);
    if (!top || other || switches !== shownTop) {
      const fresh = header(context, showHelp);
      if (top) top.replaceWith(fresh);
      else main.before(fresh);
      top = fresh;
      shownTop = switches;
    }
    const room = roomOf(page);
    if (!network || other || look(state, room) !== shownLook) {
      const fresh = strip(context, room);
      if (network) network.replaceWith(fresh);
      else main.before(fresh);
      network = fresh;
      shownLook = look(state, room);
    }
    hold();
    network.hidden = Boolean(VIEWS[state.view]?.still || VIEWS[state.view]?.strips);
    try {
      await Promise.all([
        mark(network, context),
        stage({ ...context, width: widthOf(state, main), hover: lightUp(network, context, complain) }).then((parts) => {
          if (mine !== turn) return;
          const alike = !other && before !== null && besides(before, state);
          const were = alike ? corners(main) : [];
          show(main, parts, alike, other && before !== null && sameNumber(before, state));
          hold();
          const here = state.view ? VIEWS[state.view].title : state.name && unit(state.name, state.index ?? []);
          document.title = here ? `${here} · Pellucid` : "Pellucid";
          // a step of a lesson does not move the reader's focus
          if (!before || before.lesson === state.lesson) refocus(focused, opened, main, state);
          if (alike && near(before, state)) slide(main, were, state.playing ? pace(state.speed, []) : 0);
          before = state;
          reading.drawn(state);
        }),
      ]);
    } catch (error) {
      if (mine === turn) complain(error);
    }
  };
}

/**
 * Whether a number is next to the previous one, in the same view: much of the drawing then stays.
 * @param {PageState} before
 * @param {PageState} now
 */
function besides(before, now) {
  const alike = before.name === now.name && before.direction === now.direction;
  return (
    alike && before.present === now.present && !before.view && !now.view && before.index !== null && now.index !== null
  );
}

/**
 * @param {PageState} before
 * @param {PageState} now
 */
function sameNumber(before, now) {
  return besides(before, now) && String(before.index) === String(now.index);
}

/**
 * Whether a number is the one next to another.
 * @param {PageState | null} before
 * @param {PageState} now
 */
function near(before, now) {
  const apart = now.index?.map((at, axis) => Math.abs(at - (before?.index?.[axis] ?? at))) ?? [];
  return apart.reduce((a, b) => a + b, 0) === 1;
}

/**
 * @param {HTMLElement} main
 * @param {Node[]} parts
 * @param {boolean} alike
 * @param {boolean} again whether it is the same number in another run
 */
function show(main, parts, alike, again) {
  const before = [...main.children];
  // the reader may be dragging within a view that keeps its nodes
  if (parts.length === before.length && parts.every((part, at) => part === before[at])) return;
  if (again && drawAround(main, parts)) return;
  if (!alike || before.length !== parts.length) main.replaceChildren(...parts);
  else before.forEach((old, at) => morph(old, /** @type {Element} */ (parts[at])));
}

/**
 * The reader's view, without the place within it.
 * @param {PageState} state
 */
function where({ view, name, index, present }) {
  return JSON.stringify([view, name, !index, present]);
}

/**
 * The width of the stage, in CSS pixels.
 * @param {PageState} state
 * @param {HTMLElement} main
 */
function widthOf(state, main) {
  const room = main.clientWidth;
  const alone = room < 900 || state.lesson !== ""; // nothing stands beside the stage
  return Math.min(room, 1400) - (alone ? 0 : 290) - 48;
}

/**
 * Highlights, before the next frame, the window of the number under the mouse.
 * @param {HTMLElement} network
 * @param {import("./context.js").Context} context
 * @param {Scene["complain"]} complain
 */
function lightUp(network, context, complain) {
  /** @type {number[] | null} */
  let wanted = null;
  const show = () => {
    mark(network, { ...context, state: { ...context.state, cursor: wanted } }).catch(complain);
    wanted = null;
  };
  return (/** @type {number[]} */ at) => {
    if (!wanted) requestAnimationFrame(show);
    wanted = at;
  };
}

/**
 * Returns the focus to the element that had it, or to a newly opened stage: a number's heading, a layer's map.
 * @param {string | undefined} key
 * @param {boolean} opened
 * @param {HTMLElement} main
 * @param {PageState} state
 */
function refocus(key, opened, main, state) {
  if (opened && !state.view && state.index) return arrive(main.querySelector(".presentation, h1"));
  const same = key && /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`));
  // presentation mode hides the header, which is still there
  if (same && same.checkVisibility() && !(opened && /^(layer\/|heading)/.test(key)))
    same.focus({ preventScroll: true });
  else if (opened || key) {
    const first = /** @type {HTMLElement | null} */ (
      main.querySelector(
        ".presentation, .large, [data-key^='own/'][tabindex='0'], .units button, .grid [tabindex='0'], .factor, .thumbs button, " +
          ".matrix [tabindex='0']",
      )
    );
    if (opened) arrive(first);
    else first?.focus({ preventScroll: true });
  }
}

/**
 * Moves the focus to what a reader has opened, and brings it into sight.
 * @param {HTMLElement | null} place
 */
function arrive(place) {
  place?.focus({ preventScroll: true });
  place?.scrollIntoView({ block: "nearest" });
}
