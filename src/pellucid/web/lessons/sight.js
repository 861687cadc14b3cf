/** Keeps the subject of a step on screen: the largest part of it that fits beside or above the lesson's panel. */

/** What a step may be about, each from the whole to its smallest part that still shows it. @type {string[][]} */
const SUBJECTS = [
  [".sliding", ".sliding .fitted", ".sliding .boards", ".sliding .figure-sum"],
  [".number-view .equation", ".number-view .part .row", ".number-view .formula-lines", ".number-view .result"],
  [".number-view .lines", ".number-view .result"],
  [".layer-view .maps", ".layer-view .maps .map", ".layer-view .maps .large"],
  [".layer-view .units", ".layer-view .units ol > :first-child"],
  [".life-now", ".life-now .life-step", ".life-now .life-sum"],
  [".overview", ".overview canvas", ".overview .units li"],
];
const EDGE = 8; // CSS pixels around the subject

/**
 * The part of the window that no panel covers.
 * @param {DOMRect | undefined} panel
 */
function roomOf(panel) {
  const { clientWidth: width, clientHeight: height } = document.documentElement;
  if (!panel?.height) return { left: 0, top: 0, right: width, bottom: height };
  const below = panel.top > 0 && panel.left <= 0;
  return { left: 0, top: 0, right: below ? width : panel.left, bottom: below ? panel.top : height };
}

/**
 * The parts of the page that a step is about, from the whole to its smallest part.
 * @returns {HTMLElement[]}
 */
function parts() {
  for (const kinds of SUBJECTS) {
    const there = kinds
      .map((kind) => /** @type {HTMLElement | null} */ (document.querySelector(`main ${kind}`)))
      .filter((each) => each !== null && each.getClientRects().length > 0);
    if (there.length) return /** @type {HTMLElement[]} */ (there);
  }
  return [];
}

/** What the reader does to look elsewhere. */
const MOVES = ["wheel", "touchmove", "pointerdown", "keydown"];

/** @type {AbortController | null} */
let following = null;

/**
 * Marks the subject of a step, and scrolls it to where it can be seen. It stays there while the page and the panel
 * get their sizes, until the reader moves.
 */
export function intoSight() {
  following?.abort();
  once();
  const over = new AbortController();
  following = over;
  const sizes = new ResizeObserver(once);
  over.signal.addEventListener("abort", () => sizes.disconnect());
  const begun = performance.now(); // the key that leads to this step may still be on its way to the window
  const leave = (/** @type {Event} */ event) => event.timeStamp > begun && over.abort();
  for (const move of MOVES) window.addEventListener(move, leave, { signal: over.signal, passive: true });
  for (const each of document.querySelectorAll("main, .guide")) sizes.observe(each);
}

function once() {
  for (const each of document.querySelectorAll(".subject")) each.classList.remove("subject");
  const room = roomOf(document.querySelector(".guide:not([hidden])")?.getBoundingClientRect());
  const candidates = parts();
  const fits = candidates.find((each) => {
    const { width, height } = each.getBoundingClientRect();
    return height + 2 * EDGE <= room.bottom - room.top && width <= room.right - room.left;
  });
  const subject = fits ?? candidates[candidates.length - 1];
  if (!subject) return;
  subject.classList.add("subject");
  const box = subject.getBoundingClientRect();
  const above = room.top + EDGE - box.top;
  const below = box.bottom - (room.bottom - EDGE);
  if (above > 0) window.scrollBy({ top: -above, behavior: "instant" });
  else if (below > 0) window.scrollBy({ top: Math.min(below, -above), behavior: "instant" });
}
