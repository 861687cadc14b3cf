/** A moment of a training: the prediction for a picture, and a layer's filters, maps and gradients. */

import { drawImage, pixelImage, signedImage } from "../colors.js";
import { h, sharpCanvas } from "../element.js";
import { number, percent } from "../format.js";
import { largest, of, probabilities, scaled } from "./frames.js";

/** @typedef {import("./frames.js").Frames} Frames */
/** @typedef {import("./frames.js").Kind} Kind */
/** @typedef {import("./frames.js").Layer} Layer */
/** @typedef {import("./frames.js").Replay} Replay */
/** @typedef {import("./frames.js").Tensors} Tensors */

const CLASSES = 10; // shown of many
const GAP = 6;
const LARGEST = { weight: 48, output: 84, gradient: 84 };
const SMALLEST = 20;

/**
 * The display of a frame, redrawn in place.
 * @param {Replay} replay
 */
export function createMoment(replay) {
  const odds = createOdds(replay);
  const walls = { weight: wall(), output: wall(), gradient: wall() };
  return {
    odds: odds.node,
    walls: [walls.weight.node, walls.output.node, walls.gradient.node],
    /**
     * @param {object} scene
     * @param {Frames} scene.frames
     * @param {Tensors} scene.frame
     * @param {number} scene.picture
     * @param {Layer} scene.layer
     * @param {boolean} scene.fixed one scale of colours over the whole training
     * @param {number} scene.width
     */
    draw({ frames, frame, picture, layer, fixed, width }) {
      odds.draw(probabilities(frame, picture, replay.several), picture);
      for (const kind of /** @type {const} */ (["weight", "output", "gradient"])) {
        const drawn = walls[kind];
        drawn.node.hidden = !frame.has(`${layer.name}/${kind}`);
        if (drawn.node.hidden) continue;
        const now = largest(frame, layer.name, kind, picture);
        const most = fixed ? frames.largest(layer.name, kind, picture) : now;
        const [title, seen, images] = tiles({ replay, frame, kind, layer, picture, limit: most });
        const scaleNote = fixed ? `${seen}, now up to ±${number(now, false, 3)}` : seen;
        drawn.draw(title, scaleNote, images, width);
      }
    },
  };
}

/**
 * Bars in the order of the classes: each stays in its place while it grows. Of many classes only some.
 * @param {Pick<Replay, "classes" | "several"> & {pictures: {labels: string[]}[]}} replay
 */
export function createOdds(replay) {
  const { classes } = replay;
  const node = h("ul", { class: "odds" });
  let before = "";
  return {
    node,
    /**
     * @param {number[]} odds
     * @param {number} picture
     */
    draw(odds, picture) {
      const own = replay.pictures[picture].labels.map((name) => classes.indexOf(name));
      const first = called(replay, odds);
      const shown = classes.length <= CLASSES ? classes.map((_, at) => at) : chosen(odds, own);
      if (before !== shown.join()) {
        before = shown.join();
        node.replaceChildren(
          ...shown.map((at) => h("li", {}, h("span", {}, classes[at]), h("i", {}, h("i", {})), h("b", {}))),
        );
      }
      shown.forEach((at, row) => {
        const item = /** @type {HTMLElement} */ (node.children[row]);
        item.className = `${own.includes(at) ? "true" : ""} ${first.includes(at) ? "first" : ""}`;
        const bar = /** @type {HTMLElement} */ (item.querySelector("i > i"));
        bar.style.setProperty("width", `${100 * odds[at]}%`);
        /** @type {HTMLElement} */ (item.querySelector("b")).textContent = percent(odds[at]);
      });
    },
  };
}

/**
 * The network's answer: the most probable class; with several labels, all from 1/2 on, since thresholds are chosen
 * when the training has ended. None if the scores are not finite.
 * @param {Pick<Replay, "several">} replay
 * @param {number[]} odds
 */
export function called({ several }, odds) {
  if (several) return odds.flatMap((each, at) => (each >= 0.5 ? [at] : []));
  return [odds.indexOf(Math.max(...odds))].filter((at) => at >= 0);
}

/**
 * If there are many classes: the true ones and the most probable, in their order.
 * @param {number[]} odds
 * @param {number[]} own
 */
function chosen(odds, own) {
  const order = odds.map((_, at) => at).sort((a, b) => odds[b] - odds[a]);
  return [...new Set([...own, ...order])].slice(0, CLASSES).sort((a, b) => a - b);
}

/**
 * @typedef {object} Tiles
 * @property {number} count
 * @property {number} aspect width divided by height
 * @property {number} side wanted
 * @property {(at: number) => ImageData} image
 */

/**
 * @param {object} about
 * @param {Replay} about.replay
 * @param {Tensors} about.frame
 * @param {Kind} about.kind
 * @param {Layer} about.layer
 * @param {number} about.picture
 * @param {number} about.limit the number with the full colour
 * @returns {[string, string, Tiles]} title, the meaning of the colours, and the images
 */
