/**
 * Draws a page anew around the controls that the reader may be holding. A slider that leaves the document, even for a
 * moment, ends the drag that has begun on it.
 */

import { actAs } from "./element.js";
import { dress } from "./number/morph.js";

/** @type {WeakMap<Element, (old: any) => void>} */
const staying = new WeakMap();

/**
 * Lets a control stay in the document when the page draws another in its place.
 * @template {HTMLElement} Control
 * @param {Control} fresh has a key
 * @param {(old: Control) => void} adopt what the other's drawing does with the control that stays instead of `fresh`
 */
export function stays(fresh, adopt) {
  staying.set(fresh, adopt);
}

/**
 * @param {Element} main
 * @param {Node[]} parts its new content, which is used up
 * @returns {boolean} whether a control has stayed; otherwise nothing is changed
 */
export function drawAround(main, parts) {
  const fresh = document.createElement("main");
  fresh.append(...parts);
  if (pairs(main, fresh).size) return (weave(main, fresh), true);
  fresh.replaceChildren();
  return false;
}

/**
 * @param {Element} old
 * @param {Element} fresh
 */
function weave(old, fresh) {
  const adopt = staying.get(fresh);
  // other limits would move a slider under the reader's finger
  if (old.matches("input:active")) actAs(old, fresh);
  else dress(old, fresh);
  if (adopt && staying.has(old)) {
    staying.set(old, adopt);
    adopt(old);
    return;
  }
  const paired = pairs(old, fresh);
  const kept = new Set(paired.values());
  for (const child of [...old.childNodes]) if (!kept.has(/** @type {Element} */ (child))) child.remove();
  let before = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = paired.get(/** @type {Element} */ (child));
    if (!same) old.insertBefore(child, before);
    else {
      before = same.nextSibling;
      weave(same, /** @type {Element} */ (child));
    }
  }
}

/**
 * The children of `fresh` that hold a control which stays, each with the child of `old` that has it.
 * @param {Element} old
 * @param {Element} fresh
 * @returns {Map<Element, Element>}
 */
function pairs(old, fresh) {
  const all = new Map();
  for (const child of fresh.children) {
    const keys = controls(child);
    const same = [...old.children].find((each) => each.nodeName === child.nodeName && String(controls(each)) === keys);
    if (keys && same) all.set(child, same);
  }
  return all;
}

/**
 * The keys of the controls in an element that stay.
 * @param {Element} node
 */
function controls(node) {
  const all = [node, ...node.querySelectorAll("input[data-key]")];
  return all
    .filter((each) => staying.has(each))
    .map((each) => /** @type {HTMLElement} */ (each).dataset.key)
    .join();
}
