/** The page while a model is being trained, and there is no network yet to walk through. */

import { h } from "../element.js";
import { show } from "./training.js";

/**
 * The page while there is no network yet to walk through.
 * @param {object} scene
 * @param {HTMLElement} scene.page
 * @param {string} scene.name of the model that is being trained
 * @param {import("../store.js").PageStore} scene.store
 * @param {import("../context.js").Served} scene.served
 * @param {(error: unknown) => void} scene.complain
 * @param {() => Promise<void>} scene.reopen when the network is there
 * @returns {(state: import("../store.js").PageState) => Promise<void>}
 */
export function watching({ page, name, store, served, complain, reopen }) {
  const main = h("main", {});
  const brand = h("span", { class: "brand" }, "Pellucid");
  page.replaceChildren(h("header", {}, brand, h("span", { class: "what" }, "training ", h("b", {}, name))), main);
  document.title = `Training ${name} · Pellucid`;
  return async (state) => {
    try {
      const parts = await show({ state, store, served, reopen });
      if (main.firstChild !== parts[0]) main.replaceChildren(...parts);
    } catch (error) {
      complain(error);
    }
  };
}
