/** What each pixel contributed, over the picture: amber for the first class, blue for the second, nothing at zero. */

import { drawImage, signedImage, signs } from "../colors.js";
import { h, sharpCanvas } from "../element.js";
import { number } from "../format.js";
import { isPicture, mapData, mapsOf } from "../layer/maps.js";
import { LUMA, STRONGEST } from "../signed.js";

/** @typedef {import("../trace.js").Trace} Trace */

const FULL = 0.995; // the share of pixels that the colour tells apart; a few would drown all others

/**
 * The map over the picture in grey, and the map alone. The mouse and the arrow keys read single pixels.
 * @param {object} about
 * @param {Trace} about.trace
 * @param {Float64Array} about.values (H, W), row by row
 * @param {[number, number]} about.size height, width
 * @param {number} about.side the longer side of each picture, in CSS pixels
 * @param {boolean} about.exact
 * @param {[string, string]} about.classes
 * @param {(row: number, column: number) => void} about.enter
 * @returns {Promise<HTMLElement>}
 */
export async function contributions({ trace, values, size: [height, width], side, exact, classes, enter }) {
  const limit = fullAt(values);
  const cell = side / Math.max(height, width);
  const [across, down] = [cell * width, cell * height];
  const over = await greyUnder(trace, values, width, height, limit);
  const alone = signedImage(values, width, height, limit);
  const readout = h("output", { class: "hover" });
  const marks = [over, alone].flatMap((image) => (image ? [h("i", { class: "chosen" })] : []));
  let here = strongest(values);
  const say = (/** @type {number} */ at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    readout.textContent = `pixel ${row}, ${column}: ${number(values[at], exact)}`;
    const box = Math.max(cell, 7);
    for (const mark of marks) {
      mark.style.setProperty("left", `${(column + 0.5) * cell - box / 2}px`);
      mark.style.setProperty("top", `${(row + 0.5) * cell - box / 2}px`);
      mark.style.setProperty("width", `${box}px`);
      mark.style.setProperty("height", `${box}px`);
    }
  };
  say(here);
  const under = (/** @type {MouseEvent} */ event) => {
    const { left, top } = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const row = Math.max(0, Math.min(height - 1, Math.floor((event.clientY - top) / cell)));
    return row * width + Math.max(0, Math.min(width - 1, Math.floor((event.clientX - left) / cell)));
  };
  const seen = (/** @type {ImageData | null} */ image, /** @type {string} */ key, /** @type {string} */ what) => {
    if (!image) return null;
    const { canvas, surface } = sharpCanvas(across, down);
    drawImage(surface, image, [0, 0, across, down]);
    canvas.setAttribute("aria-hidden", "true");
    return h(
      "figure",
      {},
      h(
        "div",
        {
          class: "large",
          key,
          tabindex: "0",
          role: "application",
          "aria-label": `${what}, ${height} rows, ${width} columns. Arrow keys move, Enter opens the pixel.`,
          "aria-describedby": "contribution",
          style: { width: `${across}px`, height: `${down}px` },
          on: {
            click: (/** @type {MouseEvent} */ event) => enter(Math.floor(under(event) / width), under(event) % width),
            mousemove: (/** @type {MouseEvent} */ event) => say((here = under(event))),
            keydown: (/** @type {KeyboardEvent} */ event) => {
              const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
              if (!step && event.key !== "Enter") return;
              event.preventDefault();
              event.stopPropagation();
              const [row, column] = [Math.floor(here / width), here % width];
              if (!step) return enter(row, column);
              const to = [row + step[0], column + step[1]];
              if (to[0] < 0 || to[0] >= height || to[1] < 0 || to[1] >= width) return;
              say((here = to[0] * width + to[1]));
            },
          },
        },
        canvas,
        marks[image === over ? 0 : marks.length - 1],
      ),
      h("figcaption", {}, what),
    );
  };
  readout.id = "contribution";
  return h(
    "div",
    { class: "contributions" },
    h("p", {}, readout),
    h(
      "div",
      { class: "row" },
      seen(over, "over", "over the picture, in grey"),
      seen(alone, "alone", "the contributions alone"),
    ),
    h(
      "p",
      { class: "legend" },
      h("span", {}, `${classes[1]} ${number(-limit, false, 3)}`),
      h("i", { class: "ramp both", "aria-hidden": "true" }),
      h("span", {}, `${number(limit, false, 3)} ${classes[0]}`),
    ),
  );
}

/**
 * The picture's brightness under the signed colours; null unless the network's input is a picture of one or three
 * channels.
 * @param {Trace} trace
 * @param {ArrayLike<number>} values
 * @param {number} width
 * @param {number} height
 * @param {number} limit
 */
export async function greyUnder(trace, values, width, height, limit) {
  const [first] = trace.nodes;
  const maps = mapsOf(trace, first.name, "forward");
  if (!maps || !isPicture(trace, first.name, "forward") || maps.width !== width || maps.height !== height) return null;
  const channels = await Promise.all(Array.from({ length: maps.channels }, (_, at) => mapData(trace, maps, at)));
  const [red, green, blue] = channels.length === 3 ? channels : [channels[0], channels[0], channels[0]];
  const [low, , high] = first.range;
  const bytes = (low ?? 0) >= 0 && (high ?? 0) > 1;
  const [black, white] = bytes ? [0, 255] : [low ?? 0, high ?? 1];
  const [above, below] = signs();
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    const luma = LUMA[0] * red[at] + LUMA[1] * green[at] + LUMA[2] * blue[at];
    const grey = (255 * (luma - black)) / (white - black || 1);
    const opacity = limit > 0 ? STRONGEST * Math.min(1, Math.abs(values[at]) / limit) : 0;
    const hue = values[at] > 0 ? above : below;
    for (let color = 0; color < 3; color++) {
      image.data[4 * at + color] = grey * (1 - opacity) + hue[color] * opacity;
    }
    image.data[4 * at + 3] = 255;
  }
  return image;
}

/** @param {Float64Array} values */
export function fullAt(values) {
  const sizes = values.map(Math.abs).sort();
  return sizes[Math.floor(FULL * (sizes.length - 1))] || (sizes.at(-1) ?? 0);
}

/** @param {Float64Array} values */
function strongest(values) {
  let best = 0;
  for (let at = 0; at < values.length; at++) if (Math.abs(values[at]) > Math.abs(values[best])) best = at;
  return best;
}
