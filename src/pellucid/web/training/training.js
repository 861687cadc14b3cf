/**
 * A training, running or recorded: curves, and the network at each recorded moment. The address is
 * #/~training/STEP,PICTURE,LAYER,each; by default it shows the newest moment, the first picture, the first convolution,
 * and one scale of colours over the whole training.
 */

import { dark } from "../colors.js";
import { chart } from "./curves.js";
import { choice, h } from "../element.js";
import { counted, number, percent } from "../format.js";
import { colorOf, figures, nameOf, tables, inWords } from "./figures.js";
import { createFrames, probabilities } from "./frames.js";
import { Trouble } from "../host.js";
import { names, same } from "../labels.js";
import { called, createMoment } from "./moment.js";
import { pace } from "./progress.js";
import { createTransport } from "./transport.js";
import { GONE, NONE_HERE, ROUNDED, WITHOUT } from "./words.js";

/** @typedef {import("./frames.js").Moment} Moment */
/** @typedef {import("./frames.js").Replay} Replay */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {import("./figures.js").About} About */
/** @typedef {import("./progress.js").Live} Live */
/** @typedef {{store: PageStore, served: Served, reopen?: () => Promise<void>}} Means */

const POLL = 1000; // milliseconds between two looks at a training that goes on
const REST = 250; // milliseconds without a change until the address says it
const OVER = ["done", "stopped", "failed"];

/** @type {WeakMap<PageStore, ReturnType<typeof createPlayer>>} one per page, because a redrawn slider cannot be dragged */
const players = new WeakMap();

/**
 * @param {{state: PageState, store: PageStore, served: Served | null, reopen?: () => Promise<void>}} context
 * @returns {Promise<HTMLElement[]>}
 */
export async function show({ state, store, served, reopen }) {
  if (!served) return [h("section", { class: "say" }, h("h1", {}, "Training"), h("p", {}, NONE_HERE))];
  const player = players.get(store) ?? createPlayer({ store, served, reopen });
  players.set(store, player);
  await player.show(state);
  return player.nodes;
}

