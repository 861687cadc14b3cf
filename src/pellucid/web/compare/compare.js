/** Two models on one picture, layer by layer: both predictions, both strips, the maps and their differences. */

import { answers } from "./answers.js";
import { h } from "../element.js";
import { number } from "../format.js";
import { nameOf, pairOf, partsAt } from "./pair.js";
import { read, write } from "./place.js";
import { rows } from "./rows.js";
import { say, STILL } from "../say.js";
import { strips } from "./strips.js";
import { table } from "./table.js";
import { verdict } from "./words.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./pair.js").Choice} Choice */
/** @typedef {import("./pair.js").Pair} Pair */

/** @type {WeakMap<import("../trace.js").Trace, Map<string, Pair>>} the pairs that are here already */
const ready = new WeakMap();

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function compare(context) {
  const { trace, state, store } = context;
  const choices = await trace.choices();
  if (!choices.length)
    return [
      say(
        "Compare",
        [
          "This page has one model. “pellucid open MODEL --beside OTHER” compares two on one picture, and " +
            "“pellucid explain MODEL PICTURE --beside OTHER --html FILE” writes a file with both.",
        ],
        STILL,
      ),
    ];
  const place = read(state.place, choices);
  const chooser = choose(choices, place.id, (id) => store.set({ place: id }));
  const pair = ready.get(trace)?.get(place.id);
  if (pair) return drawn(context, pair, place, chooser);
  const waiting = h("p", { role: "status" }, "Following the picture through the other model…");
  // the view is drawn at once, and again when the second run is here
  const arrived = async () => {
    const found = await pairOf(trace, place.id);
    ready.set(trace, (ready.get(trace) ?? new Map()).set(place.id, found));
    await store.set({}, true);
  };
  void arrived().catch((error) => {
    const text = error instanceof Error ? error.message : String(error);
    waiting.replaceWith(h("p", { role: "alert" }, text));
  });
  return [say("Compare", [], STILL), section(chooser, waiting)];
}

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {ReturnType<typeof read>} place
 * @param {HTMLElement | ""} chooser
 * @returns {Promise<Node[]>}
 */
async function drawn(context, pair, place, chooser) {
  const { state, store } = context;
  const { comparison } = pair;
  const backward = state.direction === "backward";
  const first = partsAt(comparison, state.direction);
  const named = typeof place.row === "number" && place.row < comparison.layers.length ? place.row : null;
  const open = place.row === "-" ? null : (named ?? first);
  const go = (/** @type {number | "-"} */ row, /** @type {number | null} */ channel = null, quiet = false) =>
    store.set({ place: write({ id: place.id, row, channel }) }, quiet);
  const show = async (/** @type {number} */ row) => {
    await go(row);
    const there = document.querySelector(`[data-key="compare/${row}"]`);
    /** @type {HTMLElement | null} */ (there)?.focus({ preventScroll: true });
    there?.scrollIntoView({ block: "nearest" });
  };
  const { tolerance, notes, layers } = comparison;
  const title = first === null ? "The two models agree" : `They part first at ${nameOf(layers[first])}`;
  return [
    say(
      backward ? title.replace("They part", "The gradients part") : title,
      [
        verdict(comparison, state.direction),
        `A: ${comparison.first}. B: ${comparison.second}. In a difference, amber means that B’s number is larger, ` +
          "blue that it is smaller.",
        `Two layers part if a number differs by more than ${number(tolerance, false, 2)} of the layer’s largest ` +
          "number. Rounding alone differs by less.",
        ...notes,
      ],
      STILL,
    ),
    section(
      chooser,
      place.wrong && h("p", { role: "status" }, place.wrong),
      answers(pair),
      strips(context, pair, first, (row) => void show(row)),
      first !== null &&
        h(
          "button",
          { type: "button", class: "single compare-go", key: "compare/go", on: { click: () => void show(first) } },
          `Go to ${nameOf(layers[first])}, where they part`,
        ),
      rows(context, pair, { first, open, channel: named === null ? null : place.channel, go }),
      table(pair, state.direction, state.exact),
    ),
  ];
}

/** @param {(Node | string | null | false)[]} children */
function section(...children) {
  return h("section", { class: "stage compare", "aria-label": "Comparison" }, ...children);
}

/**
 * @param {Choice[]} choices
 * @param {string} chosen
 * @param {(id: string) => void} go
 */
function choose(choices, chosen, go) {
  if (choices.length < 2) return "";
  const options = choices.map(({ id, title }) => h("option", { value: id, selected: id === chosen }, title));
  const select = /** @type {HTMLSelectElement} */ (h("select", { key: "compare/with" }, ...options));
  select.addEventListener("change", () => go(select.value));
  return h("label", { class: "compare-with" }, "Compare with ", select);
}
