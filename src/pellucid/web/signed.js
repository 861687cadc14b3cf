/**
 * The colours of signed numbers, as a table: amber above zero, blue below, paper at zero. People with any common colour
 * deficiency can tell them apart. On white paper the same as glassbox/why/colormap.py, to the level.
 */

/** @typedef {[number, number, number]} Color red, green and blue, 0 to 255 */
/**
 * @typedef {object} Theme
 * @property {Color} paper
 * @property {[Color, Color]} above the colour at MIDDLE of the scale, and the one at its end
 * @property {[Color, Color]} below
 */

/** @type {Theme} */
export const LIGHT = {
  paper: [255, 255, 255],
  above: [
    [226, 140, 40],
    [115, 42, 12],
  ],
  below: [
    [78, 138, 235],
    [20, 34, 110],
  ],
};

/** @type {Theme} */
export const DARK = {
  paper: [27, 30, 35],
  above: [
    [196, 112, 22],
    [255, 226, 140],
  ],
  below: [
    [52, 104, 214],
    [196, 222, 255],
  ],
};

export const MIDDLE = 0.6;
export const STEPS = 255; // colours on each side of zero
export const STRONGEST = 0.85; // opacity of a colour over a picture: the picture can still be seen under it

/** Weights of red, green and blue in grey, ITU-R BT.601. */
export const LUMA = [0.299, 0.587, 0.114];

/** @type {Map<Theme, Uint32Array>} */
const palettes = new Map();

/**
 * Colours of -1 to 1 as pixels: 2 * STEPS + 1 of them.
 * @param {Theme} theme
 */
export function palette(theme) {
  const known = palettes.get(theme);
  if (known) return known;
  const colors = new Uint8Array(4 * (2 * STEPS + 1)).fill(255);
  for (let step = -STEPS; step <= STEPS; step++) {
    const [middle, end] = step < 0 ? theme.below : theme.above;
    const share = Math.abs(step) / STEPS;
    const [from, to, part] =
      share < MIDDLE ? [theme.paper, middle, share / MIDDLE] : [middle, end, (share - MIDDLE) / (1 - MIDDLE)];
    for (let color = 0; color < 3; color++) {
      colors[4 * (step + STEPS) + color] = from[color] + (to[color] - from[color]) * part;
    }
  }
  const pixels = new Uint32Array(colors.buffer);
  palettes.set(theme, pixels);
  return pixels;
}
