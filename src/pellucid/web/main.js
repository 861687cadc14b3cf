/** The page: draws what the store says, and hands keys to it. */

import { h } from "./element.js";
import { unit } from "./format.js";
import { header } from "./header.js";
import { help } from "./help.js";
import { findHost, Trouble } from "./host.js";
import { layer } from "./layer.js";
import { numberView } from "./number.js";
import { overview } from "./overview.js";
import { listen } from "./picture.js";
import { createRun } from "./run.js";
import { slide } from "./slide.js";
import { createStore } from "./store.js";
import { look, mark, strip } from "./strip.js";
import { aboutLayer, aboutNumber, START } from "./words.js";
import * as working from "./working.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const store = createStore(window);
const keys = help();
document.body.append(keys);

/**
 * A sentence on what went wrong, above everything else.
 * @param {unknown} error
 */
function complain(error) {
  if (!(error instanceof Trouble)) console.error(error);
  const text =
    error instanceof Trouble
      ? error.message
      : "Something went wrong while this was drawn. Reload the page; if it stays, please report it.";
  document.querySelector(".trouble")?.remove();
  const close = h("button", { type: "button", "aria-label": "Close" }, "×");
  const box = h("div", { class: "trouble", role: "alert" }, h("p", {}, text), close);
  close.addEventListener("click", () => box.remove());
  page.before(box);
  page.querySelector(".waiting")?.remove();
}

async function start() {
  const host = findHost(document);
  const { choose, against } = host;
  const served = choose && against ? { choose: again(choose), against: again(against) } : null;
  /**
   * @template T
   * @param {(to: T) => Promise<void>} ask
   */
  function again(ask) {
    return (/** @type {T} */ to) => void change(() => ask(to));
  }
  /** @param {() => Promise<void>} ask */
  async function change(ask) {
    try {
      await ask();
      document.querySelector(".trouble")?.remove();
      await open();
    } catch (error) {
      complain(error);
    }
  }
  let draw = (/** @type {State} */ _) => {};
  /** @type {Run | null} */ let run = null;
  async function open() {
    run = createRun(await host.document(), host);
    draw = drawer(run, served);
    draw(store.get());
  }
  await open();
  store.subscribe((state) => draw(state));
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => void open().catch(complain));
  if (served) listen(document, served.choose);
  document.addEventListener("keydown", (event) => run && onKey(event, run));
}

/**
 * @param {Run} run
 * @param {import("./header.js").Served | null} served
 */
function drawer(run, served) {
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
    const opened = before !== null && (before.name !== state.name || !before.index !== !state.index);
    const switches = JSON.stringify([state.direction, state.scale, state.exact]);
    if (!top || switches !== shownTop) {
      const fresh = header(run, state, store, () => keys.showModal(), served);
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
        drawMain(run, state, main.clientWidth, lightUp(network, run, state)).then((parts) => {
          if (mine !== turn) return;
          main.replaceChildren(...parts);
          document.title = state.name ? `${unit(state.name, state.index ?? [])} · Pellucid` : "Pellucid";
          refocus(focused, opened, main);
          slide(main, before, state);
          before = state;
        }),
      ]);
    } catch (error) {
      if (mine === turn) complain(error);
    }
  };
}

/**
 * Marks, before the next picture, the window of the number under the mouse.
 * @param {HTMLElement} network
 * @param {Run} run
 * @param {State} state
 */
