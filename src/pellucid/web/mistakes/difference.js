/** The difference between two classes' logits, taken apart into the contributions of pixels, layers and units. */

import { contributions } from "./contributions.js";
import { h } from "../element.js";
import { counted, decimals, exact as allDigits, fixed, leftOut, unit } from "../format.js";
import { say, STILL } from "../say.js";
import { address, START } from "../store.js";
import { filterBehind, thumbnails } from "./thumbnails.js";
import { whereItLooked } from "./where.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {[number, number]} Pair two classes by number: the amber one, and the blue one */
/** @typedef {import("./thumbnails.js").Filter} Filter */
/** @typedef {{unit: number[], value: number}} Strong */
/**
 * @typedef {object} Share
 * @property {string} name
 * @property {string} kind
 * @property {number} own the layer's own contribution
 * @property {number} units the sum of its units' contributions
 * @property {number | null} after the own contributions of later layers; null unless everything passes through it
 * @property {number} count of units
 * @property {number} nothing how many of them contribute nothing
 * @property {Strong[]} strongest
 */
/**
 * @typedef {object} Difference
 * @property {number} difference
 * @property {number} pixels
 * @property {number} own
 * @property {number} remainder
 * @property {Share[]} layers
 */

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function difference(context) {
  const { trace, state, store, served, width } = context;
  const { classes } = trace.about.model;
  if (!served) return [say("Difference", ["Open the model with “pellucid open” to take a difference apart."])];
  if (classes.length < 2)
    return [say("Difference", ["This model has only one class, so there is nothing to compare."])];
  const [first, second] = chosen(trace.about, state.place);
  const query = `first=${first}&second=${second}&run=${trace.about.run}`;
  const answer = await served.ask(`api/difference?${query}`, { method: "POST" }); // takes it apart
  const map = await served.ask(`api/difference/pixels?${query}`);
  const result = /** @type {Difference} */ (await answer.json());
  const size = (map.headers.get("X-Shape") ?? "").split(",").map(Number);
  const values = new Float64Array(await map.arrayBuffer());
  const side = Math.max(160, Math.min(340, width > 720 ? (width - 40) / 2 : width - 8));
  const choose = (/** @type {number} */ one, /** @type {number} */ other) =>
    store.set({ place: one === other ? `${second},${first}` : `${one},${other}` });
  const small = Math.max(120, Math.min(220, (width - 24) / 2));
  const looked = await whereItLooked({ ...context, served }, [first, second], query, small);
  /** @type {[HTMLElement, Filter][]} */
  const places = [];
  const go = (/** @type {string} */ name, /** @type {number[]} */ index) =>
    store.set({ name, index, cursor: null, channel: -1, page: 0 });
  return [
    say(`${classes[first]} or ${classes[second]}`, sentences(classes, [first, second], result), STILL),
    h(
      "section",
      { class: "stage difference", "aria-label": "Difference" },
      chooser(classes, [first, second], choose),
      headline(context, [first, second], result),
      parts(result, classes[first], state.exact),
      h(
        "section",
        {},
        h("h2", {}, "Pixels"),
        await contributions({
          trace,
          values,
          size: [size[0], size[1]],
          side,
          exact: state.exact,
          classes: [classes[first], classes[second]],
          enter: (row, column) => go(trace.nodes[0].name, [0, row, column]),
        }),
      ),
      looked,
      layers(context, result, go, places),
      await thumbnails({ ...context, served }, places),
    ),
  ];
}

/**
 * The two classes in the address, or else the true class against the predicted one, or that against the next.
 * @param {any} about
 * @param {string} place
 * @returns {Pair}
 */
export function chosen(about, place) {
  const count = about.model.classes.length;
  const named = place
    .match(/^(\d+),(\d+)$/)
    ?.slice(1)
    .map(Number);
  if (named && named[0] !== named[1] && named.every((each) => each < count)) return [named[0], named[1]];
  const { label, predicted } = about;
  if (label !== predicted) return [label, predicted];
  const order = about.logits.map((/** @type {number | null} */ logit, /** @type {number} */ at) => [logit, at]);
  order.sort((/** @type {number[]} */ a, /** @type {number[]} */ b) => b[0] - a[0]);
  const next = order.find((/** @type {number[]} */ each) => each[1] !== predicted);
  return [predicted, next[1]];
}

