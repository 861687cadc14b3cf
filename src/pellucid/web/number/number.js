/** A number: the window, the weights, the products, their running sum, the value, and PyTorch's value. */

import { weightForm } from "../whatif/adjust.js";
import { checkedBadge } from "./checked.js";
import { h } from "../element.js";
import { counted, decimals, exact as allDigits, fixed, number as written, unit } from "../format.js";
import { formula } from "./formula.js";
import { grid } from "./grid.js";
import { lines } from "./lines.js";
import { playButton } from "./play.js";
import { result } from "./result.js";
import { position } from "../trace.js";
import { terms } from "./terms.js";
import { slices, view, windowGrids } from "./window.js";

/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../arithmetic/working.js").Part} Part */

const CHANNELS = 16; // maps whose sums are listed at once
const CELL = 58; // CSS pixels of a number in a grid

/**
 * @param {import("../context.js").StageContext} outer
 * @param {Working} working
 */
export async function numberView(outer, working) {
  const { state, store, width } = outer;
  /** @type {NumberContext} */
  const context = {
    ...outer,
    follow: ({ name, index, direction }) =>
      void store.set({ name, index, direction, channel: -1, page: 0, sorted: "", cursor: null }),
    change: (to) => void store.set(to, true),
    room: Math.max(4, Math.min(8, Math.floor((width - 40) / CELL))),
  };
  const stage = h("section", { class: "stage number-view", "aria-label": unit(state.name, state.index ?? []) });
  stage.append(result(working, state.exact), playButton(context) ?? "");
  stage.append(checkedBadge(context, working) ?? "");
  stage.append((await weightForm(context)) ?? "");
  if (working.quantity !== "value" || !working.parts.length) stage.append(...(await ownGrid(context, working)));
  for (const [at, part] of working.parts.entries()) stage.append(await partView(context, working, part, at));
  const between = lines(context, working.between);
  if (between) stage.append(between);
  if (working.leftOut) {
    stage.append(h("p", { class: "note" }, `${counted(working.leftOut)} more intermediate numbers are not listed.`));
  }
  if (Object.keys(working.settings).length) stage.append(settings(working, state.exact));
  return stage;
}

/**
 * @param {NumberContext} context
 * @param {Working} working
 * @param {Part} part
 * @param {number} at its index among the working's parts
 */
async function partView(context, working, part, at) {
  const { state } = context;
  const { values } = part.terms;
  const through = working.quantity === "gradient" ? `Back through ${part.through}` : at > 0 ? "Also added" : "";
  const section = h("section", { class: "part" }, through ? h("h2", {}, through) : "");
  const perMap = slices(part);
  if (perMap) {
    const chosen = at === 0 && state.channel >= 0 ? Math.min(state.channel, perMap.length - 1) : usual(perMap);
    const slice = perMap[chosen];
    const own = at === 0 && working.quantity === "value" ? await ownGrid(context, working) : [];
    const grids = await windowGrids(context, part, slice, own);
    section.append(
      ...(perMap.length > 1 ? [channelList(context, part, perMap, chosen)] : []),
      h("div", { class: "row" }, ...grids),
    );
    if (values.length > 1) {
      const carry = perMap.slice(0, chosen).reduce((sum, { total }) => sum + total, 0);
      section.append(terms(context, part, { rows: slice.rows, carry, usual: "order" }));
    }
  }
  if (values.length === 1) section.append(formula(context, part, 0));
  else if (!perMap) section.append(terms(context, part, { rows: [...values.keys()], usual: "size" }));
  return section;
}

/**
 * The map to show first: the first of a picture's colours, or the one with the largest sum.
 * @param {import("./window.js").Slice[]} perMap
 */
function usual(perMap) {
  if (perMap.length <= 3) return 0;
  return perMap.reduce((best, slice, at) => (Math.abs(slice.total) > Math.abs(perMap[best].total) ? at : best), 0);
}

