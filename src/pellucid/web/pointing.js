/** The number under the mouse, or the focused cell: one name beside it, one mark on it, wherever numbers are drawn. */

import { h } from "./element.js";

/** @typedef {import("./colors.js").Place} Place */
/** @typedef {{says: string, place: Place}} Pointed a number's name and value; its place in its element, in CSS pixels */

const CELLS = "[data-says], .grid td[aria-label]"; // cells of a table that say themselves which number they are
const AWAY = 10; // pixels between a cell and its name
const LEAST = 6; // pixels of the smallest mark

const name = h("div", { class: "number-name", "aria-hidden": "true", hidden: true });
const mark = h("i", { class: "pointed" });
/** @type {Element | null} */ let holder = null;
/** What the reader has dismissed: it stays away until another number is named. @type {{of: Element, says: string} | null} */
let dismissed = null;

/**
 * Makes the numbers of a drawing nameable. The element must be positioned.
 * @param {HTMLElement} element
 * @param {(x: number, y: number) => Pointed | null} numberAt null where no number is drawn
 */
export function pointable(element, numberAt) {
  element.addEventListener("mousemove", (event) => {
    const box = element.getBoundingClientRect();
    const pointed = numberAt(event.clientX - box.left, event.clientY - box.top);
    if (!pointed) return forget();
    const [x, y, width, height] = pointed.place;
    const [wide, tall] = [Math.max(LEAST, width), Math.max(LEAST, height)];
    const [left, top] = [x + (width - wide) / 2, y + (height - tall) / 2];
    const style = { left, top, width: wide, height: tall };
    for (const [key, value] of Object.entries(style)) mark.style.setProperty(key, `${value}px`);
    if (mark.parentElement !== element) element.append(mark);
    tell(element, pointed.says, { left: box.left + left, top: box.top + top, height: tall });
  });
  element.addEventListener("mouseleave", forget);
}

/**
 * Names the cells of tables. Their mark is their outline.
 * @param {HTMLElement} page
 */
export function listen(page) {
  const over = (/** @type {Event} */ { target }) => {
    const cell = /** @type {Element} */ (target).closest?.(CELLS);
    if (cell) beside(cell);
    else if (holder?.matches(CELLS)) forget();
  };
  page.addEventListener("mouseover", over);
  page.addEventListener("focusin", over);
  page.addEventListener("mouseleave", forget);
  page.addEventListener("focusout", forget);
  // a redraw may have taken the cell away, or have put another number into it
  const stale = () => holder && !(holder.isConnected && (!holder.matches(CELLS) || said(holder) === name.textContent));
  const observer = new MutationObserver(() => void (stale() && forget()));
  observer.observe(page, { childList: true, subtree: true, attributeFilter: ["aria-label", "data-says"] });
  // the focus may have scrolled its cell into sight
  const scrolled = () => {
    if (holder && holder === document.activeElement) beside(holder);
    else forget();
  };
  const dismiss = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || name.hidden || !holder) return;
    dismissed = { of: holder, says: name.textContent ?? "" };
    forget();
    event.stopPropagation(); // the next Escape goes back
    event.preventDefault();
  };
  document.addEventListener("keydown", dismiss, { capture: true });
  window.addEventListener("scroll", scrolled, { passive: true, capture: true });
}

/** @param {Element} cell */
function said(cell) {
  return /** @type {HTMLElement} */ (cell).dataset.says ?? cell.getAttribute("aria-label") ?? "";
}

/**
 * Names a cell outside its table, whose other numbers the reader may be comparing with it.
 * @param {Element} cell
 */
function beside(cell) {
  const { left, top, height } = cell.getBoundingClientRect();
  const table = cell.closest("table")?.getBoundingClientRect();
  tell(cell, said(cell), { left, top, height }, table);
}

/**
 * @param {Element} element
 * @param {string} says
 * @param {{left: number, top: number, height: number}} box in the window
 * @param {{top: number, bottom: number}} [around] what the name does not cover, if there is room
 */
function tell(element, says, { left, top, height }, around) {
  if (dismissed?.of === element && dismissed.says === says) return;
  dismissed = null;
  holder = element;
  if (!name.isConnected) document.body.append(name);
  name.textContent = says;
  name.hidden = false;
  const own = name.getBoundingClientRect();
  const tops = [
    around && around.top - own.height - AWAY / 2,
    around && around.bottom + AWAY / 2,
    top - own.height - AWAY,
  ];
  const room = document.documentElement.clientHeight - own.height - 4;
  const free = tops.find((each) => each !== undefined && each >= 4 && each <= room);
  name.style.setProperty(
    "left",
    `${Math.max(4, Math.min(left, document.documentElement.clientWidth - own.width - 4))}px`,
  );
  name.style.setProperty("top", `${free ?? top + height + AWAY}px`);
}

function forget() {
  holder = null;
  name.hidden = true;
  mark.remove();
}
