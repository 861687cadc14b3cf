/** Sentences above the page: an error, another window, another start of the server. Each can be closed. */

import { h } from "./element.js";
import { Outdated, RESTARTED, Trouble } from "./host.js";

const FAULT = "Something went wrong while the page was drawn. Reload it. If this happens again, please report it.";
const ELSEWHERE =
  "Another window has opened a picture or changed something since. This window still shows what it had.";
const AGAIN =
  "Pellucid was started again since this page was opened. The page now shows what the new start has open; numbers of " +
  "the earlier one are gone.";

/**
 * @param {HTMLElement} page
 * @param {() => {show: () => Promise<unknown>, back: () => Promise<unknown>} | null} ways out of a change by another
 *     window: show it here, or show this window's run again
 * @returns {(error: unknown) => void} reports an error
 */
export function troubles(page, ways) {
  const tell = (/** @type {string} */ text, /** @type {[string, () => unknown][]} */ acts) => {
    document.querySelector(".trouble")?.remove();
    const close = h("button", { type: "button", "aria-label": "Close", on: { click: () => box.remove() } }, "×");
    const buttons = acts.map(([name, act]) =>
      h("button", { type: "button", class: "single", on: { click: () => (box.remove(), act()) } }, name),
    );
    const box = h(
      "div",
      { class: "trouble", role: "alert" },
      h("div", { class: "stack" }, h("p", {}, text), h("div", { class: "row" }, ...buttons)),
      close,
    );
    page.before(box);
    page.querySelector(".waiting")?.remove();
  };
  if (window.history.state === RESTARTED) {
    window.history.replaceState(null, "");
    tell(AGAIN, []);
  }
  return (error) => {
    const out = error instanceof Outdated ? ways() : null;
    if (!(error instanceof Trouble)) console.error(error);
    if (out) {
      tell(ELSEWHERE, [
        ["Show the other window’s picture here", out.show],
        ["Take this window’s picture back", out.back],
      ]);
    } else tell(error instanceof Trouble ? error.message : FAULT, []);
  };
}