/**
 * The sum of each map; one of them is shown in numbers.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {import("./window.js").Slice[]} perMap
 * @param {number} chosen
 */
function channelList({ state, change }, part, perMap, chosen) {
  const largest = Math.max(...perMap.map((slice) => Math.abs(slice.total)));
  const order = perMap.map((_, at) => at);
  const folded = perMap.length > CHANNELS;
  if (folded) order.sort((a, b) => Math.abs(perMap[b].total) - Math.abs(perMap[a].total));
  const places = decimals(
    perMap.map((slice) => slice.total),
    4,
  );
  const source = part.named(part.terms.columns[0].name);
  const button = (/** @type {number} */ at) => {
    const { lead, total } = perMap[at];
    const share = largest ? Math.abs(total) / largest : 0;
    return h(
      "button",
      {
        type: "button",
        key: `channel/${at}`,
        class: total < 0 ? "below" : "above",
        "aria-pressed": String(at === chosen),
        style: { "--t": String(share) },
        on: { click: () => change({ channel: at, page: 0 }) },
      },
      h("span", {}, lead.join(", ")),
      h("b", {}, state.exact ? allDigits(total) : fixed(total, places)),
    );
  };
  const rest = order.slice(CHANNELS);
  return h(
    "div",
    { class: "channels", role: "group", "aria-label": `what each map of ${source} adds` },
    h("p", {}, `What each of the ${counted(perMap.length)} maps of ${source} adds${folded ? ", largest first" : ""}:`),
    ...order.slice(0, CHANNELS).map(button),
    rest.length > 0 &&
      h(
        "details",
        { open: order.indexOf(chosen) >= CHANNELS },
        h("summary", {}, `${rest.length} more`),
        ...rest.map(button),
      ),
  );
}

/**
 * The number in its own map, if it is in one.
 * @param {NumberContext} context
 * @param {Working} working
 */
async function ownGrid({ trace, state, follow, room }, { name, index, quantity }) {
  if (index.length < 2) return [];
  const prefix = { value: "value", gradient: "gradient", update: "after" }[quantity];
  const { shape, data } = await trace.array(`${prefix}/${name}`);
  const [height, width] = shape.slice(-2);
  const lead = index.slice(0, -2);
  const [y, x] = index.slice(-2);
  const [y0, y1] = view(y, y, height, 4);
  const [x0, x1] = view(x, x, width, Math.min(4, room));
  const cells = Array.from({ length: y1 - y0 }, (_, down) =>
    Array.from({ length: x1 - x0 }, (_, across) => {
      const place = [...lead, y0 + down, x0 + across];
      const here = y0 + down === y && x0 + across === x;
      const go = () => follow({ name, index: place, direction: state.direction });
      return { value: data[position(trace.whole(name, place), shape)], says: unit(name, place), on: here, follow: go };
    }),
  );
  const arrow = quantity === "value" && h("span", { class: "operator", "aria-hidden": "true" }, "→");
  const title = { value: "", gradient: "gradient of ", update: "after the step: " }[quantity];
  const own = grid({
    key: "own",
    caption: title + unit(name, lead),
    top: y0,
    left: x0,
    cells,
    exact: state.exact,
    focus: [y - y0, x - x0],
  });
  return [h("div", { class: "own" }, arrow, own)];
}

/**
 * @param {Working} working
 * @param {boolean} exact
 */
function settings({ settings: all, kind }, exact) {
  /** @type {(value: any) => string} */
  const text = (value) =>
    typeof value === "number"
      ? written(value, exact)
      : Array.isArray(value)
        ? value.map(text).join(", ")
        : String(value);
  const entries = Object.entries(all).map(([name, value]) =>
    h("div", {}, h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, text(value))),
  );
  return h("section", { class: "lines" }, h("h2", {}, `Settings of ${kind}`), h("dl", { class: "facts" }, ...entries));
}
