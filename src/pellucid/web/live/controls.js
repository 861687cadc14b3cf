/** Run, one step, speed, undo and redo, random weights, the model as it was, and keeping it. */

import { h } from "../element.js";

/** @type {[string, string][]} steps a second, and in words */
const SPEEDS = [
  ["1", "1 step a second"],
  ["5", "5 steps a second"],
  ["25", "25 steps a second"],
  ["", "as fast as it goes"],
];

/**
 * @param {object} means
 * @param {(path: string) => void} means.act sends "api/live/" and this
 * @param {() => void} means.keep
 */
export function createControls({ act, keep }) {
  const speed = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { key: "live/speed", "aria-label": "Speed" },
      ...SPEEDS.map(([value, words]) => h("option", { value }, words)),
    )
  );
  speed.value = "25";
  let running = false;
  const run = () => act(running ? "pause" : `run?speed=${speed.value}`);
  const button = (
    /** @type {string} */ name,
    /** @type {() => void} */ does,
    /** @type {string | null} */ key = null,
  ) =>
    h("button", {
      type: "button",
      class: "single",
      key: `live/${name}`,
      "aria-keyshortcuts": key,
      on: { click: does },
    });
  const buttons = {
    run: button("run", run, "Space"),
    step: button("step", () => act("step"), "N"),
    undo: button("undo", () => act("undo"), "Z"),
    redo: button("redo", () => act("redo"), "Shift+Z"),
    scratch: button("scratch", () => act("scratch")),
    reset: button("reset", () => act("reset")),
    keep: button("keep", keep),
  };
  const words = (/** @type {keyof typeof buttons} */ name, /** @type {string} */ text) => {
    if (buttons[name].textContent !== text) buttons[name].textContent = text;
  };
  words("run", "Run");
  words("step", "One step");
  words("scratch", "From scratch");
  words("reset", "As it was");
  words("keep", "Keep this model");
  speed.addEventListener("change", () => running && act(`run?speed=${speed.value}`));
  const node = h(
    "div",
    { class: "live-controls", role: "group", "aria-label": "Training" },
    buttons.run,
    buttons.step,
    speed,
    buttons.undo,
    buttons.redo,
    buttons.scratch,
    buttons.reset,
    buttons.keep,
  );
  buttons.undo.classList.add("of-history");
  buttons.redo.classList.add("of-history");
  /** @type {Record<string, HTMLElement>} */
  const keys = { " ": buttons.run, n: buttons.step, z: buttons.undo, Z: buttons.redo };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (!node.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (document.querySelector("dialog[open]") || target.matches("input, select, textarea")) return;
    if (event.key === " " && target.matches("button, summary, a")) return;
    const pressed = keys[event.key];
    if (!pressed) return;
    pressed.click();
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  // before the keys of the walk, which have other meanings
  document.addEventListener("keydown", onKey, { capture: true });
  /**
   * A control that can do nothing stays where it is and keeps the focus.
   * @param {"undo" | "redo"} name
   * @param {string} verb
   * @param {string | null} what
   */
  function offer(name, verb, what) {
    words(name, what === null ? verb : `${verb}: ${what}`);
    buttons[name].title = what ?? ""; // the button's width is fixed and may cut the words
    buttons[name].setAttribute("aria-disabled", String(what === null));
  }
  return {
    node,
    /** @param {import("./numbers.js").Live} now */
    show(now) {
      running = now.running;
      words("run", running ? "Pause" : "Run");
      offer("undo", "Undo", now.undo);
      offer("redo", "Redo", now.redo);
    },
  };
}
