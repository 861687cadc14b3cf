/** Presentation mode: the class on the document, the button, and the sentence for a screen reader. */

import { h } from "../element.js";

/** @typedef {import("../store.js").PageState} PageState */

const BEGUN = "Presentation mode. P or Escape leaves it.";
const LEFT = "Presentation mode is over.";

/**
 * Whether the mode is on. Lists and tables have no equation, so they look as always.
 * @param {PageState} state
 */
export function presenting({ present, view }) {
  return present && !view;
}

/**
 * Marks the document, so that every view's style may depend on the mode.
 * @param {Document} page
 * @param {import("../store.js").PageStore} store
 */
export function mode(page, store) {
  const said = h("p", { class: "hidden", role: "status" });
  page.body.prepend(said);
  let before = false;
  const show = (/** @type {PageState} */ state) => {
    const now = presenting(state);
    page.documentElement.classList.toggle("presenting", now);
    if (now !== before) said.textContent = now ? BEGUN : LEFT;
    before = now;
  };
  show(store.get());
  store.subscribe(show);
}

/**
 * The button that begins the mode.
 * @param {import("../context.js").Context} context
 */
export function presentButton({ store }) {
  return h(
    "button",
    {
      type: "button",
      class: "single",
      key: "present",
      "aria-keyshortcuts": "P",
      on: { click: () => store.set({ present: true }, true) },
    },
    "Present",
  );
}
