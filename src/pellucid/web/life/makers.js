/**
 * Who made this: the training pictures that moved a filter most, over the whole training and in each tenth of it, beside
 * the patches that excite it now. The address is #/~makers/conv1,3; #/~makers/answer is about the prediction.
 */

import { h } from "../element.js";
import { counted, number } from "../format.js";
import { progress } from "../job.js";
import { exemplars } from "../layer/exemplars.js";
import { answer } from "./answer.js";
import { ANSWER, ofAnswer } from "./filter.js";
import { partsOf } from "./place.js";
import { say, STILL } from "../say.js";
import { side } from "./side.js";
import { makersInside } from "./stored.js";
import { ofFile, ofServer } from "./thumbnails.js";
import { START } from "../store.js";
import { moved, named as commandName } from "./words.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./data.js").Maker} Maker */
/** @typedef {import("./data.js").Span} Span */
/** @typedef {import("./data.js").Filter} Filter */
/** @typedef {import("./data.js").Makers} Makers */

const TITLE = "Who made this";
const ABOUT =
  "A filter’s weights moved from their start to their end. A training picture pushed them along this way, or back, in " +
  "every step that it was in.";
/** @type {Set<string>} layers whose repeat the reader has stopped */
const stopped = new Set();

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function makers(context) {
  const { trace, state, store, served } = context;
  if (ofAnswer(state.place)) return answer(context);
  const layers = layersOf(context);
  const { name, index } = partsOf(state.place || `${Object.keys(layers)[0]},0`);
  const on = (/** @type {(Node | string | false)[]} */ ...inside) => [
    say(TITLE, [ABOUT], STILL),
    h("section", { class: "stage makers", "aria-label": TITLE }, choice(context, layers, name, channel), ...inside),
  ];
  const count = Object.hasOwn(layers, name) ? layers[name] : 0;
  const channel = /^\d+$/.test(index) && Number(index) < count ? Number(index) : 0;
  if (!count) return on(h("p", { role: "alert" }, `This network has no convolution or dense layer “${name}”.`));
  if (!served) {
    /** @type {Makers | null} */
    const inside = trace.lives ? await makersInside(trace.lives()) : (trace.about.makers ?? null);
    const there = inside && { ...inside, layers: inside.layers.filter((each) => each.layer === name) };
    if (there?.layers.length) return shown(context, there, layers, name, channel);
    return on(h("p", { class: "note" }, commandName(trace.about.model.name, name)));
  }
  const query = `layer=${encodeURIComponent(name)}`;
  const path = `api/makers?${query}`;
  const redraw = () => void store.set({}, true);
  let known = await (await served.ask(path)).json();
  if (known.state === "idle" && !stopped.has(name)) known = await (await served.ask(path, { method: "POST" })).json();
  if (known.state === "running") {
    const stop = () => {
      stopped.add(name);
      void served.ask(`api/makers/stop?${query}`, { method: "POST" }).then(redraw);
    };
    const doing = `Making the training again, with each picture’s push on the filters of ${name}`;
    return on(
      progress({ ask: served.ask, path, answer: known, doing, finished: redraw, method: "GET", counts: "steps", stop }),
    );
  }
  if (known.state !== "done") {
    const start = () => {
      stopped.delete(name);
      void served.ask(path, { method: "POST" }).then(redraw);
    };
    return on(
      known.state === "failed" && h("p", { role: "alert" }, known.error),
      h(
        "button",
        { type: "button", class: "single", key: "makers/start", on: { click: start } },
        "Make the training again",
      ),
    );
  }
  return shown(context, known, layers, name, channel);
}

/**
 * @param {StageContext} context
 * @param {Makers} known with this layer alone
 * @param {Record<string, number>} layers
 * @param {string} name
 * @param {number} channel
 * @returns {Promise<Node[]>}
 */
