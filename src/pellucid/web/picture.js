/** Another picture: chosen, dropped or pasted. Only where there is a server that can classify it. */

import { h } from "./element.js";

/**
 * @param {(picture: Blob) => unknown} choose
 */
export function chooser(choose) {
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "file", accept: "image/*", id: "picture", class: "hidden" })
  );
  input.addEventListener("change", () => input.files?.[0] && choose(input.files[0]));
  return h("span", { class: "chooser" }, input, h("label", { for: "picture" }, "Another picture…"));
}

/**
 * Files that are dropped or pasted anywhere on the page.
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
