/**
 * Brings an image to the network's input, as pictures/decode.py does: the same filter, the same rounding, the same bytes.
 *
 * Pillow (src/libImaging/Resample.c) resizes in two passes. Each sums products with whole numbers of 22 bits as weights,
 * and rounds to bytes.
 */

/** @typedef {{width: number, height: number, data: Uint8Array}} Image RGB, row by row */
/**
 * @typedef {object} Form
 * @property {number} height
 * @property {number} width
 * @property {1 | 3} channels
 * @property {"pad" | "crop" | "stretch"} fit
 * @property {number} crop
 * @property {"bilinear" | "bicubic" | "plain"} filter
 */
/** @typedef {{first: number, weights: Float64Array}[]} Windows for each output, the inputs that it sees */

const PAD = 128; // as in decode.py
const BITS = 22;

/**
 * @param {Image} image
 * @param {Form} form
 * @returns {Uint8Array} height x width x channels
 */
export function formed(image, form) {
  const { height, width, channels } = form;
  const placed = form.fit === "pad" ? padded(image, form) : filled(image, form);
  if (channels === 3) return placed;
  const grey = new Uint8Array(height * width);
  for (let at = 0; at < grey.length; at++) {
    const [red, green, blue] = [placed[3 * at], placed[3 * at + 1], placed[3 * at + 2]];
    grey[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16; // Pillow's shares, ITU-R BT.601
  }
  return grey;
}

/** @param {Image} image @param {Form} form */
function padded(image, { height, width, filter }) {
  const scale = Math.min(height / image.height, width / image.width);
  const rows = Math.max(1, even(image.height * scale));
  const columns = Math.max(1, even(image.width * scale));
  const inner = resized(image, rows, columns, [0, 0, image.width, image.height], filter);
  const whole = new Uint8Array(height * width * 3).fill(PAD);
  const top = Math.floor((height - rows) / 2);
  const left = Math.floor((width - columns) / 2);
  for (let row = 0; row < rows; row++) {
    const line = inner.subarray(row * columns * 3, (row + 1) * columns * 3);
    whole.set(line, ((top + row) * width + left) * 3);
  }
  return whole;
}

/** @param {Image} image @param {Form} form */
function filled(image, { height, width, fit, crop, filter }) {
  const scale = Math.max(height / image.height, width / image.width);
  const part = fit === "stretch" ? [image.width, image.height] : [(width / scale) * crop, (height / scale) * crop];
  const left = Math.max(0, (image.width - part[0]) / 2);
  const top = Math.max(0, (image.height - part[1]) / 2);
  const right = Math.min(image.width, left + part[0]);
  const bottom = Math.min(image.height, top + part[1]);
  return resized(image, height, width, [left, top, right, bottom], filter);
}

/**
 * @param {Image} image
 * @param {number} rows
 * @param {number} columns
 * @param {[number, number, number, number]} box left, top, right, bottom
 * @param {Form["filter"]} filter
 */
function resized(image, rows, columns, [left, top, right, bottom], filter) {
  if (filter === "plain") return interpolated(image, rows, columns, [left, top, right, bottom]);
  const across = windows(image.width, left, right, columns, filter);
  const down = windows(image.height, top, bottom, rows, filter);
  // the order of the passes matters, because each rounds; this is Pillow's
  if (image.height - rows > Math.max(0, 2 * (image.width - columns))) {
    return acrossRows(downColumns(image, down), across).data;
  }
  return downColumns(acrossRows(image, across), down).data;
}

/**
 * The windows along an axis, from `start` to `end` of `length` numbers.
 * @param {number} length
 * @param {number} start
 * @param {number} end
 * @param {number} count of outputs
 * @param {"bilinear" | "bicubic"} filter
 * @returns {Windows}
 */
function windows(length, start, end, count, filter) {
  const from = Math.fround(start); // Pillow takes float32 here
  const scale = Math.fround(Math.fround(end) - from) / count;
  const stretch = Math.max(1, scale);
  const support = (filter === "bilinear" ? 1 : 2) * stretch;
  return Array.from({ length: count }, (_, output) => {
    const centre = from + (output + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(last - first);
    let total = 0;
    for (let at = 0; at < weights.length; at++) {
      const distance = Math.abs((at + first - centre + 0.5) * (1 / stretch));
      weights[at] = filter === "bilinear" ? Math.max(0, 1 - distance) : cubic(distance);
      total += weights[at];
    }
    for (let at = 0; at < weights.length; at++) {
      const share = (total === 0 ? weights[at] : weights[at] / total) * 2 ** BITS;
      weights[at] = Math.trunc(share + (share < 0 ? -0.5 : 0.5));
    }
    return { first, weights };
  });
}

/**
 * Keys's cubic filter with a = -0.5.
 * @param {number} x at least 0
 */
function cubic(x) {
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

/**
 * @param {Image} image
 * @param {Windows} across
 * @returns {Image}
 */
function acrossRows({ width, height, data }, across) {
  const made = new Uint8Array(height * across.length * 3);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (const { first, weights } of across) {
      let [red, green, blue] = [0.5 * 2 ** BITS, 0.5 * 2 ** BITS, 0.5 * 2 ** BITS];
      let from = (row * width + first) * 3;
      for (let at = 0; at < weights.length; at++, from += 3) {
        red += data[from] * weights[at];
        green += data[from + 1] * weights[at];
        blue += data[from + 2] * weights[at];
      }
      made[to++] = byte(red);
      made[to++] = byte(green);
      made[to++] = byte(blue);
    }
  }
  return { width: across.length, height, data: made };
}

/**
 * @param {Image} image
 * @param {Windows} down
 * @returns {Image}
 */
function downColumns({ width, data }, down) {
  const line = width * 3;
  const made = new Uint8Array(down.length * line);
  const sums = new Float64Array(line);
  down.forEach(({ first, weights }, row) => {
    sums.fill(0.5 * 2 ** BITS);
    for (let at = 0; at < weights.length; at++) {
      const from = (first + at) * line;
      for (let place = 0; place < line; place++) sums[place] += data[from + place] * weights[at];
    }
    for (let place = 0; place < line; place++) made[row * line + place] = byte(sums[place]);
  });
  return { width, height: down.length, data: made };
}

/** @param {number} sum */
function byte(sum) {
  return Math.max(0, Math.min(255, Math.floor(sum / 2 ** BITS)));
}

/**
 * Bilinear without antialiasing, in float32, as in pictures/interpolate.py.
 * @param {Image} image
 * @param {number} rows
 * @param {number} columns
 * @param {[number, number, number, number]} box
 */
function interpolated({ width, height, data }, rows, columns, [left, top, right, bottom]) {
  const down = between(top, bottom, rows, height);
  const across = between(left, right, columns, width);
  const { fround } = Math;
  const made = new Uint8Array(rows * columns * 3);
  const line = new Float32Array(width * 3);
  down.forEach(({ before, after, share }, row) => {
    for (let at = 0; at < line.length; at++) {
      const one = data[before * width * 3 + at];
      line[at] = one + fround((data[after * width * 3 + at] - one) * share);
    }
    across.forEach((place, column) => {
      for (let channel = 0; channel < 3; channel++) {
        const one = line[3 * place.before + channel];
        const step = fround(fround(line[3 * place.after + channel] - one) * place.share);
        made[(row * columns + column) * 3 + channel] = even(fround(one + step));
      }
    });
  });
  return made;
}

/**
 * @param {number} start
 * @param {number} end
 * @param {number} count
 * @param {number} length
 */
function between(start, end, count, length) {
  return Array.from({ length: count }, (_, output) => {
    const place = Math.max(0, Math.min(length - 1, start + (output + 0.5) * ((end - start) / count) - 0.5));
    const before = Math.floor(place);
    return { before, after: Math.min(before + 1, length - 1), share: Math.fround(place - before) };
  });
}

/**
 * To the nearest whole number, halves to the even one, like Python's `round`.
 * @param {number} x
 */
function even(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 ? low + 1 : low;
}
