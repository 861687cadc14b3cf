/** The list of keys. */

import { h } from "../element.js";

const KEYS = [
  ["Tab", "from one map or grid to the next"],
  ["← ↑ → ↓", "move in a map, a grid or a list"],
  ["Enter", "deeper: the layer, the number, the factor that has the focus"],
  ["Escape", "back"],
  ["Space", "slide the window on and on, or stop it; in a lesson: the next step"],
  ["R", "slide from the map's start"],
  ["Space  R", "in the training: play or pause, play from the start"],
  ["F  B  U", "Forward, Backward, Update"],
  ["D", "the difference between two classes, on the served page"],
  ["E", "every digit, or seven of them"],
  ["S", "colours by map, layer or network"],
  ["[  ]", "the picture before, the next, where there are several"],
  ["Z", "what if: put every change back, or make it again"],
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
