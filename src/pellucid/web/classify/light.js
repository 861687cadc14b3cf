/**
 * A PNG's values as 8 bits: which value is black and which is white, the gamma, transparency on white. As in Pellucid's
 * pictures/levels.py, pictures/render.py and pictures/profile.py.
 */

/** @typedef {import("./png.js").Samples} Samples */
/** @typedef {import("./png.js").Chunks} Chunks */
/** @typedef {[number, number]} Range black, white */

const WHITES = [8, 10, 12, 14, 16].map((bits) => 2 ** bits - 1);
/** @type {Range} */
const FULL = [0, 65535];
const MOST = 512; // rows and columns that are looked at, to choose a range
const FEW = 100;
const EXCEPTIONS = 1000;
const LEVELS = 16;
const SRGB = 1 / 2.2;

/**
 * The picture without its transparency.
 * @param {Samples} read
 * @param {Chunks} parts
 * @param {Range | null} measured the model's range; null if it was trained without such pictures
 * @returns {import("./resize.js").Image}
 */
export function lit(read, parts, measured) {
  const { width, height, channels, values } = read;
  const colours = channels < 3 ? 1 : 3;
  const [black, white] = read.bits === 8 ? [0, 255] : (measured ?? alone(read, parts));
  const curve = gammaCurve(parts);
  const factor = Math.fround(255 / (white - black));
  const data = new Uint8Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = values[pixel * channels + (colours === 3 ? channel : 0)];
      const share = Math.max(0, Math.min(255, Math.fround((value - black) * factor)));
      const light = Math.floor((curve && colours === 1 ? between(curve, share) : share) + 0.5);
      data[3 * pixel + channel] = curve && colours === 3 ? curve[light] : light;
    }
  }
  return { width, height, data };
}

/**
 * The picture on white where it is transparent.
 * @param {import("./resize.js").Image} image
 * @param {Samples} read
 */
export function onWhite({ width, height, data }, { channels, values, bits, transparent }) {
  const colours = channels < 3 ? 1 : 3;
  if (colours === channels && !transparent) return { width, height, data };
  const most = 2 ** bits - 1;
  const made = new Uint8Array(data);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = pixel * channels;
    const clear = transparent?.every((value, channel) => values[from + channel] === value) ?? false;
    const alpha = clear ? 0 : colours === channels ? 1 : Math.fround(values[from + colours] / most);
    for (let at = 3 * pixel; at < 3 * pixel + 3; at++) {
      made[at] = Math.floor(data[at] * alpha + 255 * (1 - alpha) + 0.5);
    }
  }
  return { width, height, data: made };
}

/**
 * The curve of a PNG that states a gamma and neither a profile nor sRGB; null if it changes little.
 * @param {Chunks} parts
 */
export function gammaCurve(parts) {
  const [stated] = parts.get("gAMA") ?? [];
  if (!stated || parts.has("sRGB") || parts.has("iCCP")) return null;
  const gamma = new DataView(stated.buffer, stated.byteOffset, 4).getUint32(0) / 100000;
  if (!(gamma >= 0.1 && gamma <= 10) || Math.abs(gamma - SRGB) < 0.02) return null;
  return Uint8Array.from({ length: 256 }, (_, level) => {
    const light = (level / 255) ** (1 / gamma);
    const encoded = light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055;
    return Math.floor(encoded * 255 + 0.5);
  });
}

/**
 * Between a curve's points, which are coarse at the dark end.
 * @param {Uint8Array} curve
 * @param {number} at 0 to 255
 */
function between(curve, at) {
  const low = Math.min(254, Math.floor(at));
  return curve[low] + (curve[low + 1] - curve[low]) * (at - low);
}

/**
 * The range of a file that is judged alone: see choose(pool, alone=True) in levels.py.
 * @param {Samples} read
 * @param {Chunks} parts
 * @returns {Range}
 */
function alone(read, parts) {
  const values = usable(pool(read));
  if (!values.length || values.every((value) => value % 257 === 0)) return FULL;
  const high = highest(values);
  const stated = significant(read, parts);
  if (stated && stated[0] <= values[0] && high <= stated[1]) return stated;
  return [0, WHITES.find((white) => high <= white) ?? FULL[1]];
}

/**
 * The values of evenly spread rows and columns, sorted.
 * @param {Samples} read
 */
function pool({ width, height, channels, values, transparent }) {
  const colours = channels < 3 ? 1 : 3;
  const picked = [];
  for (const row of spread(height)) {
    for (const column of spread(width)) {
      const from = (row * width + column) * channels;
      const pixel = values.subarray(from, from + colours);
      if (colours < channels && values[from + colours] === 0) continue;
      if (transparent && !pixel.some((value, channel) => value !== transparent[channel])) continue;
      picked.push(...pixel);
    }
  }
  return Uint16Array.from(picked).sort();
}

/**
 * At most `MOST` whole numbers below a length, evenly spread, as NumPy's linspace.
 * @param {number} length
 */
function spread(length) {
  const count = Math.min(MOST, length);
  const step = count > 1 ? (length - 1) / (count - 1) : 0;
  return Array.from({ length: count }, (_, at) => (at === count - 1 ? length - 1 : Math.trunc(at * step)));
}

/**
 * Without a repeated largest value that lies further from all others than they are apart: "no data".
 * @param {Uint16Array} values sorted
 */
function usable(values) {
  const most = values[values.length - 1];
  const rest = values.subarray(0, values.indexOf(most));
  const repeated = values.length - rest.length;
  if (repeated <= 1 || repeated > rest.length || rest.length < LEVELS) return values;
  const [low, high] = [rest[0], rest[rest.length - 1]];
  return most - high > high - low && new Set(rest).size >= LEVELS ? rest : values;
}

/**
 * The largest value that is no outlier.
 * @param {Uint16Array} values sorted
 */
function highest(values) {
  const out = values.length >= FEW ? Math.ceil(values.length / EXCEPTIONS) : 0;
  const [low, high] = [values[out], values[values.length - 1 - out]];
  const most = values[values.length - 1];
  return most <= high + 0.5 * (high - low) ? most : high;
}

/**
 * The range that the chunk sBIT states.
 * @param {Samples} read
 * @param {Chunks} parts
 * @returns {Range | null}
 */
function significant(read, parts) {
  const [stated] = parts.get("sBIT") ?? [];
  if (!stated) return null;
  const bits = Math.max(...stated.subarray(0, 3));
  if (bits < 8 || bits >= 16) return null;
  const white = 2 ** bits - 1;
  const colours = read.channels < 3 ? 1 : 3;
  // alpha does not count: it uses all bits
  const within = read.values.every((value, at) => at % read.channels >= colours || value <= white);
  return within ? [0, white] : FULL;
}
