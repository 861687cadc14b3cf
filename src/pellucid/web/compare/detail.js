/** One layer, large: a map in both models and their difference, with one cursor; or its numbers, those that differ most first. */

import { h } from "../element.js";
import { counted, number, unit } from "../format.js";
import { largeMap } from "../layer/map.js";
import { classOf } from "../labels.js";
import { draw, mapOf, mapsIn, says, usual } from "./maps.js";
import { texts } from "./numbers.js";
import { apartOf } from "./pair.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./maps.js").Drawn} Drawn */
/** @typedef {import("./maps.js").Side} Side */
/** @typedef {import("./pair.js").Layer} Layer */
/** @typedef {import("./pair.js").Pair} Pair */

const LISTED = 24; // numbers of a layer without maps
const SIDES = /** @type {const} */ (["first", "second", "difference"]);

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {number | null} wanted the map; null for the one with the number that differs most
 * @param {(channel: number) => unknown} go
 */
export function detail(context, pair, layer, wanted, go) {
  const { direction } = context.state;
  const box = h("div", { class: "compare-detail" });
  const each = [mapsIn(pair, layer, "first", direction), mapsIn(pair, layer, "second", direction)];
  const count = Math.max(...each.map((maps) => maps?.channels ?? 0));
  if (!count) box.append(h("p", { class: "note" }, "Neither model has a gradient here."));
  else if (each.some((maps) => maps?.vector)) void numbers(context, pair, layer, box);
  else {
    const channel = Math.min(wanted ?? usual(pair, layer, direction), count - 1);
    const index = apartOf(layer, direction)?.index ?? [];
    const middle = /** @type {[number, number]} */ (
      channel === usual(pair, layer, direction) && index.length > 1 ? index.slice(-2) : [0, 0]
    );
    const maps = h("div", { class: "compare-large" });
    box.append(chooser(channel, count, go), maps);
    void large(context, pair, layer, channel, middle, maps);
  }
  return box;
}

/**
 * @param {number} channel
 * @param {number} count
 * @param {(channel: number) => unknown} go
 */
function chooser(channel, count, go) {
  if (count < 2) return "";
  const to = (/** @type {number} */ next, /** @type {string} */ text, /** @type {boolean} */ off) =>
    h("button", { type: "button", key: `compare/${text}`, disabled: off, on: { click: () => go(next) } }, text);
  return h(
    "p",
    { class: "pager" },
    to(channel - 1, "Previous map", channel === 0),
    h("span", {}, `map ${channel} (0 to ${counted(count - 1)})`),
    to(channel + 1, "Next map", channel === count - 1),
  );
}

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {number} channel
 * @param {[number, number]} cursor row, column
 * @param {HTMLElement} box
 */
