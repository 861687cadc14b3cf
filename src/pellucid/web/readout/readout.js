/** What each layer knows: how often a linear readout after it names the right class. */

import { chart } from "./chart.js";
import { h } from "../element.js";
import { counted, percent, size } from "../format.js";
import { progress } from "../job.js";
import { say, STILL } from "../say.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/**
 * @typedef {object} Layer
 * @property {string} layer
 * @property {number[]} shape
 * @property {[number, number] | null} cells over which a map is averaged
 * @property {number} numbers that the readout reads
 * @property {number} accuracy
 * @property {[number, number]} interval 95 %
 * @property {number} train_accuracy
 */
/**
 * @typedef {object} Readout
 * @property {"test" | "validation"} side
 * @property {number} pictures
 * @property {number} fitted
 * @property {number} chosen
 * @property {"validation" | "training"} chosen_from
 * @property {boolean} several
 * @property {{accuracy: number, interval: [number, number]}} network
 * @property {number} commonest
 * @property {string | null} [remark] why an early layer gives a better readout than the last
 * @property {Layer[]} layers
 */

const TITLE = "What each layer knows";
const ABOUT =
  "After each layer a linear readout tries to name the class. Its accuracy says how much of the classes can be read " +
  "there directly.";

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function readout(context) {
  const { trace, store, served } = context;
  const on = (/** @type {(Node | false)[]} */ ...inside) => [
    say(TITLE, [ABOUT], STILL),
    h("section", { class: "stage readout", "aria-label": TITLE }, ...inside),
  ];
  if (!served) {
    const stored = trace.about.measured?.readout;
    if (stored) return figures(context, stored);
    const name = trace.about.model.name || "MODEL";
    const command = `“pellucid readout ${name}” measures it; a file that “pellucid explain --html” writes afterwards shows it.`;
    return [say(TITLE, [ABOUT, `This file has no figures for it. ${command}`], STILL)];
  }
  const path = "api/readout";
  const answer = await (await served.ask(path)).json();
  const redraw = () => void store.set({}, true);
  if (answer.state === "done") return figures(context, answer);
  if (answer.state === "running") {
    const stop = () => void served.ask("api/readout/stop", { method: "POST" }).then(redraw);
    const doing = "Reading the training pictures after each layer, and fitting the readouts";
    return on(
      progress({ ask: served.ask, path, answer, doing, finished: redraw, method: "GET", counts: "steps", stop }),
    );
  }
  const start = () => void served.ask(path, { method: "POST" }).then(redraw);
  return on(
    answer.state === "failed" && h("p", { role: "alert" }, answer.error),
    h("p", { class: "note" }, "The readouts are fitted to the training pictures and measured on others."),
    h("button", { type: "button", class: "single", key: "readout/start", on: { click: start } }, "Measure it"),
  );
}

/**
 * @param {StageContext} context
 * @param {Readout} known
 * @returns {Node[]}
 */
function figures({ trace, store, width }, known) {
  const { side, pictures, fitted, chosen, chosen_from: from, layers, network, commonest, several } = known;
  const [first, last] = [layers[0], layers[layers.length - 1]];
  const best = layers.reduce((most, each) => (each.accuracy > most.accuracy ? each : most));
  const open = (/** @type {string} */ name) => {
    if (trace.node(name)) void store.set({ name, index: null, cursor: null, channel: -1, page: 0 });
  };
  const ends = `${percent(first.accuracy)} of the ${side} pictures from ${first.layer} alone, ${percent(last.accuracy)} after ${last.layer}`;
  const label = `${TITLE}: ${ends}, most after ${best.layer} with ${percent(best.accuracy)}. The table below has every layer.`;
  const lines = [{ value: network.accuracy, label: `the network itself: ${percent(network.accuracy)}` }];
  if (!several) lines.push({ value: commonest, label: `the most frequent class: ${percent(commonest)}` });
  const chooses = from === "validation" ? `${counted(chosen)} validation pictures` : `${counted(chosen)} further ones`;
  return [
    say(
      TITLE,
      [
        ABOUT,
        `${ends}. ${known.remark ?? ""}` +
          (several ? "" : ` The most frequent class alone would be right for ${percent(commonest)}.`),
        `Fitted to ${counted(fitted)} training pictures; ${chooses} chose the penalty; the figures are of ` +
          `${counted(pictures)} ${side} pictures, which no readout has seen. The bars are 95% intervals.` +
          (several ? " Right means exactly the right labels." : ""),
        trace.about.what_if?.changes.length ? "This is the saved model, without your changes." : "",
      ],
      STILL,
    ),
    h(
      "section",
      { class: "stage readout", "aria-label": TITLE },
      chart(layers, Math.max(280, Math.min(width, 70 * layers.length + 80)), lines, label, open),
      table(known, trace, open),
      h(
        "p",
        { class: "note" },
        "A readout is a multinomial logistic regression. It reads every number of a layer with up to 512; a larger map is " +
          "averaged over the finest grid of cells that leaves at most 512. Flattening, dropout and batch norm add nothing " +
          "to read, so they have no readout.",
      ),
    ),
  ];
}

/**
 * @param {Readout} known
 * @param {StageContext["trace"]} trace
 * @param {(layer: string) => void} open
 */
function table({ side, layers }, trace, open) {
  const head = ["after layer", "reads", `${side} pictures`, "95% interval", "training pictures"];
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": "The figures as a table" },
    h(
      "table",
      { class: "plain" },
      h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
      h(
        "tbody",
        {},
        ...layers.map((each) => {
          const go = { type: "button", key: `readout/${each.layer}`, on: { click: () => open(each.layer) } };
          return h(
            "tr",
            {},
            h("th", { scope: "row" }, trace.node(each.layer) ? h("button", go, each.layer) : each.layer),
            h("td", {}, reads(each)),
            h("td", {}, percent(each.accuracy)),
            h("td", {}, each.interval.map(percent).join(" to ")),
            h("td", {}, percent(each.train_accuracy)),
          );
        }),
      ),
    ),
  );
}

/** @param {Layer} layer */
function reads({ shape, cells, numbers }) {
  if (!cells) return `all ${counted(numbers)} numbers`;
  if (shape.length === 2) return `${counted(numbers)} means over ${counted(shape[0])} tokens`;
  return `${counted(numbers)} means, ${size(shape)} in ${cells[0]} × ${cells[1]} cells`;
}
