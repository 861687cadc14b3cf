/** How a weight's life ends: in the saved weight, or beside it; and what the view leaves out. */

import { h } from "../element.js";
import { counted, exact, number } from "../format.js";

/** @typedef {import("./data.js").Life} Life */

/**
 * Whether the life is the model's own, to the last bit.
 * @param {Life} life
 * @returns {HTMLElement[]}
 */
export function exactly({ exact: same, last, saved, drift, note, unused }) {
  const after = unused
    ? `${counted(unused)} more steps were made after it, and not used: the saved weights are those of the best epoch.`
    : "";
  const notes = [note, after].filter((each) => !!each).map((text) => h("p", {}, text));
  if (same) {
    return [h("p", { class: "life-exact" }, `It ends as ${exact(last)}, the saved weight, to the last bit.`), ...notes];
  }
  const apart = saved === null ? "" : ` This weight ends as ${exact(last)}; the saved one is ${exact(saved)}.`;
  const how =
    drift && typeof drift.different === "number"
      ? ` ${counted(drift.different)} of ${counted(drift.weights)} weights differ, ${drift.where} by ${number(drift.largest, false, 3)}, the most.`
      : "";
  return [
    h(
      "p",
      { class: "life-drift", role: "alert" },
      `Made again here, the training does not end in the saved weights.${how}${apart} So this is not exactly the model’s own ` +
        "history. Another machine, or other versions, round differently.",
    ),
    ...notes,
  ];
}

/**
 * @param {import("../context.js").StageContext} context
 * @param {import("./place.js").Weight} weight
 * @param {Life} life
 * @returns {HTMLElement[]}
 */
export function ending({ store, served, trace }, { name, index }, { largest }) {
  const there = { name, index, view: "", place: "", cursor: null, direction: /** @type {const} */ ("forward") };
  const back = () => void store.set(there);
  return [
    h(
      "p",
      { class: "note" },
      served ? "" : `This file has the pictures of the ${counted(largest.length)} largest steps. `,
      trace.about.what_if?.changes.length ? "This is the saved model, without your changes. " : "",
      "A picture’s part is what flowed into the weight through that picture, divided by the number of pictures of the step.",
    ),
    h(
      "button",
      { type: "button", class: "single", key: "life/number", on: { click: back } },
      "Show the number in the network",
    ),
  ];
}
