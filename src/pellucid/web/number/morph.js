/** Makes a drawing equal to another by changing only the differences, which is fast for neighbouring numbers. */

import { actAs } from "../element.js";

const OWN = ["CANVAS", "IMG", "INPUT", "SELECT", "TEXTAREA", "VIDEO"]; // they hold more than can be read from them

/** @type {WeakMap<Element, (fresh: Element) => void>} */
const drawnAlone = new WeakMap();

/**
 * Leaves an element's content to itself: `morph` hands it the fresh element, and changes nothing in it.
 * @param {Element} node
 * @param {(fresh: Element) => void} take
 */
export function drawsItself(node, take) {
  drawnAlone.set(node, take);
}

/**
 * @param {Element} old becomes equal to `fresh`, and keeps what it can, including the focus
 * @param {Element} fresh is used up
 */
export function morph(old, fresh) {
  if (old === fresh) return;
  if (old.nodeName !== fresh.nodeName || OWN.includes(old.nodeName)) {
    old.replaceWith(fresh);
    return;
  }
  const take = drawnAlone.get(old);
  if (take && drawnAlone.has(fresh)) return take(fresh);
  if (take || drawnAlone.has(fresh)) return old.replaceWith(fresh);
  dress(old, fresh);
  children(old, fresh);
}

/**
 * Gives an element the attributes and the event handlers of another.
 * @param {Element} old
 * @param {Element} fresh
 */
export function dress(old, fresh) {
  attributes(old, fresh);
  actAs(old, fresh);
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value) continue;
    // the page's policy forbids a style attribute, but allows its properties
    if (name === "style") /** @type {HTMLElement} */ (old).style.cssText = value;
    else old.setAttribute(name, value);
  }
  if (old.attributes.length === fresh.attributes.length) return;
  for (const { name } of [...old.attributes]) {
    const stays = name === "open" && old.nodeName === "DETAILS"; // the reader has opened it
    if (!fresh.hasAttribute(name) && !stays) old.removeAttribute(name);
  }
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function children(old, fresh) {
  let here = old.firstChild;
  let wanted = fresh.firstChild;
  while (wanted) {
    const next = wanted.nextSibling;
    if (!here) old.append(wanted);
    else {
      const after = here.nextSibling;
      if (here instanceof Element && wanted instanceof Element) morph(here, wanted);
      else if (here instanceof Text && wanted instanceof Text) {
        if (here.data !== wanted.data) here.data = wanted.data;
      } else here.replaceWith(wanted);
      here = after;
    }
    wanted = next;
  }
  while (here) {
    const after = here.nextSibling;
    here.remove();
    here = after;
  }
}