/** @param {Means} means */
function createPlayer({ store, served, reopen }) {
  const frames = createFrames(served.ask);
  const transport = createTransport((at) => go(at));
  const seek = (/** @type {number} */ x) => (transport.stop(), go(nearest(x)));
  const digits = (/** @type {number} */ value) => number(value, false, 3);
  const losses = chart({ title: "Loss", across: "epochs", height: 220, format: digits, seek });
  const shares = chart({ title: "Accuracy", across: "epochs", height: 220, most: 1, format: percent, seek });
  const status = h("p", { class: "live-status", role: "status" });
  const progress = h("div", { class: "live-done" });
  const sentence = h("p", {});
  const shown = h("figure", { class: "followed" });
  const thumbs = h("div", { class: "followed-ones", role: "group", "aria-label": "Picture" });
  const switches = h("div", { class: "row switches-of" });
  const trouble = h("p", { class: "note", role: "alert" });
  const frameTable = h("details", { class: "numbers", on: { toggle: openTable } });
  const curves = h("div", { class: "curves" }, losses.node, shares.node);
  const details = h("div", { class: "stack moment" });
  const aside = h(
    "section",
    { class: "say training" },
    h("h1", {}, "Training"),
    status,
    progress,
    sentence,
    shown,
    thumbs,
  );
  const stage = h(
    "section",
    { class: "stage training" },
    transport.node,
    curves,
    frameTable,
    trouble,
    switches,
    details,
  );
  /** @type {ReturnType<typeof createMoment> | null} */ let moment = null;
  /** @type {About | null} */ let about = null;
  /** @type {Promise<void> | null} */ let beginning = null;
  let [at, picture, layer, fixed] = [Infinity, 0, "", true];
  let written = "";
  let drawnDark = dark();
  let resting = 0;
  let waiting = 0;
  let turn = 0;
  let wasLive = false;
  let tabled = ""; // how many rows the tables have

  const last = () => (about?.replay?.frames.length ?? 0) - 1;
  const here = () => Math.max(0, Math.min(at, last()));
  /** @param {number} x */
  function nearest(x) {
    const away = (about?.replay?.frames ?? []).map(({ epoch }) => Math.abs(epoch - x));
    return away.indexOf(Math.min(...away));
  }

  /** @param {number} frame */
  function go(frame) {
    at = frame >= last() ? Infinity : Math.max(0, frame);
    draw();
    window.clearTimeout(resting);
    // a browser limits the rate of address changes
    resting = window.setTimeout(write, REST);
  }

  function write() {
    const replay = about?.replay;
    const left = !about?.live && store.get().view !== "training"; // while it waited
    if (!replay || left || !aside.isConnected) return;
    const step = at === Infinity ? "" : String(replay.frames[here()].step);
    const parts = [step, picture || "", layer === first(replay) ? "" : layer, fixed ? "" : "each"];
    written = parts.join(",").replace(/,+$/, "");
    store.set({ view: "training", place: written }, true);
  }

  /** @param {string} place */
  function settle(place) {
    const replay = about?.replay;
    if (!replay) return;
    const [step = "", shownPicture = "", name = "", scale = ""] = place.split(",");
    const wanted = Number.parseInt(step, 10);
    const index = replay.frames.findLastIndex((frame) => frame.step <= wanted);
    at = Number.isNaN(wanted) || index === last() ? Infinity : Math.max(0, index);
    picture = Math.max(0, Math.min(replay.pictures.length - 1, Number.parseInt(shownPicture, 10) || 0));
    layer = replay.layers.some((each) => each.name === name) ? name : first(replay);
    fixed = scale !== "each";
    written = place;
  }

  /** The parts that stay while the frames change. */
  function drawAround() {
    const replay = /** @type {Replay} */ (about?.replay);
    const { labels, side, path } = replay.pictures[picture];
    const label = nameOf(replay.pictures[picture]);
    const source = (/** @type {number} */ each) => served.source(`api/training/picture?n=${each}`);
    const how = side === "validation" ? "not trained on" : "trained on";
    shown.replaceChildren(
      h("img", {
        src: source(picture),
        alt: `A picture of ${labels.length === 1 ? "the class" : "the labels"} ${label}`,
        title: path,
      }),
      h("figcaption", {}, h("b", {}, label), ` · ${how}`),
      /** @type {NonNullable<typeof moment>} */ (moment).odds,
    );
    thumbs.replaceChildren(
      ...replay.pictures.map((each, number) =>
        h(
          "button",
          {
            type: "button",
            key: `followed/${number}`,
            "aria-pressed": String(number === picture),
            style: { "--own": colorOf(number) },
            on: { click: () => choose(() => (picture = number)) },
          },
          h("img", { src: source(number), alt: "" }),
          nameOf(each),
        ),
      ),
    );
    const select = /** @type {HTMLSelectElement} */ (
      h(
        "select",
        { key: "layer" },
        ...replay.layers.map(({ name, kind }) => h("option", { value: name }, `${name} · ${kind}`)),
      )
    );
    select.value = layer;
    select.addEventListener("change", () => choose(() => (layer = select.value)));
    const scales = /** @type {[string, string][]} */ ([
      ["run", "whole training"],
      ["each", "each moment"],
    ]);
    switches.replaceChildren(
      h("label", {}, "Layer ", select),
      h("span", {}, "Colours by"),
      choice("colours by", scales, fixed ? "run" : "each", (value) => choose(() => (fixed = value === "run"))),
    );
  }

  /** @param {() => void} change */
  function choose(change) {
    const key = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset?.key;
    change();
    drawAround();
    draw();
    write();
    if (key)
      /** @type {HTMLElement | null} */ (
        stage.parentElement?.querySelector(`[data-key="${CSS.escape(key)}"]`)
      )?.focus();
  }

  /** Draws the frame: at once from the overview, and its numbers when they arrive. */
  function draw() {
    const replay = about?.replay;
    if (!replay || last() < 0) return;
    const now = replay.frames[here()];
    const epoch = now.epoch.toFixed(now.epoch < 10 ? 2 : 1);
    const done = `step ${counted(now.step)} of ${counted(replay.steps)}`;
    const loss = now.train_loss === null ? "" : `, training loss ${digits(now.train_loss)}`;
    transport.set(here(), last() + 1, `${done} · epoch ${epoch}`, `${done}, epoch ${epoch}${loss}`);
    losses.move(now.epoch);
    shares.move(now.epoch);
    const mine = ++turn;
    const ready = frames.now(now.step);
    if (ready) drawFrame(ready, now);
    else
      frames.load(now.step).then(
        (frame) => mine === turn && drawFrame(frame, now),
        (error) => mine === turn && tell(error),
      );
    for (const near of [here() + 1, here() - 1, here() + 2]) {
      const step = replay.frames[near]?.step;
      if (step !== undefined) frames.load(step).catch(() => {}); // shown to whoever goes there
    }
  }

  /**
   * @param {import("./frames.js").Tensors} frame
   * @param {Moment} now
   */
  function drawFrame(frame, now) {
    const replay = /** @type {Replay} */ (about?.replay);
    trouble.textContent = "";
    details.hidden = false;
    const shownLayer = /** @type {import("./frames.js").Layer} */ (replay.layers.find(({ name }) => name === layer));
    const width = Math.max(200, (stage.clientWidth || 900) - 2);
    moment?.draw({ frames, frame, picture, layer: shownLayer, fixed, width });
    const odds = probabilities(frame, picture, replay.several);
    const most = odds.indexOf(Math.max(...odds));
    const own = replay.pictures[picture].labels.map((name) => replay.classes.indexOf(name));
    const when = now.step ? `After step ${counted(now.step)} of ${counted(replay.steps)}` : "Before the first step";
    if (most < 0) {
      sentence.textContent = `${when} its scores were no longer finite numbers.`;
      return;
    }
    const gave = own.map((at) => `“${replay.classes[at]}” ${percent(odds[at])}`);
    const answers = called(replay, odds);
    const wrong = replay.several
      ? `and called it ${names(replay.classes, answers)}, with every threshold at 50%`
      : `and mistook it for “${replay.classes[most]}”, ${percent(odds[most])}`;
    sentence.textContent = `${when} it gave ${gave.join(" and ")}, ${same(answers, own) ? "and so was right" : wrong}.`;
  }

  /** @param {unknown} error */
  function tell(error) {
    if (!(error instanceof Trouble)) console.error(error);
    trouble.textContent = error instanceof Trouble ? error.message : "This moment could not be drawn. Reload the page.";
    details.hidden = true;
  }

  /** The curves, and their numbers as tables. */
  function drawCurves() {
    if (!about) return;
    const { loss, accuracy, end } = figures(about);
    losses.set(loss, end, `Loss over ${about.name}. ${loss.map(inWords(digits)).join(" ")}`);
    shares.set(accuracy, end, `Accuracy. ${accuracy.map(inWords(percent)).join(" ")}`);
    const rows = `${last()}/${about.epochs.length}`;
    if (rows !== tabled) fillTable();
    tabled = rows;
  }

  function fillTable() {
    frameTable.replaceChildren(h("summary", {}, "The curves as numbers"));
    openTable();
  }

  /** The tables are made when the reader opens them. */
  function openTable() {
    const { open } = /** @type {HTMLDetailsElement} */ (frameTable);
    if (open && about && frameTable.childElementCount === 1) frameTable.append(...tables(about));
  }

  function drawLive() {
    const live = about?.live ?? null;
    const over = !live || OVER.includes(live.state);
    const running = live?.state === "training" && live.steps;
    progress.replaceChildren(...(running ? pace(/** @type {Required<Live>} */ (live)) : []));
    const text = live
      ? live.message || `Training, epoch ${live.epoch} of ${live.epochs}.`
      : wasLive
        ? "The training is done."
        : "";
    if (status.firstChild?.textContent !== text) status.replaceChildren(text);
    if (!live && wasLive && !progress.childElementCount) {
      const open = () => store.set({ view: "", place: "", name: "", index: null });
      progress.append(
        h("button", { type: "button", class: "go", key: "go", on: { click: open } }, "Walk through the network"),
      );
    }
    if (!over) waiting ||= window.setTimeout(look, POLL);
  }

  async function look() {
    waiting = 0;
    if (!aside.isConnected) return;
    try {
      await read();
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      status.replaceChildren(about?.live && error.message ? GONE : error.message);
      progress.replaceChildren();
    }
  }

  /** Reads the server's current state. */
  async function read() {
    const before = about?.live;
    about = /** @type {About} */ (await (await served.ask("api/training")).json());
    wasLive ||= !!about.live;
    const { replay } = about;
    const begins = replay && replay.frames.length && !moment;
    if (replay && begins) {
      moment = createMoment(replay);
      details.replaceChildren(...moment.walls, h("p", { class: "note" }, ROUNDED));
      settle(store.get().view === "training" || before !== undefined ? store.get().place : "");
      drawAround();
    }
    for (const node of [transport.node, switches, details, shown, thumbs]) node.hidden = !moment;
    if (!moment && !about.live) sentence.textContent = WITHOUT;
    drawLive();
    drawCurves();
    draw();
    if (replay) fetchAhead(replay);
    if (before && !about.live && reopen) {
      store.set({ view: "training", place: written }, true);
      await reopen();
    }
  }

  /** @param {Replay} replay */
  function fetchAhead(replay) {
    frames.ahead(replay.frames.map(({ step }) => step)).then(
      () => fixed && draw(), // by what is now the largest
      () => {}, // shown to whoever goes to that moment
    );
  }

  return {
    nodes: [aside, stage],
    /** @param {PageState} state */
    async show(state) {
      beginning ??= read().catch((error) => {
        beginning = null;
        throw error;
      });
      await beginning;
      if (state.view === "training" && state.place !== written) {
        settle(state.place);
        if (moment) drawAround();
        draw();
      }
      if (drawnDark !== dark()) {
        drawnDark = dark();
        losses.recolor();
        shares.recolor();
        draw();
      }
      // the curves need their width
      requestAnimationFrame(() => (drawCurves(), draw()));
      if (about?.live && !OVER.includes(about.live.state)) waiting ||= window.setTimeout(look, POLL);
    },
  };
}

/** @param {Replay} replay */
function first({ layers }) {
  return (layers.find(({ weight }) => weight) ?? layers[0])?.name ?? "";
}
