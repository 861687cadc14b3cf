/** Keeps the control that the reader uses in its place on the screen while the page around it is redrawn. */

/**
 * @param {HTMLElement} main
 * @returns {() => void} scrolls by as much as the focused control has moved
 */
export function anchored(main) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const key = focused && main.contains(focused) ? focused.dataset.key : undefined;
  if (!focused || !key) return () => {};
  const { top } = focused.getBoundingClientRect();
  return () => {
    const now = /** @type {HTMLElement | null} */ (main.querySelector(`[data-key="${CSS.escape(key)}"]`));
    if (now) window.scrollBy({ top: now.getBoundingClientRect().top - top, behavior: "instant" });
  };
}
