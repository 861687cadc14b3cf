/** The list of keys. */

import { h } from "../element.js";

const KEYS = [
  ["Tab", "from one map or grid to the next"],
  ["← ↑ → ↓", "move in a map, a grid or a list"],
  ["Enter", "open the layer, number or factor that has the focus"],
  ["Escape", "hide the name beside a number; back"],
  ["P", "presentation mode: large digits, and only the current equation; P or Escape leaves it"],
  ["Space", "start or stop sliding the window; in a lesson, go to the next step"],
  ["L", "return to the lesson that you left, or open the list of lessons"],
  ["R", "slide from the start of the map"],
  ["Space  R", "in the training view: play or pause, play from the start"],
  ["W", "the life of the weight that is shown; there N and Shift+N go to the next or the previous large step"],
  ["M", "who made this: the training pictures that moved the filter, or taught the answer"],
  ["Space  N  Z", "in “Change and train”: run or pause, one step, undo; Shift+Z makes it again"],
  ["F  B  U", "Forward, Backward, Update"],
  ["D", "the difference between two classes, with “pellucid open”"],
  ["C", "compare with another model, with “pellucid open” or in a file with two models"],
  ["E", "show all digits, or seven"],
  ["S", "scale the colours by map, layer or network"],
  ["[  ]", "the previous or the next picture, if there are several"],
  ["Z", "what if: undo all changes, or redo them"],
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
