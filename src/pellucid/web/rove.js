/** One Tab stop for all buttons of a row: within it, the arrow keys, Home and End move the focus. */

/** @param {HTMLElement} row */
export function rove(row) {
  row.addEventListener("focusin", ({ target }) => stopAt(row, /** @type {Element} */ (target).closest("button")));
  row.addEventListener("keydown", (event) => {
    const all = buttons(row);
    const here = all.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = { ArrowLeft: here - 1, ArrowUp: here - 1, ArrowRight: here + 1, ArrowDown: here + 1 }[event.key];
    const end = { Home: 0, End: all.length - 1 }[event.key];
    const next = end ?? to;
    if (here < 0 || next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation(); // elsewhere on the page an arrow goes to the next number
    all[next]?.focus();
  });
}

/**
 * Makes a button the row's Tab stop; the first one without.
 * @param {HTMLElement} row
 * @param {Element | null} [button]
 */
export function stopAt(row, button) {
  const all = buttons(row);
  const chosen = all.find((each) => each === button) ?? all[0];
  for (const each of all) each.tabIndex = each === chosen ? 0 : -1;
}

/** @param {HTMLElement} row */
function buttons(row) {
  return /** @type {HTMLElement[]} */ ([...row.querySelectorAll("button")]);
}