/**
 * @param {string[]} classes
 * @param {Pair} pair
 * @param {Difference} result
 */
function sentences(classes, [first, second], result) {
  const ahead = classes[result.difference > 0 ? first : second];
  return [
    result.difference === 0
      ? "The network sees no difference between the two in this picture."
      : `Of the two, the network favours ${ahead}.`,
    `Amber speaks for ${classes[first]}, blue for ${classes[second]}. A contribution is a number times its gradient. ` +
      "All pixels, and what each layer adds by itself (its bias, for example), add up to the difference.",
    "Choose a unit or a pixel to see how it was computed.",
  ];
}

/**
 * @param {string[]} classes
 * @param {Pair} pair
 * @param {(first: number, second: number) => void} choose
 */
function chooser(classes, [first, second], choose) {
  const select = (/** @type {string} */ label, /** @type {number} */ at, /** @type {(to: number) => void} */ to) => {
    const options = classes.map((name, each) => h("option", { value: String(each), selected: each === at }, name));
    const element = /** @type {HTMLSelectElement} */ (h("select", { key: `difference/${label}` }, ...options));
    element.addEventListener("change", () => to(Number(element.value)));
    return h("label", {}, `${label} `, element);
  };
  return h(
    "p",
    { class: "pair" },
    select("first", first, (to) => choose(to, second)),
    select("against", second, (to) => choose(first, to)),
    h("button", { type: "button", key: "difference/swap", on: { click: () => choose(second, first) } }, "swap"),
  );
}

/**
 * dog 1.24 − cat 3.01 = −1.77
 * @param {StageContext} context
 * @param {Pair} pair
 * @param {Difference} result
 */
function headline({ trace: { about }, state: { exact } }, [first, second], result) {
  const { classes } = about.model;
  const logits = [about.logits[first], about.logits[second]];
  const text = texts([...logits, result.difference], exact);
  const shown = (/** @type {number} */ at) =>
    h("span", {}, classes[at], " ", h("b", {}, text.of(about.logits[at]).replace("−", "−\u2060")));
  const rest = exact ? 0 : leftOut([logits[0], -logits[1]], result.difference, text.places);
  return h(
    "p",
    { class: "headline" },
    shown(first),
    h("span", { class: "times" }, "−"),
    shown(second),
    rest !== 0 && h("span", { class: "times" }, `+ ${fixed(rest, text.places)} (digits not shown)`),
    h("span", { class: "times" }, "="),
    h("strong", { id: "difference", "data-value": String(result.difference) }, text.of(result.difference)),
  );
}

/**
 * @param {Difference} result
 * @param {string} first
 * @param {boolean} exact
 */
function parts(result, first, exact) {
  const sum = result.pixels + result.own;
  const text = texts([result.pixels, result.own, result.difference], exact);
  const rest = exact ? 0 : leftOut([result.pixels, result.own], sum, text.places);
  /** @type {[string, string, string?][]} */
  const entries = [
    ["all pixels", text.of(result.pixels), "pixels"],
    ["all layers by themselves", text.of(result.own), "own"],
    ...(rest !== 0 ? [/** @type {[string, string]} */ (["digits not shown", fixed(rest, text.places)])] : []),
    ["together", text.of(sum)],
    ["PyTorch computed", text.of(result.difference)],
    [
      "left over by rounding",
      exact ? allDigits(result.remainder) : result.remainder.toExponential(1).replaceAll("-", "−"),
    ],
  ];
  return h(
    "div",
    { class: "result" },
    h(
      "dl",
      {},
      ...entries.map(([term, value, name]) =>
        h(
          "div",
          {},
          h("dt", {}, term),
          h("dd", { "data-part": name ?? null, title: `above 0 it speaks for ${first}` }, value),
        ),
      ),
    ),
  );
}

/**
 * @param {StageContext} context
 * @param {Difference} result
 * @param {(name: string, index: number[]) => void} go
 * @param {[HTMLElement, Filter][]} places gets an empty element for the thumbnail of each unit that has one
 */
