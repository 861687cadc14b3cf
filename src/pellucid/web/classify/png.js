/**
 * Reads a PNG with all its bits. Browsers keep 8 bits of 16, and some apply a gamma and others not; this reads the values
 * (PNG specification, https://www.w3.org/TR/png-3).
 */

import { text } from "./sort.js";

/**
 * The values of a PNG.
 * @typedef {object} Samples
 * @property {number} width
 * @property {number} height
 * @property {number} channels 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
 * @property {number} bits 8 or 16; fewer bits and palettes become 8
 * @property {Uint8Array | Uint16Array} values row by row
 * @property {number[] | null} transparent the transparent colour
 */
/** @typedef {Map<string, Uint8Array[]>} Chunks by name, those of one name in their order */

const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
]; // of each pass: the first column and row, and the steps
const CHANNELS = /** @type {Record<number, number>} */ ({ 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 });

/**
 * @param {Uint8Array} bytes
 * @returns {Chunks} empty if the file is cut
 */
export function chunks(bytes) {
  /** @type {Chunks} */
  const parts = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const name = text(bytes, at + 4, 4);
    if (at + 12 + length > bytes.length) break;
    parts.set(name, [...(parts.get(name) ?? []), bytes.subarray(at + 8, at + 8 + length)]);
    if (name === "IEND") return parts;
    at += 12 + length;
  }
  return new Map();
}

/**
 * Throws if the file is damaged.
 * @param {Chunks} parts
 * @returns {Promise<Samples>}
 */
export async function samples(parts) {
  const [header] = /** @type {Uint8Array[]} */ (parts.get("IHDR"));
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const [width, height, depth, kind] = [view.getUint32(0), view.getUint32(4), header[8], header[9]];
  const channels = CHANNELS[kind];
  const packed = new Blob(/** @type {BlobPart[]} */ (parts.get("IDAT")));
  const stream = packed.stream().pipeThrough(new DecompressionStream("deflate"));
  const data = new Uint8Array(await new Response(stream).arrayBuffer());
  const values = depth === 16 ? new Uint16Array(width * height * channels) : new Uint8Array(width * height * channels);
  const passes = header[12] ? ADAM7 : [[0, 0, 1, 1]];
  let from = 0;
  for (const [left, top, stepX, stepY] of passes) {
    const columns = Math.ceil((width - left) / stepX);
    const rows = Math.ceil((height - top) / stepY);
    if (columns <= 0 || rows <= 0) continue;
    const line = Math.ceil((columns * channels * depth) / 8);
    const lines = unfiltered(
      data.subarray(from, from + rows * (line + 1)),
      rows,
      line,
      Math.ceil((channels * depth) / 8),
    );
    from += rows * (line + 1);
    for (let row = 0; row < rows; row++) {
      const of = lines.subarray(row * line, (row + 1) * line);
      for (let column = 0; column < columns; column++) {
        const to = ((top + row * stepY) * width + left + column * stepX) * channels;
        for (let channel = 0; channel < channels; channel++) {
          values[to + channel] = sample(of, column * channels + channel, depth);
        }
      }
    }
  }
  const read = { width, height, channels, bits: depth === 16 ? 16 : 8, values, transparent: key(parts, kind) };
  if (kind === 3) return coloured(read, parts);
  if (depth < 8) {
    const white = 2 ** depth - 1;
    for (let at = 0; at < values.length; at++) values[at] = (values[at] * 255) / white;
    read.transparent = read.transparent && read.transparent.map((value) => (value * 255) / white);
  }
  return read;
}

/**
 * Undoes the filters (section 9).
 * @param {Uint8Array} data
 * @param {number} rows
 * @param {number} line bytes of a row
 * @param {number} step bytes of a pixel, at least 1
 */
function unfiltered(data, rows, line, step) {
  if (data.length < rows * (line + 1)) throw new Error("the pixels end early");
  const made = new Uint8Array(rows * line);
  for (let row = 0; row < rows; row++) {
    const filter = data[row * (line + 1)];
    if (filter > 4) throw new Error(`filter ${filter}`);
    for (let at = 0; at < line; at++) {
      const left = at >= step ? made[row * line + at - step] : 0;
      const up = row ? made[(row - 1) * line + at] : 0;
      const corner = row && at >= step ? made[(row - 1) * line + at - step] : 0;
      const before = [0, left, up, (left + up) >> 1, filter === 4 ? paeth(left, up, corner) : 0][filter];
      made[row * line + at] = data[row * (line + 1) + 1 + at] + before;
    }
  }
  return made;
}

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [one, two, three] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (one <= two && one <= three) return left;
  return two <= three ? up : corner;
}

/** @param {Uint8Array} line @param {number} number @param {number} depth */
function sample(line, number, depth) {
  if (depth === 8) return line[number];
  if (depth === 16) return (line[2 * number] << 8) | line[2 * number + 1];
  const bit = number * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & (2 ** depth - 1);
}

/**
 * The transparent colour of a picture without an alpha channel.
 * @param {Chunks} parts
 * @param {number} kind
 */
function key(parts, kind) {
  const [stated] = parts.get("tRNS") ?? [];
  if (!stated || (kind !== 0 && kind !== 2)) return null;
  const length = kind === 0 ? 1 : 3;
  return Array.from({ length }, (_, at) => (stated[2 * at] << 8) | stated[2 * at + 1]);
}

/**
 * A palette's colours, with alpha if it has any.
 * @param {Samples} indexed
 * @param {Chunks} parts
 * @returns {Samples}
 */
function coloured(indexed, parts) {
  const [palette] = /** @type {Uint8Array[]} */ (parts.get("PLTE"));
  const [alpha] = parts.get("tRNS") ?? [];
  const values = new Uint8Array(indexed.values.length * 4);
  indexed.values.forEach((number, at) => {
    values.set(palette.subarray(3 * number, 3 * number + 3), 4 * at);
    values[4 * at + 3] = alpha?.[number] ?? 255;
  });
  return { ...indexed, channels: 4, values };
}

/**
 * An image as PNG with a profile, the content of a chunk iCCP. The browser then converts its colours.
 * @param {import("./resize.js").Image} image
 * @param {Uint8Array} profile
 */
export async function encoded({ width, height, data }, profile) {
  const lines = new Uint8Array(height * (3 * width + 1)); // filter 0 before each row
  for (let row = 0; row < height; row++) {
    lines.set(data.subarray(row * 3 * width, (row + 1) * 3 * width), row * (3 * width + 1) + 1);
  }
  const stream = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  const packed = new Uint8Array(await new Response(stream).arrayBuffer());
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0802); // 8 bits, RGB
  const parts = [
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("iCCP", profile),
    chunk("IDAT", packed),
    chunk("IEND", new Uint8Array()),
  ];
  const mark = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  return new Uint8Array(await new Blob(/** @type {BlobPart[]} */ ([mark, ...parts])).arrayBuffer());
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const made = new Uint8Array(content.length + 12);
  const view = new DataView(made.buffer);
  view.setUint32(0, content.length);
  for (let at = 0; at < 4; at++) made[4 + at] = name.charCodeAt(at);
  made.set(content, 8);
  view.setUint32(content.length + 8, checksum(made.subarray(4, content.length + 8)));
  return made;
}

/**
 * CRC-32 (annex D), bit by bit.
 * @param {Uint8Array} bytes
 */
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
