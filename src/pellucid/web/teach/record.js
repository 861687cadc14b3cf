/** The button that takes pictures as long as it is held: with the mouse, a finger, or Space and Enter. */

import { h } from "../element.js";

const EVERY = 125; // milliseconds between two pictures

/**
 * A short press takes one picture, and so does the click of a screen reader.
 * @param {string} label
 * @param {() => Promise<unknown>} take
 * @param {(count: number) => void} ended is called with the number of pictures when the button is let go
 */
export function recorder(label, take, ended) {
  const button = /** @type {HTMLButtonElement} */ (
    h(
      "button",
      { type: "button", class: "single record", "aria-pressed": "false", "aria-label": label },
      "Hold to record",
    )
  );
  let [timer, count, busy] = [0, 0, false];

  async function shoot() {
    if (busy) return; // a slow machine takes fewer
    busy = true;
    try {
      await take();
      count += 1;
    } finally {
      busy = false;
    }
  }
  function begin() {
    if (timer) return;
    count = 0;
    button.setAttribute("aria-pressed", "true");
    timer = window.setInterval(() => void shoot(), EVERY);
    void shoot();
  }
  function end() {
    if (!timer) return;
    window.clearInterval(timer);
    timer = 0;
    button.setAttribute("aria-pressed", "false");
    ended(Math.max(1, count));
  }
  const isKey = (/** @type {KeyboardEvent} */ event) => event.key === " " || event.key === "Enter";

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    button.setPointerCapture(event.pointerId);
    begin();
  });
  for (const over of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) button.addEventListener(over, end);
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // of a long touch
  button.addEventListener("keydown", (event) => {
    if (!isKey(event)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  button.addEventListener("keyup", (event) => {
    if (!isKey(event)) return;
    event.preventDefault(); // a click would follow
    end();
  });
  button.addEventListener("click", (event) => {
    if (event.detail === 0) void shoot().then(() => ended(1));
  });
  return { button, end };
}
