/** The distribution of a layer's numbers. */

import { css, signs } from "../colors.js";
import { h, sharpCanvas } from "../element.js";
import { counted, number } from "../format.js";

const BINS = 40;
const [WIDTH, HEIGHT] = [280, 64];

/** @param {ArrayLike<number>} data */
export function histogram(data) {
  let low = Infinity;
  let high = -Infinity;
  for (let at = 0; at < data.length; at++) {
    if (!Number.isFinite(data[at])) continue;
    low = Math.min(low, data[at]);
    high = Math.max(high, data[at]);
  }
  if (!(high > low)) return null;
  const counts = new Array(BINS).fill(0);
  let zeros = 0;
  for (let at = 0; at < data.length; at++) {
    if (data[at] === 0) zeros += 1;
    if (Number.isFinite(data[at]))
      counts[Math.min(BINS - 1, Math.floor((BINS * (data[at] - low)) / (high - low)))] += 1;
  }
  const most = Math.max(...counts);
  const { canvas, surface } = sharpCanvas(WIDTH, HEIGHT);
  const [above, below] = signs().map(css);
  counts.forEach((count, bin) => {
    const middle = low + ((bin + 0.5) * (high - low)) / BINS;
    surface.fillStyle = middle < 0 ? below : above;
    // the square root, because one tall bar of zeros would hide the others
    const tall = count ? Math.max(1, HEIGHT * Math.sqrt(count / most)) : 0;
    surface.fillRect((bin * WIDTH) / BINS, HEIGHT - tall, WIDTH / BINS - 1, tall);
  });
  const summary = `${counted(data.length)} numbers from ${number(low)} to ${number(high)}, ${counted(zeros)} of them zero`;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Histogram: ${summary}`);
  return h(
    "figure",
    { class: "histogram" },
    h("figcaption", {}, `${summary}; heights show the square roots of the counts`),
    canvas,
    h(
      "p",
      { class: "legend ends", "aria-hidden": "true" },
      h("span", {}, number(low, false, 3)),
      h("span", {}, number(high, false, 3)),
    ),
  );
}