function tiles({ replay, frame, kind, layer, picture, limit }) {
  const { shape } = of(frame, `${layer.name}/${kind}`);
  const full = `full colour at ±${number(limit, false, 3)}`;
  const some = (/** @type {number} */ shown, /** @type {number} */ all) =>
    shown < all ? `the first ${shown} of ${all}` : `${all}`;
  if (kind === "weight") {
    const [count, inputs, rows, columns] = shape;
    const size = rows * columns;
    const name = `${layer.name}/weight`;
    const colored = inputs === 3 && layer.name === replay.layers.find(({ weight }) => weight)?.name;
    const image = (/** @type {number} */ at) => {
      const all = scaled(frame, name, at * inputs * size, inputs * size, at);
      const kernels = Array.from({ length: inputs }, (_, from) => all.subarray(from * size, (from + 1) * size));
      return colored
        ? pixelImage(kernels, columns, rows, -limit || -1, limit || 1)
        : signedImage(kernels[0], columns, rows, limit);
    };
    const title = `Filters of ${layer.name}: ${some(count, layer.shape[0])}`;
    const seen = colored
      ? `in colour, grey is 0; full at ±${number(limit, false, 3)}`
      : `each shown by its first kernel; ${full}`;
    return [title, seen, { count, aspect: columns / rows, side: LARGEST.weight, image }];
  }
  const what = kind === "output" ? ["Maps", "Outputs"] : ["Gradients of the maps", "Gradients of the outputs"];
  const name = `${layer.name}/${kind}`;
  if (shape.length === 2) {
    const all = scaled(frame, name, picture * shape[1], shape[1], picture);
    const image = (/** @type {number} */ at) => signedImage(all.subarray(at, at + 1), 1, 1, limit);
    const title = `${what[1]} of ${layer.name}: ${some(shape[1], layer.shape[0])}`;
    return [title, full, { count: shape[1], aspect: 1, side: 24, image }];
  }
  const [, count, rows, columns] = shape;
  const size = rows * columns;
  const image = (/** @type {number} */ at) => {
    const which = picture * count + at;
    return signedImage(scaled(frame, name, which * size, size, which), columns, rows, limit);
  };
  const reduced = rows < layer.shape[1] || columns < layer.shape[2];
  const title = `${what[0]} of ${layer.name}: ${some(count, layer.shape[0])}`;
  const seen = reduced ? `${layer.shape[1]} × ${layer.shape[2]}, averaged to ${rows} × ${columns}; ${full}` : full;
  return [title, seen, { count, aspect: columns / rows, side: LARGEST[kind], image }];
}

/** Images side by side on one canvas, which stays when they change. */
export function wall() {
  const title = h("h2", {});
  const note = h("span", { class: "wall-scale" });
  const holder = h("div", { role: "img" });
  const node = h("section", { class: "wall-of" }, h("header", {}, title, note), holder);
  let size = "";
  /** @type {CanvasRenderingContext2D | null} */ let surface = null;
  return {
    node,
    /**
     * @param {string} called
     * @param {string} scale
     * @param {Tiles} tiles
     * @param {number} width
     */
    draw(called, scale, { count, aspect, side: wanted, image }, width) {
      const inARow = Math.max(1, Math.min(count, Math.floor((width + GAP) / (SMALLEST + GAP))));
      const rows = Math.ceil(count / Math.max(1, Math.min(count, Math.ceil((width + GAP) / (wanted + GAP)))));
      // two full rows rather than one and a half
      const columns = Math.min(inARow, Math.ceil(count / rows));
      const side = Math.max(SMALLEST, Math.min(wanted, Math.floor((width + GAP) / columns) - GAP));
      const tall = Math.max(4, Math.round(side / aspect));
      const lines = Math.ceil(count / columns);
      const [across, down] = [columns * (side + GAP) - GAP, lines * (tall + GAP) - GAP];
      if (size !== `${across}/${down}/${devicePixelRatio}` || !surface) {
        size = `${across}/${down}/${devicePixelRatio}`;
        const made = sharpCanvas(across, down);
        surface = made.surface;
        holder.replaceChildren(made.canvas);
      }
      surface.clearRect(0, 0, across, down);
      for (let at = 0; at < count; at++) {
        const [x, y] = [(at % columns) * (side + GAP), Math.floor(at / columns) * (tall + GAP)];
        drawImage(surface, image(at), [x, y, side, tall]);
      }
      if (title.textContent !== called) title.textContent = called;
      if (note.textContent !== scale) note.textContent = scale;
      holder.setAttribute("aria-label", `${called}; ${scale}`);
      return { columns, across: side + GAP, down: tall + GAP };
    },
  };
}
