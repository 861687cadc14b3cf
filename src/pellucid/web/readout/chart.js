/** Accuracy over layers, from the pixels to the scores: a point with its interval for each. */

import { h } from "../element.js";
import { percent } from "../format.js";

/** @typedef {{layer: string, accuracy: number, interval: [number, number]}} Known */

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, RIGHT, TOP] = [260, 44, 12, 14];
const LEVELS = ["dashed", "dotted"];
const LETTER = 6.4; // pixels of a letter of the layers' names
const LONGEST = 18; // letters of a name below the chart

/**
 * @param {Known[]} layers
 * @param {number} width in CSS pixels
 * @param {{value: number, label: string}[]} lines the first is always in sight
 * @param {string} label
 * @param {(layer: string) => void} open
 * @returns {HTMLElement} with the lines' names below, where they cover no interval
 */
export function chart(layers, width, lines, label, open) {
  const names = layers.map(({ layer }) => (layer.length > LONGEST ? `…${layer.slice(1 - LONGEST)}` : layer));
  const foot = 16 + LETTER * Math.max(...names.map(({ length }) => length));
  const step = (width - LEFT - RIGHT) / Math.max(1, layers.length);
  const x = (/** @type {number} */ at) => LEFT + (at + 0.5) * step;
  // the most frequent class may be far below everything else
  const low = Math.min(
    0.95,
    ...layers.map(({ interval }) => interval[0]),
    ...lines.slice(0, 1).map(({ value }) => value),
  );
  const bottom = Math.max(0, Math.floor(low * 20) / 20);
  const y = (/** @type {number} */ share) => TOP + ((1 - share) / (1 - bottom)) * (HEIGHT - 2 * TOP);
  const tall = HEIGHT + foot;
  const drawing = made("svg", {
    class: "readouts",
    role: "img",
    "aria-label": label,
    viewBox: `0 0 ${width} ${tall}`,
    width,
    height: tall,
  });
  const ticks = 1 - bottom > 0.5 ? 0.2 : 1 - bottom > 0.2 ? 0.1 : 0.05;
  for (let share = 1; share >= bottom - 1e-9; share -= ticks) {
    drawing.append(made("line", { class: "tick", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }));
    drawing.append(made("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${Math.round(100 * share)}%`));
  }
  const inSight = lines.filter(({ value }) => value >= bottom);
  inSight.forEach(({ value }, at) => {
    const level = `level ${LEVELS[at]}`;
    drawing.append(made("line", { class: level, x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
  });
  const points = layers.map(({ accuracy }, at) => `${x(at)},${y(accuracy)}`).join(" ");
  drawing.append(made("polyline", { class: "curve", points }));
  const every = Math.ceil(14 / step); // a name needs a line's height
  layers.forEach(({ layer, accuracy, interval }, at) => {
    const [from, to] = interval;
    const point = made("g", { class: "point" });
    point.append(
      made("title", {}, `after ${layer}: ${percent(accuracy)}`),
      made("rect", { class: "hit", x: x(at) - step / 2, y: TOP, width: step, height: HEIGHT - 2 * TOP }),
      made("line", { class: "between", x1: x(at), x2: x(at), y1: y(from), y2: y(to) }),
      made("circle", { cx: x(at), cy: y(accuracy), r: Math.min(4.5, Math.max(2, step / 4)) }),
    );
    if (at % every === 0) {
      const turned = `rotate(-90 ${x(at) + 4} ${HEIGHT + foot - 6})`;
      point.append(made("text", { x: x(at) + 4, y: HEIGHT + foot - 6, transform: turned }, names[at]));
    }
    point.addEventListener("click", () => open(layer));
    drawing.append(point);
  });
  const legend = inSight.map(({ label: name }, at) => h("span", {}, h("i", { class: LEVELS[at] }), name));
  return h("div", {}, /** @type {any} */ (drawing), h("p", { class: "levels" }, ...legend));
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {string} [text]
 */
function made(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  if (text) node.textContent = text;
  return node;
}
