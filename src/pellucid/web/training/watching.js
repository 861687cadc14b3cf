/** The page during a training, without a network to walk through yet. */

import { h } from "../element.js";
import { show } from "./training.js";

/**
 * The page during a training, without a network to walk through yet.
 * @param {object} scene
 * @param {HTMLElement} scene.page
 * @param {string} scene.name of the model in training
 * @param {import("../store.js").PageStore} scene.store
 * @param {import("../context.js").Served} scene.served
 * @param {(error: unknown) => void} scene.complain
 * @param {() => Promise<void>} scene.reopen called when the network exists
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
