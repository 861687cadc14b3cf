/** The article's network for cats and dogs: what each layer makes, and how many numbers it learns. */

import { h } from "../../element.js";
import { counted } from "../../format.js";
import { fitting } from "./arithmetic.js";
import { SIZES } from "./material.js";

/**
 * The layers of `conv(10, 5) relu maxpool(2) flatten dense` on 300 × 300 × 3: [name, output, parameters, formula].
 * @param {number} units of the last layer
 * @returns {{rows: [string, number[], number, string][], total: number}}
 */
export function layersOf(units) {
  const [width, filter, padding, stride, filters, channels] = SIZES[SIZES.length - 1];
  const { places } = fitting(width, filter, stride, padding, 1);
  const pooled = fitting(places, 2, 2, 0, 1).places;
  const flat = filters * pooled * pooled;
  const conv = filter * filter * channels * filters + filters;
  const dense = flat * units + units;
  return {
    rows: [
      ["picture", [width, width, channels], 0, ""],
      [
        `conv, ${filters} filters of ${filter}×${filter}`,
        [places, places, filters],
        conv,
        `${filter}*${filter}*${channels}*${filters} + ${filters}`,
      ],
      ["maxpool, 2×2", [pooled, pooled, filters], 0, ""],
      ["flatten", [flat], 0, `${pooled}*${pooled}*${filters} = ${counted(flat)} numbers`],
      [`dense, ${units} unit${units > 1 ? "s" : ""}`, [units], dense, `${flat}*${units} + ${units}`],
    ],
    total: conv + dense,
  };
}

/** @returns {import("./sliding.js").Figure} */
export function parameters() {
  const body = h("div", { class: "scroll" });
  return {
    element: h("div", { class: "sliding" }, body),
    update: ({ argument }) => {
      const units = argument === "1" ? 1 : 2;
      const { rows, total } = layersOf(units);
      const heads = ["layer", "output", "parameters", "how"];
      body.replaceChildren(
        h(
          "table",
          { class: "plain" },
          h("caption", {}, `The article’s network with ${units} output unit${units > 1 ? "s" : ""}`),
          h("thead", {}, h("tr", {}, ...heads.map((each) => h("th", { scope: "col" }, each)))),
          h(
            "tbody",
            {},
            ...rows.map(([name, shape, count, how]) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, name),
                h("td", {}, shape.map(counted).join(" × ")),
                h("td", {}, counted(count)),
                h("td", {}, how),
              ),
            ),
          ),
          h(
            "tfoot",
            {},
            h("tr", {}, h("th", { scope: "row" }, "all"), h("td", {}), h("td", {}, counted(total)), h("td", {})),
          ),
        ),
      );
    },
  };
}
