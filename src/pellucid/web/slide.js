/** The window slides from where it stood to where it stands: 180 ms, or at once where motion is not wanted. */

const DURATION = 180;

/**
 * @param {HTMLElement} main
 * @param {import("./store.js").State | null} before
 * @param {import("./store.js").State} now
 */
export function slide(main, before, now) {
  if (!before?.index || !now.index || before.name !== now.name || before.direction !== now.direction) return;
  if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const down = (now.index.at(-2) ?? 0) - (before.index.at(-2) ?? 0);
  const across = (now.index.at(-1) ?? 0) - (before.index.at(-1) ?? 0);
  if (Math.abs(down) + Math.abs(across) !== 1) return;
  for (const cell of /** @type {NodeListOf<HTMLElement>} */ (
    main.querySelectorAll("[data-key^='window/'].on, [data-key^='own/'].on")
  )) {
    const from = `translate(${-100 * across}%, ${-100 * down}%)`;
    cell.animate([{ transform: from }, { transform: "none" }], {
      duration: DURATION,
      easing: "ease-out",
      pseudoElement: "::after",
    });
  }
}