async function shown(context, known, layers, name, channel) {
  const { trace } = context;
  const thumbnail = thumbnails(context, name);
  const own = /** @type {Filter} */ (known.layers[0].filters.find((each) => each.filter === channel));
  const node = trace.nodes.find(({ reads, kind }) => kind === "convolution" && reads.weight === `${name}.weight`);
  const called = `${node ? "filter" : "unit"} ${channel} of ${name}`;
  const patches = node ? await exemplars({ ...context, state: { ...START, name: node.name } }, node, channel) : [];
  return [
    say(TITLE, [ABOUT, ...moved(known, own, called)], STILL),
    h(
      "section",
      { class: "stage makers", "aria-label": `Who made ${called}` },
      choice(context, layers, name, channel),
      known.drift && h("p", { class: "life-drift", role: "alert" }, drift(known)),
      spanOf(known, own.whole, thumbnail, `The whole training of ${called}`),
      ...patches,
      own.tenths.length > 1 &&
        h(
          "details",
          { class: "numbers" },
          h("summary", {}, `Each tenth of the training`),
          ...own.tenths.map((/** @type {Span} */ tenth) =>
            spanOf(known, tenth, thumbnail, `Steps ${counted(tenth.first)} to ${counted(tenth.last)}`),
          ),
        ),
    ),
  ];
}

/** @param {Makers} known */
function drift({ drift: apart }) {
  const { largest, where, different, weights } = /** @type {NonNullable<Makers["drift"]>} */ (apart);
  return (
    `Made again here, the training does not end in the saved weights: ${counted(different)} of ${counted(weights)} differ, ` +
    `${where} by ${number(largest, false, 3)}, the most. So these pictures are not exactly the model’s own makers.`
  );
}

/**
 * One span: the pictures that pushed towards the end, and those that pushed back.
 * @param {Makers} known
 * @param {Span} span
 * @param {(row: number) => HTMLElement} thumbnail
 * @param {string} title
 */
function spanOf(known, span, thumbnail, title) {
  const most = Math.max(...[...span.toward, ...span.away].map(([, push]) => Math.abs(push)));
  const named = (/** @type {Maker[]} */ all) =>
    all.map(([row, push, step]) => {
      const { path, label } = known.pictures[row];
      const title = step ? `${path}; its strongest push was in step ${counted(step)}` : path;
      return { path, label, title, value: push, image: thumbnail(row) };
    });
  return h(
    "section",
    { class: "span" },
    h("h2", {}, title),
    h(
      "p",
      { class: "note" },
      `It moved by ${number(span.moved, false, 4)} along its whole way; all pictures pushed ${number(span.push, false, 4)}${span.decay ? `, weight decay ${number(span.decay, false, 4)}` : ""}.`,
    ),
    side("Pushed it towards its end", named(span.toward), most),
    side("Pushed it back", named(span.away), most),
  );
}

/**
 * @param {StageContext} context
 * @param {string} layer
 * @returns {(row: number) => HTMLElement}
 */
function thumbnails({ served, trace }, layer) {
  return (row) => {
    if (served) return ofServer(served.source(`api/makers/picture?layer=${encodeURIComponent(layer)}&row=${row}`));
    return ofFile(trace, row);
  };
}

/**
 * The layers that learn filters, and how many each has.
 * @param {StageContext} context
 * @returns {Record<string, number>}
 */
function layersOf({ trace }) {
  return Object.fromEntries(
    trace.nodes
      .filter(({ kind, reads }) => ["convolution", "dense"].includes(kind) && reads.weight?.endsWith(".weight"))
      .map(({ reads }) => [reads.weight.slice(0, -".weight".length), trace.shape(reads.weight)[0]]),
  );
}

/**
 * @param {StageContext} context
 * @param {Record<string, number>} layers
 * @param {string} layer
 * @param {number} channel
 */
function choice({ store }, layers, layer, channel) {
  const names = Object.keys(layers);
  const of = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { id: "makers-layer", key: "makers/layer" },
      ...names.map((name) => h("option", { value: name, selected: name === layer }, name)),
    )
  );
  const which = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { id: "makers-filter", key: "makers/filter" },
      ...Array.from({ length: layers[layer] ?? 0 }, (_, at) =>
        h("option", { value: String(at), selected: at === channel }, String(at)),
      ),
    )
  );
  of.addEventListener("change", () => void store.set({ place: `${of.value},0` }));
  which.addEventListener("change", () => void store.set({ place: `${layer},${which.value}` }, true));
  return h(
    "div",
    { class: "row choosing" },
    h("label", { for: of.id }, "Layer"),
    of,
    h("label", { for: which.id }, "number"),
    which,
    h(
      "button",
      { type: "button", class: "single", key: "makers/answer", on: { click: () => void store.set({ place: ANSWER }) } },
      "Who taught this answer",
    ),
  );
}
