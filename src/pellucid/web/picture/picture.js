/** Another picture: chosen, drawn, photographed, dropped or pasted. Needs a server that can classify it. */

import { photograph } from "./camera.js";
import { draw } from "./drawing.js";
import { h } from "../element.js";

/**
 * @param {(picture: Blob) => Promise<boolean>} choose
 * @param {number} channels of the network's input
 */
export function chooser(choose, channels) {
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "file", accept: "image/*", id: "picture", class: "hidden" })
  );
  input.addEventListener("change", () => input.files?.[0] && choose(input.files[0]));
  const button = (/** @type {string} */ text, /** @type {() => void} */ click) =>
    h("button", { type: "button", key: text, on: { click } }, text);
  return h(
    "span",
    { class: "chooser" },
    input,
    h("label", { for: "picture" }, "Another picture…"),
    button("Draw…", () => draw(channels, choose)),
    button("Camera…", () => photograph(choose)),
  );
}

/**
 * Accepts files dropped or pasted anywhere on the page.
 * @param {Document} page
 * @param {(picture: Blob) => void} choose
 */
export function listen(page, choose) {
  page.addEventListener("dragover", (event) => event.preventDefault());
  page.addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) choose(file);
  });
  page.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) choose(file);
  });
}
