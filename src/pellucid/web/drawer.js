/** Draws what the store says: the header, the network, and what is open of it. Only what has changed is drawn anew. */

import { h } from "./element.js";
import { unit } from "./format.js";
import { header } from "./header.js";
import { slide } from "./slide.js";
import { look, mark, strip } from "./strip.js";
import { VIEWS } from "./views.js";
import { settled, walk } from "./walk.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */

/**
 * @typedef {object} Scene
 * @property {HTMLElement} page
 * @property {Run} run
 * @property {Store} store
 * @property {import("./main.js").Served | null} served
 * @property {(error: unknown) => void} complain
 * @property {() => void} showHelp
 */

/**
 * @param {Scene} scene
 * @returns {(state: State) => Promise<void>} draws anew what has changed
 */
export function drawer({ page, run, store, served, complain, showHelp }) {
  let turn = 0;
  let shownLook = "";
  /** @type {HTMLElement | null} */ let network = null;
  /** @type {HTMLElement | null} */ let top = null;
  let shownTop = "";
  const main = h("main", {});
  page.replaceChildren(main);
  /** @type {State | null} */ let before = null;
  return async (/** @type {State} */ wanted) => {
    const mine = ++turn;
    const state = settled(run, wanted);
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.key;
    const opened = before !== null && where(before) !== where(state);
    const switches = JSON.stringify([state.view, state.direction, state.scale, state.exact]);
    if (!top || switches !== shownTop) {
      const fresh = header(run, state, store, showHelp, served);
      if (top) top.replaceWith(fresh);
      else main.before(fresh);
      top = fresh;
      shownTop = switches;
    }
    if (!network || look(state) !== shownLook) {
      const scrolled = network?.scrollLeft ?? 0;
      const fresh = strip(run, state, store, served);
      if (network) network.replaceWith(fresh);
      else main.before(fresh);
      fresh.scrollLeft = scrolled;
      network = fresh;
      shownLook = look(state);
    }
    try {
      await Promise.all([
        mark(network, run, state),
        content({ run, state, store, served }, main.clientWidth, lightUp(network, run, state, complain)).then(
          (parts) => {
            if (mine !== turn) return;
            main.replaceChildren(...parts);
            const here = state.view ? VIEWS[state.view].title : state.name && unit(state.name, state.index ?? []);
            document.title = here ? `${here} · Pellucid` : "Pellucid";
            refocus(focused, opened, main);
            slide(main, before, state);
            before = state;
          },
        ),
      ]);
    } catch (error) {
      if (mine === turn) complain(error);
    }
  };
}

/**
 * Where the reader is, apart from the place within it.
 * @param {State} state
 */
function where({ view, name, index }) {
  return JSON.stringify([view, name, !index]);
}

/**
 * @param {import("./views.js").Scenery} scenery
 * @param {number} room
 * @param {(at: number[]) => void} hover
 * @returns {Promise<Node[]>}
 */
async function content(scenery, room, hover) {
  const narrow = room < 900;
  const width = (narrow ? room : Math.min(room, 1400) - 290) - 48;
  const { view } = scenery.state;
  return view ? VIEWS[view].show(scenery, width) : walk(scenery, width, hover);
}

/**
 * Marks, before the next picture, the window of the number under the mouse.
 * @param {HTMLElement} network
 * @param {Run} run
 * @param {State} state
 * @param {Scene["complain"]} complain
 */
function lightUp(network, run, state, complain) {
  /** @type {number[] | null} */
  let wanted = null;
  const show = () => {
    mark(network, run, { ...state, cursor: wanted }).catch(complain);
    wanted = null;
  };
  return (/** @type {number[]} */ at) => {
    if (!wanted) requestAnimationFrame(show);
    wanted = at;
  };
}

/**
 * Gives the focus back to what had it, or to the stage that has been opened.
 * @param {string | undefined} key
 * @param {boolean} opened
 * @param {HTMLElement} main
 */
function refocus(key, opened, main) {
  const same = key && /** @type {HTMLElement | null} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`));
  if (same && !(opened && key.startsWith("layer/"))) same.focus({ preventScroll: true });
  else if (opened || key) {
    const first = /** @type {HTMLElement | null} */ (
      main.querySelector(".large, [data-key^='own/'][tabindex='0'], .units button, .grid [tabindex='0'], .factor")
    );
    first?.focus({ preventScroll: true });
  }
}
