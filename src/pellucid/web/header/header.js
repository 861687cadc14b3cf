/** The header: the open place, and the switches for direction, digits, colours. */

import { choice, h } from "../element.js";
import { percent } from "../format.js";
import { names } from "../labels.js";
import { presentButton } from "../present/mode.js";
import { judged } from "../truth.js";
import { chooser } from "../picture/picture.js";
import { pictures } from "../picture/pictures.js";
import { links } from "../share/share.js";
import { VIEWS } from "../views.js";
import { bar } from "../whatif/whatif.js";

/** @typedef {import("../context.js").Context} Context */

/**
 * @param {Context} context
 * @param {() => void} showHelp
 */
export function header(context, showHelp) {
  const { trace, state, store, served } = context;
  const { model, picture, predicted, probabilities, several, called } = trace.about;
  const certain = probabilities[predicted];
  const answer = several ? names(model.classes, called) : model.classes[predicted];
  const judgement = judged(trace);
  const share = certain === null || several ? "" : percent(certain);
  // behind "it is 9", the share needs to say whose it is
  const whose = judgement.length > 2 ? ` (${share} for ${answer})` : judgement.length ? ` (${share})` : `, ${share}`;
  const summary = [(picture ? `${picture}: ` : "") + answer, ...judgement, share && whose];
  return h(
    "header",
    {},
    skip(Boolean(VIEWS[state.view]?.still || VIEWS[state.view]?.strips)),
    h(
      "a",
      {
        class: "brand",
        href: "#/",
        on: { click: (event) => (event.preventDefault(), store.set({ name: "", index: null, cursor: null })) },
      },
      "Pellucid",
    ),
    views(context),
    h("span", { class: "what" }, model.name ? h("b", {}, model.name) : "", model.name ? " · " : "", ...summary),
    VIEWS[state.view]?.still ? "" : against(context),
    served ? chooser(served.choose, model.input[0]) : "",
    links(context),
    h(
      "div",
      { class: "switches" },
      ...(VIEWS[state.view]?.still ? [] : switches(context)),
      state.view ? "" : presentButton(context),
      h(
        "button",
        {
          type: "button",
          class: "single",
          key: "help",
          "aria-keyshortcuts": "?",
          on: { click: showHelp },
        },
        "Keys",
      ),
    ),
    pictures(context),
    VIEWS[state.view]?.saved ? "" : bar(context),
  );
}

/**
 * The page's first link: to the network's one Tab stop, or past the header where no network is shown.
 * @param {boolean} still
 */
function skip(still) {
  const go = () => {
    const target = document.querySelector(still ? "main h1" : ".strip [tabindex='0']");
    /** @type {HTMLElement | null} */ (target)?.focus();
  };
  return h(
    "a",
    { class: "to-network", href: "#/", on: { click: (event) => (event.preventDefault(), go()) } },
    still ? "Skip to the content" : "Skip to the network",
  );
}

/**
 * The class of the loss, which the reader can choose where a server can compute it.
 * @param {Context} context
 */
function against({ trace, served }) {
  const { model, label, several } = trace.about;
  if (!served || several) return "";
  const options = model.classes.map((/** @type {string} */ name, /** @type {number} */ at) =>
    h("option", { value: name, selected: at === label }, name),
  );
  const select = /** @type {HTMLSelectElement} */ (
    h("select", { key: "against", "aria-label": "loss against" }, ...options)
  );
  select.addEventListener("change", () => void served.against(select.value));
  return h("label", { class: "against" }, "loss against", select);
}

/**
 * The switches for the display of numbers.
 * @param {Context} context
 */
function switches({ state, store }) {
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
    h(
      "span",
      { class: "labelled" },
      h("span", { "aria-hidden": "true" }, "Colours by"),
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
 * @param {Context} context
 */
function views({ trace, state, store }) {
  const offered = Object.entries(VIEWS).filter(([view, { always }]) => always || trace.about.offers?.includes(view));
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
  const nav = h(
    "nav",
    { class: "views", "aria-label": "Views" },
    link("", "Network"),
    ...offered.map(([view, { title }]) => link(view, title)),
  );
  // on a phone the links are one row: the present one is in its middle
  requestAnimationFrame(() => {
    const current = /** @type {HTMLElement | null} */ (nav.querySelector("[aria-current]"));
    if (current) nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
  });
  return nav;
}