async function large(context, pair, layer, channel, cursor, box) {
  const { state, store, trace } = context;
  const drawn = await Promise.all(SIDES.map((side) => mapOf(pair, layer, side, channel, state)));
  const room = Math.min(document.documentElement.clientWidth, 1400) - 80;
  const across = room > 720 ? 3 : 1;
  const size = Math.max(160, Math.min(300, (room - (across - 1) * 32) / across));
  const [one, other] = drawn;
  const mine = pair.first === trace ? "first" : "second";
  const figures = SIDES.map((side, at) => {
    const shown = drawn[at];
    const name = layer[side === "second" ? "second" : "first"] ?? "";
    const title = side === "difference" ? "B − A" : `${side === "first" ? "A" : "B"}: ${pair.comparison[side]}`;
    if (!shown) return h("div", {}, h("h3", {}, title), h("p", { class: "note" }, missing(layer, side)));
    const { maps } = shown;
    const value = (/** @type {Drawn | null} */ from, /** @type {number} */ y, /** @type {number} */ x) =>
      from ? from.data[y * maps.width + x] : null;
    // each model's map names its own number, the difference all three
    const spoken = (/** @type {number} */ y, /** @type {number} */ x) =>
      says(
        pair,
        layer,
        channel,
        [y, x],
        side === "second" ? null : value(one, y, x),
        side === "first" ? null : value(other, y, x),
        state.exact,
      );
    const far = /** @type {[number, number]} */ ([
      Math.min(cursor[0], maps.height - 1),
      Math.min(cursor[1], maps.width - 1),
    ]);
    const map = largeMap({
      key: `compare/large/${side}`,
      name: side === "difference" ? `B − A, ${name}` : name,
      channel,
      height: maps.height,
      width: maps.width,
      data: shown.data,
      cursor: far,
      side: size,
      exact: state.exact,
      says: spoken,
      enters: side === mine ? undefined : `opens this number in ${mine === "first" ? "A" : "B"}`,
      hover: () => {},
      draw: (surface, place) => draw(surface, pair, layer, side, shown, place, state.direction),
      move: async (y, x) => {
        await large(context, pair, layer, channel, [y, x], box);
        /** @type {HTMLElement | null} */ (box.querySelector(`[data-key="compare/large/${side}"]`))?.focus();
      },
      enter: (y, x) => {
        // the arithmetic of a number is that of the page's own model
        const own = layer[mine];
        const shape = own === null ? [] : trace.shape(own);
        if (own === null || shape.length < 2 || y >= shape[shape.length - 2] || x >= shape[shape.length - 1]) return;
        if (shape.length > 2 && channel >= shape[0]) return;
        const lead = shape.length > 2 ? [channel] : [];
        void store.set({ view: "", place: "", name: own, index: [...lead, y, x], cursor: null, channel: -1, page: 0 });
      },
    });
    const scale = h("p", { class: "note" }, `full colour at ±${number(shown.limit, false, 3)}`);
    return h("div", {}, h("h3", {}, title), map, scale);
  });
  box.replaceChildren(...figures);
}

/**
 * @param {Layer} layer
 * @param {Side} side
 */
function missing(layer, side) {
  if (side === "difference")
    return layer.first === null || layer.second === null
      ? "Only one model has this layer."
      : "The two do not have the same size, so their numbers do not correspond.";
  return layer[side] === null ? "This model has no such layer." : "This model has no such map.";
}

/**
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Layer} layer
 * @param {HTMLElement} box
 */
async function numbers({ state }, pair, layer, box) {
  const [one, other] = await Promise.all([
    mapOf(pair, layer, "first", 0, state),
    mapOf(pair, layer, "second", 0, state),
  ]);
  if (!one || !other || one.data.length !== other.data.length) {
    box.append(h("p", { class: "note" }, missing(layer, "difference")));
    return;
  }
  const by = (/** @type {number} */ at) => Math.abs(other.data[at] - one.data[at]);
  const order = Array.from(one.data, (_, at) => at).sort((a, b) => by(b) - by(a));
  const name = layer.first ?? "";
  const rows = order.slice(0, LISTED).map((at) => {
    const index = pair.first.shape(name).length ? [at] : [];
    const shown = texts(one.data[at], other.data[at], state.exact);
    const title = [unit(name, index), classOf(pair.first, name, index)].filter(Boolean).join(" ");
    const cells = [shown.first, shown.second, shown.difference].map((text) => h("td", {}, text));
    return h("tr", {}, h("th", { scope: "row" }, title), ...cells);
  });
  const caption =
    order.length > LISTED
      ? `The ${LISTED} numbers of ${counted(order.length)} that differ most`
      : "Those that differ most first";
  const head = ["", "A", "B", "B − A"].map((text) => (text ? h("th", { scope: "col" }, text) : h("td", {})));
  box.append(
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "numbers" },
      h(
        "table",
        { class: "plain" },
        h("caption", {}, caption),
        h("thead", {}, h("tr", {}, ...head)),
        h("tbody", {}, ...rows),
      ),
    ),
  );
}