function layers({ trace, state: { exact } }, result, go, places) {
  const own = texts(
    result.layers.map((each) => each.own),
    exact,
  );
  const largestOwn = Math.max(...result.layers.map((each) => Math.abs(each.own)));
  const thumbnail = (/** @type {string} */ name, /** @type {number[]} */ index) => {
    const filter = index.length === 3 ? filterBehind(trace, name, index[0]) : null;
    if (!filter) return null;
    const place = h("span", { class: "thumbnail" });
    places.push([place, filter]);
    return place;
  };
  const items = folded(result.layers).map((share) => {
    if (Array.isArray(share)) return without(share);
    const units = texts(
      share.strongest.map((each) => each.value),
      exact,
      4,
    );
    const most = Math.max(...share.strongest.map((each) => Math.abs(each.value)));
    const shown = share.strongest.filter((each) => each.value);
    const sums = texts([share.units, share.after ?? 0], exact, 5);
    return h(
      "li",
      {},
      h("div", { class: "of" }, h("b", {}, share.name), h("small", {}, share.kind)),
      h(
        "div",
        { class: "itself" },
        h("small", {}, "adds by itself"),
        h("span", {}, own.of(share.own)),
        bar(share.own, largestOwn),
      ),
      h(
        "div",
        { class: "strong" },
        h(
          "small",
          {},
          share.after === null
            ? `units here add up to ${sums.of(share.units)}; other paths run beside them`
            : `all units ${sums.of(share.units)}, layers after them ${sums.of(share.after)}; the strongest units:`,
        ),
        h(
          "ul",
          {},
          ...shown.map((each) =>
            h(
              "li",
              {},
              thumbnail(share.name, each.unit),
              link(trace, share.name, each, go),
              h("span", {}, units.of(each.value)),
              bar(each.value, most),
            ),
          ),
        ),
        share.nothing > 0 && h("small", { class: "nothing" }, `${unitsOf(share.nothing)} without difference`),
      ),
    );
  });
  return h("section", { class: "layers" }, h("h2", {}, "Layer by layer"), h("ol", {}, ...items));
}

/** @param {number} count */
function unitsOf(count) {
  return count === 1 ? "1 unit" : `${counted(count)} units`;
}

/**
 * The layers, with those in a row that contribute nothing in one list.
 * @param {Share[]} all
 */
function folded(all) {
  /** @type {(Share | Share[])[]} */
  const rows = [];
  for (const share of all) {
    const last = rows[rows.length - 1];
    if (share.own !== 0 || share.nothing < share.count) rows.push(share);
    else if (Array.isArray(last)) last.push(share);
    else rows.push([share]);
  }
  return rows;
}

/** @param {Share[]} shares layers of which no unit contributes */
function without(shares) {
  const count = shares.reduce((sum, share) => sum + share.count, 0);
  const names = shares.map((share) => share.name).join(", ");
  return h("li", { class: "without" }, `${names}: ${unitsOf(count)} without difference`);
}

/**
 * A unit by its place, next to the layer's name.
 * @param {import("../trace.js").Trace} trace
 * @param {string} name
 * @param {Strong} strong
 * @param {(name: string, index: number[]) => void} go
 */
function link(trace, name, { unit: index }, go) {
  const { classes } = trace.about.model;
  const ofClass = index.length === 1 && String(trace.shape(name)) === String([classes.length]);
  const text = `[${index.join(", ")}]${ofClass ? ` ${classes[index[0]]}` : ""}`;
  if (!trace.node(name)) return h("span", {}, text);
  return h(
    "a",
    {
      href: address({ ...START, name, index }),
      key: `unit/${unit(name, index)}`,
      "aria-label": unit(name, index),
      on: { click: (event) => (event.preventDefault(), go(name, index)) },
    },
    text,
  );
}

/**
 * A bar from the middle, to the right above zero.
 * @param {number} value
 * @param {number} most
 */
function bar(value, most) {
  const share = most ? `${(50 * Math.abs(value)) / most}%` : "0";
  return h(
    "span",
    { class: "track", "aria-hidden": "true" },
    h("i", { class: value < 0 ? "below" : "above", style: { width: share, [value < 0 ? "right" : "left"]: "50%" } }),
  );
}

/**
 * Numbers in a group, with equal decimals.
 * @param {number[]} values
 * @param {boolean} exact
 * @param {number} [digits]
 */
function texts(values, exact, digits) {
  const places = decimals(values, digits);
  const none = 0.5 * 10 ** -places; // what would be zeros with a sign
  return {
    places,
    of: (/** @type {number} */ value) => (exact ? allDigits(value) : fixed(Math.abs(value) < none ? 0 : value, places)),
  };
}
