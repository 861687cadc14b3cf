/** The frames around a window and around its number, and the four lines between them. */

const NS = "http://www.w3.org/2000/svg";
const LEAST = 7; // CSS pixels of a frame's side: a number of a large map may be smaller than one
const CORNERS = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
];

/** @typedef {[number, number, number, number]} Box x, y, width and height, in CSS pixels */
/**
 * @typedef {object} Marked
 * @property {Box | null} window null if no number is read
 * @property {Box} number
 * @property {Box[]} cells of the window, from its corner, if they are apart; else empty
 */

/**
 * @returns {{node: SVGElement, move: (to: Marked, duration: number, steady: boolean) => void}} move glides from the last
 *     marks in this many milliseconds, or jumps in 0; steady is the pace of a window that keeps moving
 */
export function marks() {
  const node = make("svg", { class: "frames", "aria-hidden": "true" });
  const lines = CORNERS.map(() => make("line"));
  const cells = make("path", { class: "cells" });
  const window = make("rect", { class: "over" });
  const number = make("rect", { class: "over" });
  node.append(...lines, cells, window, number);
  /** @type {Marked | null} */ let shown = null;
  let turn = 0;

  /** @param {Marked} marked */
  const draw = (marked) => {
    shown = marked;
    const apart = marked.cells.length > 0;
    node.classList.toggle("apart", apart);
    for (const each of [window, cells, ...lines]) each.toggleAttribute("hidden", !marked.window);
    if (apart) set(cells, { d: marked.cells.map(([x, y, w, h]) => `M${x} ${y}h${w}v${h}h${-w}z`).join("") });
    else cells.removeAttribute("d");
    const to = visible(marked.number);
    place(number, to);
    if (!marked.window) return;
    const from = visible(marked.window);
    place(window, from);
    set(cells, { transform: `translate(${marked.window[0]} ${marked.window[1]})` });
    lines.forEach((line, at) => {
      const [right, down] = CORNERS[at];
      const [x1, y1] = [from[0] + right * from[2], from[1] + down * from[3]];
      set(line, { x1, y1, x2: to[0] + right * to[2], y2: to[1] + down * to[3] });
    });
  };

  return {
    node,
    move: (to, duration, steady) => {
      const mine = ++turn;
      const from = shown;
      if (!duration || !from?.window || !to.window) return draw(to);
      const [window, begin] = [from.window, performance.now()];
      const step = (/** @type {number} */ now) => {
        if (mine !== turn || !node.isConnected) return;
        const passed = Math.min(1, Math.max(0, (now - begin) / duration));
        const share = steady ? passed : 1 - (1 - passed) ** 3;
        draw({
          window: between(window, /** @type {Box} */ (to.window), share),
          number: between(from.number, to.number, share),
          cells: to.cells,
        });
        if (passed < 1) requestAnimationFrame(step);
      };
      step(begin);
    },
  };
}

/**
 * @param {Box} from
 * @param {Box} to
 * @param {number} share
 */
function between(from, to, share) {
  return /** @type {Box} */ (from.map((value, at) => value + (to[at] - value) * share));
}

/**
 * At least LEAST pixels in each direction, around the same middle.
 * @param {Box} box
 * @returns {Box}
 */
function visible([x, y, width, height]) {
  const [wide, tall] = [Math.max(LEAST, width), Math.max(LEAST, height)];
  return [x - (wide - width) / 2, y - (tall - height) / 2, wide, tall];
}

/**
 * @param {SVGElement} rect
 * @param {Box} box
 */
function place(rect, [x, y, width, height]) {
  set(rect, { x, y, width, height });
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 */
function make(tag, attributes = {}) {
  const node = /** @type {SVGElement} */ (document.createElementNS(NS, tag));
  set(node, attributes);
  return node;
}

/**
 * @param {SVGElement} node
 * @param {Record<string, string | number>} attributes
 */
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
}