function lightUp(network, run, state) {
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
 * A state whose place is there: an address may be from another network.
 * @param {Run} run
 * @param {State} state
 * @returns {State}
 */
function settled(run, state) {
  if (!state.name) return state;
  if (!run.known(state.name)) return { ...state, name: "", index: null };
  const shape = run.shape(state.name);
  if (state.index && state.index.length !== shape.length)
    return { ...state, index: shape.map((size) => Math.floor(size / 2)) };
  if (!state.index && !run.node(state.name)) return { ...state, index: shape.map(() => 0) };
  const index = state.index?.map((at, axis) => Math.max(0, Math.min(shape[axis] - 1, at))) ?? null;
  return { ...state, index };
}

/**
 * @param {Run} run
 * @param {State} state
 * @param {number} room
 * @param {(at: number[]) => void} hover
 * @returns {Promise<Node[]>}
 */
async function drawMain(run, state, room, hover) {
  const narrow = room < 900;
  const width = (narrow ? room : Math.min(room, 1400) - 290) - 48;
  if (!state.name) return [say("Walk through the network", [START]), await overview(run, store)];
  if (!state.index) {
    return [say(state.name, [aboutLayer(run, state)]), await layer(run, state, store, width, hover)];
  }
  const title = unit(state.name, state.index) + classOf(run, state.name, state.index);
  const worked = await workedOut(run, state);
  if (typeof worked === "string") return [say(title, [worked])];
  return [say(title, [aboutNumber(run, state, worked)]), await numberView(run, state, store, worked, width)];
}

/**
 * The class that a number speaks of, where it is one of as many as there are classes.
 * @param {Run} run
 * @param {string} name
 * @param {number[]} index
 */
function classOf(run, name, index) {
  const { classes } = run.about.model;
  const named = run.node(name) && String(run.shape(name)) === String([classes.length]);
  return named ? ` ${classes[index[0]]}` : "";
}

/**
 * The working, or a sentence where there is none.
 * @param {Run} run
 * @param {State} state
 */
async function workedOut(run, { name, index, direction }) {
  const at = index ?? [];
  if (direction === "forward") return working.value(run, name, at);
  if (direction === "backward") {
    if (!run.has(`gradient/${name}`)) return `The loss does not depend on ${name}, so that it has no gradient.`;
    return working.gradient(run, name, at);
  }
  if (run.node(name)) {
    const weights = Object.values(/** @type {import("./run.js").Node} */ (run.node(name)).reads).filter((each) =>
      run.update(each),
    );
    const where = weights.length
      ? `Choose one of ${weights.join(", ")}: open the layer with Escape.`
      : "This layer has none.";
    return `A step changes weights and not ${name} itself. ${where}`;
  }
  return (await working.update(run, name, at)) ?? `The optimizer does not change ${name}.`;
}

/**
 * @param {string} title
 * @param {string[]} sentences
 */
function say(title, sentences) {
  const kbd = (/** @type {string} */ key) => h("kbd", {}, key);
  return h(
    "section",
    { class: "say" },
    h("h1", {}, title),
    ...sentences.filter(Boolean).map((text) => h("p", {}, text)),
    h(
      "p",
      { class: "keys" },
      kbd("Enter"),
      " deeper ",
      kbd("Esc"),
      " back ",
      kbd("Space"),
      " slides on ",
      kbd("?"),
      " all keys",
    ),
  );
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

/**
 * @param {KeyboardEvent} event
 * @param {Run} run
 */
function onKey(event, run) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open || target.matches("input, select")) return;
  const state = settled(run, store.get());
  const act = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (event.key === " " && target.matches("button, summary, a")) return;
  if (act?.(state, run) ?? moved(state, event.key)) event.preventDefault();
}

/** @type {Record<string, (state: State, run: Run) => boolean>} */
const ACTIONS = {
  f: () => set({ direction: "forward", page: 0, channel: -1, sorted: "" }),
  b: () => set({ direction: "backward", page: 0, channel: -1, sorted: "" }),
  u: () => set({ direction: "update", page: 0, channel: -1, sorted: "" }),
  e: (state) => set({ exact: !state.exact }, true),
  s: ({ scale }) => set({ scale: scale === "unit" ? "layer" : scale === "layer" ? "network" : "unit" }, true),
  "?": () => (keys.showModal(), true),
  Escape: (state, run) => {
    const user = run.node(state.name) ? undefined : run.users(state.name)[0];
    if (user)
      return set({ name: user.node.name, index: null, cursor: [state.index?.[0] ?? 0, 0, 0], page: 0, channel: -1 });
    if (state.index?.length)
      return set({ index: null, cursor: state.index.length === 3 ? state.index : null, page: 0, channel: -1 });
    return state.name ? set({ name: "", index: null, cursor: null, page: 0 }) : false;
  },
  " ": (state, run) => (state.index?.length ? slideOn(state.index, run.shape(state.name)) : false),
};

/**
 * @param {Partial<State>} change
 * @param {boolean} [quiet]
 */
function set(change, quiet) {
  store.set(change, quiet);
  return true;
}

/**
 * Arrow keys on a number go to the one beside it.
 * @param {State} state
 * @param {string} key
 */
function moved({ index }, key) {
  const step = { ArrowUp: [1, -1], ArrowDown: [1, 1], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
  if (!step || !index?.length) return false;
  const axis = index.length - 1 - (index.length > 1 ? step[0] : 0);
  const to = index.map((at, each) => (each === axis ? Math.max(0, at + step[1]) : at));
  return set({ index: to }, true);
}

/**
 * To the right, and at the end of the row to the start of the next.
 * @param {number[]} index
 * @param {number[]} shape
 */
function slideOn(index, shape) {
  const next = [...index];
  for (let axis = next.length - 1; axis >= Math.max(0, next.length - 2); axis--) {
    next[axis] += 1;
    if (next[axis] < shape[axis]) break;
    next[axis] = 0;
  }
  return set({ index: next }, true);
}

start().catch(complain);
