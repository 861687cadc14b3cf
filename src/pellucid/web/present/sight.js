/** Tiles of a wall that are drawn once they are in sight: five hundred maps need not be loaded to show twenty. */

/** @typedef {import("../colors.js").Place} Place */

/**
 * @param {(at: number, surface: CanvasRenderingContext2D, place: Place) => Promise<void>} draw
 */
export function inSight(draw) {
  /** @type {{at: number, surface: CanvasRenderingContext2D, place: Place}[]} */
  let waiting = [];
  return {
    /** @param {number} at @param {CanvasRenderingContext2D} surface @param {Place} place in its canvas */
    add: (at, surface, place) => void waiting.push({ at, surface, place }),
    /**
     * Draws what this element shows of its canvas, now and whenever it is scrolled or resized.
     * @param {HTMLElement} box
     */
    within: (box) => {
      const look = () => {
        const canvas = box.querySelector("canvas");
        if (!canvas || !box.isConnected) return;
        const shown = box.getBoundingClientRect();
        const from = canvas.getBoundingClientRect().top;
        const [low, high] = [Math.max(0, shown.top) - from, Math.min(window.innerHeight, shown.bottom) - from];
        const seen = waiting.filter(({ place: [, top, , tall] }) => top + tall > low && top < high);
        waiting = waiting.filter((each) => !seen.includes(each));
        for (const { at, surface, place } of seen) void draw(at, surface, place).catch(reportError);
        if (!waiting.length) stop();
      };
      const resized = new ResizeObserver(look);
      const stop = () => {
        resized.disconnect();
        window.removeEventListener("scroll", scrolled, { capture: true });
      };
      const scrolled = () => (box.isConnected ? look() : stop());
      resized.observe(box);
      window.addEventListener("scroll", scrolled, { capture: true, passive: true });
      return box;
    },
  };
}
