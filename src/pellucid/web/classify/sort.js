/** Which format a file has, by its first bytes, and what to do about those that browsers do not decode. */

/** @typedef {"JPEG" | "PNG" | "GIF" | "WebP" | "BMP" | "icon" | "AVIF"} Readable */

/** @type {[Readable, number, string][]} format, where its mark is, the mark */
const READABLE = [
  ["JPEG", 0, "\xff\xd8\xff"],
  ["PNG", 0, "\x89PNG\r\n\x1a\n"],
  ["GIF", 0, "GIF87a"],
  ["GIF", 0, "GIF89a"],
  ["WebP", 8, "WEBP"],
  ["BMP", 0, "BM"],
  ["icon", 0, "\0\0\x01\0"],
  ["AVIF", 4, "ftypavif"],
  ["AVIF", 4, "ftypavis"],
];
/** @type {[string, number, string][]} */
const OTHERS = [
  ["a TIFF", 0, "II*\0"],
  ["a TIFF", 0, "MM\0*"],
  ["a TIFF", 0, "II+\0"],
  ["a HEIC picture", 4, "ftyphei"],
  ["a HEIC picture", 4, "ftyphev"],
  ["a HEIC picture", 4, "ftypmif1"],
  ["a HEIC picture", 4, "ftypmsf1"],
  ["a JPEG 2000 picture", 4, "jP  "],
  ["a JPEG XL picture", 0, "\xff\x0a"],
  ["a JPEG XL picture", 4, "JXL "],
  ["a video", 4, "ftyp"],
  ["a PDF", 0, "%PDF"],
  ["a Photoshop file", 0, "8BPS"],
  ["a PGM or PPM picture", 0, "P5"],
  ["a PGM or PPM picture", 0, "P6"],
  ["a FITS file", 0, "SIMPLE  ="],
  ["a ZIP archive", 0, "PK\x03\x04"],
];
const INSTEAD = "Save it as PNG or JPEG and choose that, or use “pellucid predict”.";

/**
 * The format, or a sentence about a file that cannot be read here.
 * @param {Uint8Array} bytes
 * @returns {{format: Readable} | {trouble: string}}
 */
export function sorted(bytes) {
  if (!bytes.length) return { trouble: "This file is empty." };
  const readable = READABLE.find(([, at, mark]) => text(bytes, at, mark.length) === mark);
  if (readable) return { format: readable[0] };
  const other = OTHERS.find(([, at, mark]) => text(bytes, at, mark.length) === mark);
  if (other) return { trouble: `This is ${other[0]}, which this page does not read. ${INSTEAD}` };
  if (/^\s*(<\?xml|<svg)/.test(text(bytes, 0, 64))) {
    return { trouble: "This is an SVG drawing: it has no pixels yet. Save it as PNG and choose that." };
  }
  return { trouble: `This is not a picture that this page reads: JPEG, PNG, GIF, WebP, BMP or AVIF. ${INSTEAD}` };
}

/**
 * A sentence about a file whose format is readable, but which the browser did not decode.
 * @param {Readable} format
 */
export function damaged(format) {
  return `The browser could not decode this ${format}: it is damaged, cut off or of a rare kind. Save it again, or use “pellucid predict”, which names the reason.`;
}

/**
 * Bytes as characters, one for each.
 * @param {Uint8Array} bytes
 * @param {number} from
 * @param {number} length
 */
export function text(bytes, from, length) {
  return String.fromCharCode(...bytes.subarray(from, from + length));
}

/**
 * Where a text first stands in the bytes, or -1. Looks at the first megabyte, where every format has its metadata.
 * @param {Uint8Array} bytes
 * @param {string} letters
 */
export function place(bytes, letters) {
  const end = Math.min(bytes.length, 1 << 20) - letters.length;
  const first = letters.charCodeAt(0);
  for (let at = bytes.indexOf(first); at >= 0 && at <= end; at = bytes.indexOf(first, at + 1)) {
    if (text(bytes, at, letters.length) === letters) return at;
  }
  return -1;
}
