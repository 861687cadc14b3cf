/** How good the trained network is, as honestly as the pictures allow. */

import { h } from "../element.js";
import { percent } from "../format.js";

/** @typedef {import("./server.js").Model} Model */

/**
 * @param {Model} model
 * @param {(what: string, query: Record<string, string>) => string} source
 */
export function result(model, source) {
  const { says, quotable, interval, accuracy, reported, each, mistakes, notes, sides } = model;
  const [low, high] = interval.map((end) => Math.round(100 * end));
  const scale = h(
    "div",
    { class: "certain", role: "img", "aria-label": `Accuracy ${percent(accuracy)}, 95% interval ${low}% to ${high}%` },
    h("i", { class: "from-to", style: { left: `${low}%`, width: `${Math.max(1, high - low)}%` } }),
    h("i", { class: "is-at", style: { left: `${100 * accuracy}%` } }),
    h("span", {}, "0%"),
    h("span", {}, "100%"),
  );
  const wrong = mistakes.map((mistake, number) =>
    h(
      "li",
      {},
      h("img", {
        src: source("/mistake", { number: String(number), model: model.name }),
        alt: `A picture of ${mistake.label}`,
      }),
      h(
        "p",
        {},
        h("b", {}, mistake.label),
        ` taken for ${mistake.predicted} (${percent(mistake.predicted_probability)})`,
      ),
    ),
  );
  const measured = reported !== "train";
  return [
    h("p", { class: quotable ? "says" : "says weak" }, says),
    measured && scale,
    measured &&
      h(
        "ul",
        { class: "each", "aria-label": "Right, by class" },
        ...each.map(({ name, pictures, recall }) =>
          h(
            "li",
            {},
            `${name}: ${recall === null ? "none held back" : `${Math.round(recall * pictures)} of ${pictures} right`}`,
          ),
        ),
      ),
    measured && wrong.length > 0 && h("h3", {}, "What it got wrong"),
    measured && wrong.length > 0 && h("ul", { class: "wrong" }, ...wrong),
    measured && !wrong.length && h("p", { class: "note" }, "It got none of them wrong."),
    h(
      "p",
      { class: "note" },
      `${sides.train} pictures to learn from, ${sides.validation} to choose settings and to set its certainty, ` +
        `${sides.test} held back.`,
    ),
    ...notes.map((text) => h("p", { class: "note" }, text)),
  ];
}
