/**
 * Links to hand out: to the place that is shown, to the step of a lesson, to a start in presentation mode. And the link
 * to another page in the same folder, if the document names one.
 */

import { h } from "../element.js";
import { address } from "../store.js";

/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {{lesson: boolean, present: boolean}} Wanted whether the link has the lesson, and presents */

const GAP = 6; // pixels between the button and its box
const EDGE = 8; // pixels between the box and the edge of the page
const MODE = "present"; // in the address of a page in presentation mode, which is then 1

/**
 * A link to a state. A file's begins with its name: its path exists on one machine only.
 * @param {{protocol: string, href: string}} page
 * @param {PageState} state
 * @param {Wanted} wanted
 */
export function linkTo({ protocol, href }, state, { lesson, present }) {
  const [whole] = href.split("#");
  const page = protocol === "file:" ? whole.slice(whole.lastIndexOf("/") + 1) : whole;
  const [place, search = ""] = address(lesson ? state : { ...state, lesson: "" }).split("?");
  const query = new URLSearchParams(search);
  query.delete(MODE);
  if (present) query.set(MODE, "1");
  const rest = query.toString().replaceAll("%2C", ",");
  return page + place + (rest ? `?${rest}` : "");
}

/**
 * The header's part: the link to the page beside this one, and the button that copies the link to what is shown. A
 * notebook's frame has no address, and no button.
 * @param {import("../context.js").Context} context
 */
export function links({ trace, store }) {
  const { beside } = trace.about;
  const other = beside && h("a", { href: beside.href, title: `${beside.href}, in the same folder` }, beside.title);
  return h("div", { class: "links" }, other, linkButton(store, "link"));
}

/**
 * The button that copies the link to what is shown; null where there is no address.
 * @param {PageStore} store
 * @param {string} key
 */
export function linkButton(store, key) {
  if (window.location.protocol === "about:") return null;
  const button = h("button", { type: "button", key, "aria-haspopup": "dialog" }, "Copy link");
  button.addEventListener("click", () => void open(button, store.get()));
  return button;
}

/**
 * Copies the link, and opens a box that shows it and offers others.
 * @param {HTMLElement} button
 * @param {PageState} state
 */
async function open(button, state) {
  document.getElementById("share")?.remove();
  const link = /** @type {HTMLInputElement} */ (
    h("input", { type: "text", class: "link", readonly: true, "aria-label": "Link", "aria-describedby": "share-said" })
  );
  const said = h("p", { role: "status", id: "share-said", class: "said" });
  const lesson = tick("With this step of the lesson", state.lesson !== "");
  const present = tick("Start in presentation mode", new URLSearchParams(address(state).split("?")[1]).has(MODE));
  const close = h("button", { type: "button", class: "close", "aria-label": "Close" }, "×");
  const box = h(
    "div",
    { id: "share", class: "share", role: "dialog", "aria-label": "A link to hand out", popover: "auto" },
    h("div", { class: "top" }, said, close),
    link,
    state.lesson && lesson.label,
    !state.view && present.label, // there is nothing to present in the other views
    h("p", { class: "note" }, reach(window.location)),
  );
  const copy = async () => {
    link.value = linkTo(window.location, state, { lesson: lesson.input.checked, present: present.input.checked });
    said.textContent = (await copied(link)) ? "Copied" : "Copy it with Ctrl+C or ⌘C";
  };
  for (const { input } of [lesson, present]) input.addEventListener("change", () => void copy());
  close.addEventListener("click", () => box.hidePopover());
  box.addEventListener("keydown", (event) => event.stopPropagation()); // the page's own keys rest meanwhile
  box.addEventListener("toggle", (event) => {
    if (/** @type {ToggleEvent} */ (event).newState === "closed") box.remove();
  });
  document.body.append(box);
  box.showPopover();
  below(box, button.getBoundingClientRect());
  link.focus();
  await copy();
}

/**
 * @param {string} text
 * @param {boolean} checked
 */
function tick(text, checked) {
  const input = /** @type {HTMLInputElement} */ (h("input", { type: "checkbox", checked }));
  return { input, label: h("label", {}, input, text) };
}

/**
 * @param {HTMLInputElement} link
 * @returns {Promise<boolean>} whether the browser has copied it; it is selected in any case
 */
async function copied(link) {
  link.select();
  try {
    await navigator.clipboard.writeText(link.value);
    return true;
  } catch {
    return document.execCommand("copy"); // where a page may not use the clipboard by itself
  }
}

/**
 * Who can open the link.
 * @param {Location} page
 */
function reach({ protocol, hostname }) {
  if (protocol === "file:") {
    return (
      "The name of this file, and the place in it. It leads there from a page or document in the same folder. Or open " +
      "the file and put the part from # behind its address."
    );
  }
  if (hostname === "127.0.0.1" || hostname === "localhost") {
    return (
      "This link works on this machine, while Pellucid runs. “pellucid lessons --html” and “pellucid explain --html” " +
      "write a file to hand out."
    );
  }
  return "Whoever can open this page can open the link.";
}

/**
 * Places the box under its button, within the page.
 * @param {HTMLElement} box
 * @param {DOMRect} button
 */
function below(box, button) {
  const { width, height } = box.getBoundingClientRect();
  const page = document.documentElement;
  const left = Math.max(EDGE, Math.min(button.right - width, page.clientWidth - width - EDGE));
  const top = Math.max(EDGE, Math.min(button.bottom + GAP, window.innerHeight - height - EDGE));
  box.style.setProperty("left", `${left}px`);
  box.style.setProperty("top", `${top}px`);
}
