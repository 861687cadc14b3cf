/** A number: the window, the weights, the products, their running sum, the value, and PyTorch's value. */

import { weightForm } from "../whatif/adjust.js";
import { checkedBadge } from "./checked.js";
import { h } from "../element.js";
import { counted, number as written, unit } from "../format.js";
import { equation, onOneLine } from "./equation.js";
import { placeOf } from "./follow.js";
import { formula } from "./formula.js";
import { chosenMap } from "./chosen.js";
import { grid } from "./grid.js";
import { answerLink } from "../life/filter.js";
import { lifeLink } from "../life/link.js";
import { lines } from "./lines.js";
import { player } from "./play.js";
import { result } from "./result.js";
import { stepView } from "./step.js";
import { sumLine } from "./sum.js";
import { position } from "../trace.js";
import { terms } from "./terms.js";
import { wholeMap } from "./whole.js";
import { pointed, triple } from "./triple.js";
import { slices, view, windowGrids } from "./window.js";

/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("../arithmetic/working.js").Working} Working */
/** @typedef {import("../arithmetic/working.js").Part} Part */

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
  stage.append(result(working, state.exact), player(context) ?? "", (await wholeMap(context, working)) ?? "");
  stage.append(checkedBadge(context, working) ?? "", lifeLink(context), answerLink(context));
  stage.append((await weightForm(context)) ?? "");
  const sum = working.parts.findIndex(added);
  const step = working.quantity === "update" ? await stepView(context, working) : null;
  const alone = working.quantity === "gradient" ? sum < 0 : !working.parts.length;
  if (step) stage.append(step);
  else if (alone) stage.append(...(await ownGrid(context, working)));
  for (const [at, part] of working.parts.entries()) {
    if (sum < 0 || !onTheLine(part)) stage.append(await partView(context, working, part, at));
  }
  const between = lines(context, working.between);
  if (between) stage.append(between);
  if (working.leftOut) {
    stage.append(h("p", { class: "note" }, `${counted(working.leftOut)} more intermediate numbers are not listed.`));
  }
  if (Object.keys(working.settings).length) stage.append(settings(working, state.exact));
  return stage;
}

/**
 * Whether a part's terms are added, of which there are several.
 * @param {Part} part
 */
function added({ terms: { values, pick } }) {
  return pick === "sum" && values.length > 1;
}

/**
 * Whether a part says no more than its number on the line of a sum: a bias.
 * @param {Part} part
 */
function onTheLine({ terms: { values, columns, formula } }) {
  return values.length === 1 && columns.length === 1 && formula === columns[0].name;
}

/**
 * @param {NumberContext} context
 * @param {Working} working
 * @param {Part} part
 * @param {number} at its index among the working's parts
 */
async function partView(context, working, part, at) {
  const { values } = part.terms;
  const through = working.quantity === "gradient" ? `Back through ${part.through}` : at > 0 ? "Also added" : "";
  const section = h("section", { class: "part" }, through ? h("h2", {}, through) : "");
  if (added(part)) section.append(...(await sumView(context, working, part, at)));
  else {
    const perMap = slices(part);
    if (perMap) {
      const map = at === 0 && working.quantity === "value" ? await ownGrid(context, working) : [];
      const own = map.length ? [h("span", { class: "operator", "aria-hidden": "true" }, "→"), ...map] : [];
      const { winner } = part.terms;
      const slice =
        perMap.find(({ rows }) => winner !== null && rows.includes(winner)) ?? perMap[chosenMap(perMap, -1)];
      const grids = await windowGrids(context, part, slice, own);
      section.append(h("div", { class: "equation" }, onOneLine(context, grids).grids));
    }
    if (values.length === 1) section.append(formula(context, part, 0));
    else section.append(terms(context, part, { rows: [...values.keys()], usual: perMap ? "order" : "size" }));
  }
  return section;
}

/**
 * A sum: the terms of one map in numbers, then what all maps add, and the number.
 * @param {NumberContext} context
 * @param {Working} working
 * @param {Part} part
 * @param {number} at
 */
async function sumView(context, working, part, at) {
  const { state, change } = context;
  const { parts } = working;
  const { columns, values, total } = part.terms;
  const perMap = slices(part);
  const groups = perMap ? perMap.map((slice) => mapOf(part, slice)) : Array.from(values, (_, row) => termOf(part, row));
  // the address has one choice for all parts: they are counted on
  const before = parts.slice(0, at).reduce((count, each) => count + (added(each) ? (slices(each)?.length ?? 0) : 0), 0);
  const wanted = state.channel - before;
  const usually = perMap ? chosenMap(perMap, -1) : pointed(part, [...values.keys()]);
  const chosen = state.channel >= before && wanted < groups.length ? wanted : usually;
  const whole = parts.findIndex(added) === at;
  const source = part.named(columns[0].name);
  const own = whole ? await ownGrid(context, working, 1) : [];
  const { line, chosen: text } = sumLine(
    context,
    {
      what: perMap
        ? `each of the ${counted(groups.length)} maps of ${source}`
        : `each of ${counted(groups.length)} terms`,
      groups,
      chosen,
      choose: (group) => change({ channel: before + group, page: 0 }),
      others: whole ? parts.filter((each) => each !== part) : [],
      total: whole ? working.total : total,
    },
    own.length ? [onOneLine(context, own).grids] : [],
  );
  if (!perMap) {
    return [triple(context, part, chosen), line, terms(context, part, { rows: [...values.keys()], usual: "size" })];
  }
  const slice = perMap[chosen];
  const grids = await windowGrids({ ...context, room: 0 }, part, slice, []);
  const carry = perMap.slice(0, chosen).reduce((sum, each) => sum + each.total, 0);
  return [
    equation(context, part, slice.rows, grids, text),
    line,
    terms(context, part, { rows: slice.rows, carry, usual: "order" }),
  ];
}

/**
 * @param {Part} part
 * @param {import("./window.js").Slice} slice
 * @returns {import("./sum.js").Group}
 */
function mapOf(part, { lead, rows, total }) {
  return { label: unit(part.named(part.terms.columns[0].name), lead), count: rows.length, total };
}

/**
 * @param {Part} part
 * @param {number} row
 * @returns {import("./sum.js").Group}
 */
function termOf(part, row) {
  const { columns, values } = part.terms;
  const label = unit(part.named(columns[0].name), placeOf(part, columns[0], row));
  return { label, count: 1, total: values[row] };
}

/**
 * The number in its own map, if it is in one.
 * @param {NumberContext} context
 * @param {Working} working
 * @param {number} [rows] of the map that are shown
 */
async function ownGrid({ trace, state, follow, room }, { name, index, quantity }, rows = 4) {
  if (index.length < 2) return [];
  const prefix = { value: "value", gradient: "gradient", update: "after" }[quantity];
  const { shape, data } = await trace.array(`${prefix}/${name}`);
  const [height, width] = shape.slice(-2);
  const lead = index.slice(0, -2);
  const [y, x] = index.slice(-2);
  const [y0, y1] = rows === 1 ? [y, y + 1] : view(y, y, height, rows);
  const [x0, x1] = view(x, x, width, Math.min(4, room));
  const cells = Array.from({ length: y1 - y0 }, (_, down) =>
    Array.from({ length: x1 - x0 }, (_, across) => {
      const place = [...lead, y0 + down, x0 + across];
      const here = y0 + down === y && x0 + across === x;
      const go = () => follow({ name, index: place, direction: state.direction });
      return { value: data[position(trace.whole(name, place), shape)], says: unit(name, place), on: here, follow: go };
    }),
  );
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
  return [own];
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
