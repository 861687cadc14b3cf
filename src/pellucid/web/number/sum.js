/** A sum that adds up in its shown digits: what each map adds, the bias, and their total, joined with the number. */

import { h } from "../element.js";
import { counted, unit } from "../format.js";
import { addingUp, missing } from "./adding.js";
import { joined } from "./joins.js";
import { placeOf, targetOf } from "./follow.js";

/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("./adding.js").Shown} Shown */
/**
 * Terms that are added first: those of a map, or a single one.
 * @typedef {{label: string, count: number, total: number}} Group
 */
/**
 * @typedef {object} Sum
 * @property {string} what the groups' name, for a screen reader
 * @property {Group[]} groups
 * @property {number} chosen the group that is shown in numbers
 * @property {(at: number) => void} choose
 * @property {Part[]} others further parts of the same number
 * @property {number} total
 */

const FEW = 9; // groups that are all shown
const SHOWN = 8; // of more, the largest
const LISTED = 600; // of the others, when the reader opens them

/**
 * The sum's line, and the text of the chosen group's total in it.
 * @param {NumberContext} context
 * @param {Sum} sum
 * @param {HTMLElement[]} own the number in its own map, to which lines lead
 * @returns {{line: HTMLElement, chosen: string}}
 */
export function sumLine(context, sum, own) {
  const { groups, chosen, others, total } = sum;
  const { shown, rest } = folded(groups, chosen);
  const restTotal = rest.reduce((all, at) => all + groups[at].total, 0);
  const numbers = [
    ...shown.map((at) => groups[at].total),
    ...(rest.length ? [restTotal] : []),
    ...others.map(({ terms }) => terms.total),
  ];
  const texts = addingUp(numbers, total, { all: context.state.exact });
  const text = [...texts.parts];
  const chips = [
    ...shown.map((at) => groupChip(sum, at, text.shift() ?? "")),
    ...(rest.length ? [moreChip(sum, rest, text.shift() ?? "", texts)] : []),
    ...others.map((part) => otherChip(context, part, text.shift() ?? "")),
    ...(texts.rest ? [quiet("hidden digits", texts.rest)] : []),
  ];
  const line = h(
    "div",
    { class: "addition", role: "group", "aria-label": `What ${sum.what} adds` },
    ...chips.flatMap((chip, at) => [at > 0 && sign("+"), chip]),
    sign("="),
    h("output", { class: "total" }, texts.total),
  );
  return { line: joined(line, own), chosen: texts.write(groups[chosen].total) };
}

/**
 * The groups on the line, and those behind "and 56 more". The chosen one is always on the line.
 * @param {Group[]} groups
 * @param {number} chosen
 */
function folded(groups, chosen) {
  const all = groups.map((_, at) => at);
  if (groups.length <= FEW) return { shown: all, rest: [] };
  const order = all.sort((a, b) => Math.abs(groups[b].total) - Math.abs(groups[a].total));
  const shown = order.slice(0, SHOWN);
  if (!shown.includes(chosen)) shown.push(chosen);
  return { shown, rest: order.slice(SHOWN).filter((at) => at !== chosen) };
}

/**
 * A number that is added, in brackets if it is negative and not the first.
 * @param {string} text
 */
function figure(text) {
  const number = h("b", {}, text);
  const bracket = (/** @type {string} */ text) => h("span", { class: "bracket" }, text);
  return text.startsWith("−") ? [bracket("("), number, bracket(")")] : [number];
}

/** @param {string} text */
function sign(text) {
  return h("span", { class: "sign" }, text);
}

/**
 * @param {Sum} sum
 * @param {number} at
 * @param {string} text
 */
function groupChip({ groups, chosen, choose }, at, text) {
  const { label, count } = groups[at];
  return h(
    "button",
    {
      type: "button",
      class: "chip",
      key: `channel/${at}`,
      "aria-pressed": String(at === chosen),
      on: { click: () => choose(at) },
    },
    h("small", {}, count > 1 ? `${label}: Σ of ${counted(count)} ` : `${label} `),
    ...figure(text),
  );
}

/**
 * The sum of the groups that are not on the line; it opens to show them.
 * @param {Sum} sum
 * @param {number[]} rest
 * @param {string} text
 * @param {Shown} texts
 */
function moreChip(sum, rest, text, texts) {
  const inside = () => {
    const listed = rest.slice(0, LISTED);
    const beyond = rest.slice(LISTED);
    const parts = listed.map((at) => texts.write(sum.groups[at].total));
    const chips = listed.map((at, which) => groupChip(sum, at, parts[which]));
    if (beyond.length) {
      parts.push(texts.write(beyond.reduce((all, at) => all + sum.groups[at].total, 0)));
      chips.push(quiet(`and ${counted(beyond.length)} more`, parts[parts.length - 1]));
    }
    const hidden = missing(parts, text);
    if (hidden) chips.push(quiet("hidden digits", hidden));
    return [...chips.flatMap((chip, at) => [at > 0 && sign("+"), chip]), sign("="), h("b", {}, text)].filter(
      (each) => each !== false,
    );
  };
  const key = `more/${sum.what}`;
  const before = /** @type {HTMLDetailsElement | null} */ (document.querySelector(`[data-key="${CSS.escape(key)}"]`));
  // hundreds of buttons are drawn only for the reader who opens them
  const list = h("div", { class: "addition" }, ...(before?.open ? inside() : []));
  return h(
    "details",
    {
      class: "more",
      key,
      open: before?.open ?? false,
      on: {
        toggle: (/** @type {Event} */ { currentTarget }) => {
          const own = /** @type {HTMLDetailsElement} */ (currentTarget);
          const drawn = /** @type {Element} */ (own.lastElementChild);
          if (own.open && !drawn.childElementCount) drawn.append(...inside());
        },
      },
    },
    h("summary", { class: "chip" }, h("small", {}, `and ${counted(rest.length)} more `), ...figure(text)),
    list,
  );
}

/**
 * @param {string} label
 * @param {string} text
 */
function quiet(label, text) {
  return h("span", { class: "chip quiet" }, h("small", {}, `${label} `), ...figure(text));
}

/**
 * The bias, or what comes on another way.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {string} text
 */
function otherChip({ trace, follow }, part, text) {
  const { columns, values } = part.terms;
  if (values.length !== 1 || columns.length !== 1) {
    const count = values.length > 1 ? `: Σ of ${counted(values.length)}` : "";
    return quiet(`through ${part.through}${count}`, text);
  }
  const name = part.named(columns[0].name);
  const index = placeOf(part, columns[0], 0);
  const target = targetOf(trace, part, name, index);
  const label = name.endsWith(".bias") ? "bias" : unit(name, index);
  if (!target) return quiet(label, text);
  return h(
    "button",
    {
      type: "button",
      class: "chip",
      key: `part/${name}`,
      title: `${unit(name, index)}: show how it was computed`,
      on: { click: () => follow(target) },
    },
    h("small", {}, `${label} `),
    ...figure(text),
  );
}
