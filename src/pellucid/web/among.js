/** Arrow keys among buttons in rows. */

/**
 * For the list's keydown: right and left move to the next and the previous button, up and down by a row.
 * @param {KeyboardEvent} event
 */
export function moveAmong(event) {
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  const all = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("button")]);
  const here = all.indexOf(/** @type {HTMLElement} */ (event.target));
  const top = all[0]?.getBoundingClientRect().top;
  const row = Math.max(1, all.filter((each) => each.getBoundingClientRect().top === top).length);
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
  if (!step || here < 0) return;
  event.preventDefault();
  event.stopPropagation();
  all[here + step]?.focus();
}
