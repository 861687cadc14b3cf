/** What is open, and the switches: direction, digits, colours. */

import { choice, h } from "./element.js";
import { percent } from "./format.js";
import { chooser } from "./picture/picture.js";
import { pictures } from "./picture/pictures.js";
import { VIEWS } from "./views.js";
import { bar } from "./whatif/whatif.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./store.js").State} State */
/** @typedef {import("./store.js").Store} Store */

/**
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 * @param {(() => void)} showHelp
 * @param {import("./main.js").Served | null} served
 */
export function header(run, state, store, showHelp, served) {
  const { model, picture, predicted, probabilities } = run.about;
  const certain = probabilities[predicted];
  const share = certain === null ? "" : `, ${percent(certain)}`;
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
    views(run, state, store),
    h("span", { class: "what" }, model.name ? h("b", {}, model.name) : "", model.name ? " · " : "", said),
    served ? chooser(served.choose, model.input[0]) : "",
    h(
      "div",
      { class: "switches" },
      ...(VIEWS[state.view]?.still ? [] : switches(state, store)),
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
    pictures(run, state, store),
    VIEWS[state.view]?.saved ? "" : bar(run, store, served),
  );
}

/**
 * How the network's numbers are shown.
 * @param {State} state
 * @param {Store} store
 */
function switches(state, store) {
  return [
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
  ];
}

/**
 * Links to the network and to the views that this page has.
 * @param {Run} run
 * @param {State} state
 * @param {Store} store
 */
function views(run, state, store) {
  const offered = Object.entries(VIEWS).filter(([view, { always }]) => always || run.about.offers?.includes(view));
  if (!offered.length) return "";
  const link = (/** @type {string} */ view, /** @type {string} */ title) =>
    h(
      "a",
      {
        href: view ? `#/~${view}` : "#/",
        key: `view/${view}`,
        "aria-current": view === state.view ? "page" : null,
        on: { click: (event) => (event.preventDefault(), store.set({ view, place: "" })) },
      },
      title,
    );
  return h(
    "nav",
    { class: "views", "aria-label": "Views" },
    link("", "Network"),
    ...offered.map(([view, { title }]) => link(view, title)),
  );
}
