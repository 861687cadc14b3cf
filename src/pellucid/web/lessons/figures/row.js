/** A picture, the row that flattening makes of it, and both again with the pixels shuffled. */

import { h } from "../../element.js";
import { counted, number } from "../../format.js";
import { mixed, unevenness } from "./arithmetic.js";
import { photograph } from "./photograph.js";
import { shaded } from "./shaded.js";

/** @typedef {import("./material.js").Matrix} Matrix */

/**
 * The photograph with its pixels in another, fixed order.
 * @returns {Matrix}
 */
export function shuffled() {
  const picture = photograph();
  const width = picture[0].length;
  const pixels = picture.flat();
  const order = mixed(pixels.length);
  return picture.map((row, y) => row.map((_, x) => pixels[order[y * width + x]]));
}

/** How much neighbouring pixels differ on average, before and after the shuffle. */
export function differences() {
  return [photograph(), shuffled()].map((picture) => Number(unevenness(picture).toFixed(1)));
}

/**
 * @param {import("../../store.js").PageStore} store
 * @returns {import("./sliding.js").Figure}
 */
export function flattened(store) {
  const button = h("button", { type: "button", class: "single", key: "figure/shuffle" });
  const count = h("p", { class: "figure-sum" });
  const shown = h("div", { class: "boards pictures" });
  const row = h("div", { class: "flattened" });
  const element = h("div", { class: "sliding" }, count, shown, row, h("div", { class: "row" }, button));
  let mixedUp = false;
  button.addEventListener("click", () => void store.set({ place: mixedUp ? "row" : "row:shuffled" }, true));
  return {
    element,
    update: ({ argument }) => {
      mixedUp = argument === "shuffled";
      const picture = mixedUp ? shuffled() : photograph();
      const [height, width] = [picture.length, picture[0].length];
      const difference = differences()[mixedUp ? 1 : 0];
      count.textContent =
        `${height} rows × ${width} pixels = ${counted(height * width)} numbers in one row. Neighbours in the picture ` +
        `differ by ${number(difference)} on average.`;
      shown.replaceChildren(shaded(mixedUp ? "the pixels, shuffled" : "the photograph", picture, false).element);
      row.replaceChildren(shaded("its row", [picture.flat()], false).element);
      button.textContent = mixedUp ? "Put them back" : "Shuffle the pixels";
    },
  };
}
