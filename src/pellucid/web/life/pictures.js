/** The pictures of a step, which pushed the weight up or down, and their parts, which add up to the gradient. */

import { h } from "../element.js";
import { counted } from "../format.js";
import { addingUp, missing } from "../number/adding.js";

/** @typedef {import("./data.js").Life} Life */
/** @typedef {import("./data.js").Step} Step */
/** @typedef {import("./data.js").Pushed} Pushed */
/** @typedef {(row: number, step: number | null) => HTMLElement} Thumbnail */

const DIGITS = 4; // of the largest part, at least

/**
 * @param {Step} step
 * @param {object} means
 * @param {Thumbnail} means.thumbnail
 * @param {boolean} means.exact
 * @param {boolean} means.augmented
 */
export function pictures({ step, gradient, pictures: all, others }, { thumbnail, exact, augmented }) {
  const parts = [...all.map(({ part }) => part), ...(others.count ? [others.part] : [])];
  const shown = addingUp(parts, gradient, { all: exact, digits: DIGITS });
  const texts = new Map(all.map((each, at) => [each, shown.parts[at]]));
  const group = (/** @type {string} */ title, /** @type {Pushed[]} */ some) =>
    h(
      "section",
      { class: "pushed" },
      h("h2", {}, title),
      some.length
        ? h(
            "ul",
            {},
            ...some.map((each) =>
              h(
                "li",
                { title: each.path },
                thumbnail(each.row, step),
                h("b", {}, texts.get(each)),
                h("span", {}, each.label),
                h("span", { class: "hidden" }, each.path),
              ),
            ),
          )
        : h("p", { class: "note" }, "None of the strongest."),
    );
  const up = all.filter(({ part }) => part < 0);
  const down = all.filter(({ part }) => part >= 0);
  const sum = (/** @type {Pushed[]} */ some) => summed(some.map((each) => texts.get(each) ?? "0"));
  const groups = [up.length && ["pushed up", sum(up)], down.length && ["pushed down", sum(down)]].filter(
    (each) => !!each,
  );
  // what the others add takes the digits that are not shown with it, so that the line adds up as it stands
  const left =
    missing(
      groups.map(([, text]) => /** @type {string} */ (text)),
      shown.total,
    ) || "0";
  const rest = others.count
    ? [[`${counted(others.count)} other pictures, and the digits not shown`, left]]
    : left === "0"
      ? []
      : [["digits not shown", left]];
  const adds = [...groups, ...rest];
  return h(
    "div",
    { class: "stack pictures-of" },
    group("Pushed the weight up: negative parts", up),
    group("Pushed the weight down: positive parts", down),
    h(
      "p",
      { class: "adds" },
      ...adds.flatMap(([name, value], at) => [
        at ? " + " : "",
        h("span", {}, h("b", {}, value.startsWith("−") && at ? `(${value})` : value), ` ${name}`),
      ]),
      " = ",
      h("span", { class: "whole" }, h("b", {}, shown.total), " the gradient"),
    ),
    h(
      "p",
      { class: "note" },
      "Each number is the picture’s part in the gradient. The weight moves against the gradient." +
        (augmented ? " The pictures are as the network saw them in this step, augmented." : ""),
    ),
  );
}

/**
 * The sum of numbers as they are written.
 * @param {string[]} texts
 */
function summed(texts) {
  return missing([missing(texts, "0") || "0"], "0") || "0";
}

/**
 * The pictures that pushed most over the whole run.
 * @param {Life} life
 * @param {Thumbnail} thumbnail
 * @param {(value: number) => string} write
 */
export function pushers(
  { pushers: all, optimizer, pushed, weight_decay: decay, earlier, rounding, first, last },
  thumbnail,
  write,
) {
  if (!all.length) return "";
  const most = Math.max(...all.map(({ up, down }) => Math.abs(up + down))) || 1;
  const shares = [
    ["all pictures", pushed],
    ["weight decay", decay],
    ["momentum from before", earlier],
    [optimizer === "lbfgs" ? "where the search for the minimum ended" : "rounding", rounding],
  ].filter(([name, value]) => value || name === "all pictures");
  const texts = shares.map(([name, value]) => `${name} ${write(/** @type {number} */ (value))}`);
  return h(
    "section",
    { class: "pushers" },
    h("h2", {}, "The pictures that pushed it most over the whole training"),
    h("p", { class: "note" }, `It moved by ${write(last - first)}: ${texts.join(", ")}.`),
    h(
      "ol",
      {},
      ...all.map(({ row, path, label, up, down, times }) =>
        h(
          "li",
          { title: path },
          thumbnail(row, null),
          h(
            "span",
            { class: "name" },
            h("span", {}, h("b", {}, label), ` ${path}`),
            h(
              "span",
              { class: "length" },
              h("i", {
                class: up + down < 0 ? "below" : "above",
                style: { width: `${(100 * Math.abs(up + down)) / most}%` },
              }),
            ),
            h(
              "span",
              {},
              h("b", {}, write(up + down)),
              up && down ? ` (up ${write(up)}, down ${write(Math.abs(down))})` : "",
              times === 1 ? " in 1 step" : ` in ${counted(times)} steps`,
            ),
          ),
        ),
      ),
    ),
  );
}
