/** The whole comparison as a table, which a screen reader can walk through. */

import { h } from "../element.js";
import { counted, size, unit } from "../format.js";
import { texts } from "./numbers.js";
import { apartOf, nameOf, partsAt } from "./pair.js";
import { stateOf } from "./words.js";

/**
 * Made when it is opened.
 * @param {import("./pair.js").Pair} pair
 * @param {import("../store.js").Direction} direction
 * @param {boolean} exact
 */
export function table({ comparison }, direction, exact) {
  const details = h("details", { class: "compare-table" }, h("summary", {}, "The comparison as a table"));
  const first = partsAt(comparison, direction);
  details.addEventListener("toggle", () => details.append(made()), { once: true });
  return details;

  function made() {
    const head = ["layer", "verdict", "differs most at", "A", "B", "B − A", "numbers that differ"];
    const rows = comparison.layers.map((layer, at) => {
      const apart = apartOf(layer, direction);
      const shown = apart && apart.different ? texts(apart.first, apart.second, exact) : null;
      const sizes = apart ? [] : layer.shapes.map(size);
      const cells = [
        stateOf(layer, direction, at === first),
        shown && apart ? unit(layer.first ?? "", apart.index) : "",
        shown?.first ?? (layer.first === null ? "" : (sizes[0] ?? "")),
        shown?.second ?? (layer.first === null ? sizes[0] : (sizes[1] ?? "")) ?? "",
        shown?.difference ?? (apart ? "0" : ""),
        apart ? `${counted(apart.different)} of ${counted(apart.count)}` : "",
      ];
      return h("tr", {}, h("th", { scope: "row" }, nameOf(layer)), ...cells.map((text) => h("td", {}, text)));
    });
    return h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "the comparison" },
      h(
        "table",
        { class: "plain" },
        h("caption", {}, `A is ${comparison.first}, B is ${comparison.second}`),
        h("thead", {}, h("tr", {}, ...head.map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, ...rows),
      ),
    );
  }
}
