/** The list of keys. */

import { h } from "./element.js";

const KEYS = [
  ["Tab", "from one map or grid to the next"],
  ["← ↑ → ↓", "move in a map, a grid or a list"],
  ["Enter", "deeper: the layer, the number, the factor that has the focus"],
  ["Escape", "back"],
  ["Space", "slide the window on"],
  ["F  B  U", "Forward, Backward, Update"],
  ["E", "every digit, or seven of them"],
  ["S", "colours by map, layer or network"],
  ["?", "this list"],
];

/** @returns {HTMLDialogElement} */
export function help() {
  const rows = KEYS.map(([key, what]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)));
  const close = h("button", { type: "button" }, "Close");
  const dialog = /** @type {HTMLDialogElement} */ (
    h("dialog", { class: "help", "aria-label": "Keys" }, h("h2", {}, "Keys"), h("dl", {}, ...rows), close)
  );
  close.addEventListener("click", () => dialog.close());
  return dialog;
}
