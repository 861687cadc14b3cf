/** Where the pictures and the network are, to take them along. */

import { h } from "../element.js";

/** @param {import("./server.js").Server} server */
export function keepingPanel(server) {
  const pictures = h("div", { class: "whereabouts" });
  const model = h("div", { class: "whereabouts" });
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "keep" },
    h("h2", { id: "keep" }, h("span", {}, "4"), "Keep"),
    h("p", { class: "note" }, "Everything is on this machine already, and stays when you close the page."),
    pictures,
    model,
  );
  /** @param {string} what @param {string} path @param {string} text */
  const place = (what, path, text) => [
    h("a", { class: "single", href: server.source(what), download: "" }, text),
    h("code", {}, path),
  ];
  return {
    node,
    /** @param {import("./server.js").State} state */
    update(state) {
      const some = state.classes.some((each) => each.pictures.length);
      pictures.replaceChildren(...(some ? place("/pictures.zip", state.pictures, "Download the pictures") : []));
      model.replaceChildren(...(state.model ? place("/model.zip", state.model.path, "Download the model folder") : []));
      node.hidden = !some && !state.model;
    },
  };
}
