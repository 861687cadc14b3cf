/** What is open, and the switches: direction, digits, colours. */

import { choice, h } from "./element.js";
import { chooser } from "./picture.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */
/** What only a server can do. @typedef {{choose: (picture: Blob) => void, against: (label: string) => void}} Served */

/**
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 * @param {(() => void)} showHelp
 * @param {Served | null} served
 */
export function header(run, state, store, showHelp, served) {
  const { model, picture, predicted, probabilities } = run.about;
  const certain = probabilities[predicted];
  const share = certain === null ? "" : `, ${(100 * certain).toFixed(1)}%`;
  const said = (picture ? `${picture}: ` : "") + model.classes[predicted] + share;
  return h(
    "header",
    {},
    h(
      "a",
      {
        class: "brand",
        href: "#/",
        on: { click: (event) => (event.preventDefault(), store.set({ name: "", index: null, cursor: null })) },
      },
      "Pellucid",
    ),
    h("span", { class: "what" }, model.name ? h("b", {}, model.name) : "", model.name ? " · " : "", said),
    served ? chooser(served.choose) : "",
    h(
      "div",
      { class: "switches" },
      choice(
        "direction",
        [
          ["forward", "Forward", "F"],
          ["backward", "Backward", "B"],
          ["update", "Update", "U"],
        ],
        state.direction,
        (direction) => store.set({ direction, page: 0, channel: -1, sorted: "" }),
      ),
      choice(
        "colours by",
        [
          ["unit", "map"],
          ["layer", "layer"],
          ["network", "network"],
        ],
        state.scale,
        (scale) => store.set({ scale }, true),
      ),
      h(
        "button",
        {
          type: "button",
          class: "single",
          key: "exact",
          "aria-pressed": String(state.exact),
          "aria-keyshortcuts": "E",
          on: { click: () => store.set({ exact: !state.exact }, true) },
        },
        "Exact",
      ),
      h(
        "button",
        {
          type: "button",
          class: "single",
          key: "help",
          "aria-label": "Keys",
          "aria-keyshortcuts": "?",
          on: { click: showHelp },
        },
        "?",
      ),
    ),
  );
}
