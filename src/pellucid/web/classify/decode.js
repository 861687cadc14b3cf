/** A picture's file -> upright RGB pixels, as Pellucid's decoder gives them. Runs in the worker. */

import { gammaCurve, lit, onWhite } from "./light.js";
import { chunks, encoded, samples } from "./png.js";
import { damaged, place, sorted, text } from "./sort.js";

/** @typedef {import("./resize.js").Image} Image */
/**
 * @typedef {object} About what the decoder has to know
 * @property {number} pixel_limit
 * @property {{integer: [number, number] | null}} ranges
 */

/** A file that cannot be used, in a sentence. */
export class Unusable extends Error {}

const SAME = 2; // levels by which a profile may differ from sRGB and still count as sRGB, as in profile.py

/**
 * Throws Unusable.
 * @param {Blob} file
 * @param {About} about
 * @returns {Promise<Image>}
 */
export async function decoded(file, about) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Unusable("The browser may not read this file. If it is a folder, choose the pictures in it.");
  }
  const kind = sorted(bytes);
  if ("trouble" in kind) throw new Unusable(kind.trouble);
  try {
    return await pixels(bytes, kind.format, about);
  } catch (error) {
    if (error instanceof Unusable) throw error;
    throw new Unusable(damaged(kind.format));
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {import("./sort.js").Readable} format
 * @param {About} about
 */
async function pixels(bytes, format, about) {
  if (format === "PNG") {
    const parts = chunks(bytes);
    const [header] = parts.get("IHDR") ?? [];
    if (header?.length !== 13 || header[10] !== 0) throw new Unusable(damaged(format)); // also when it was cut off
    const [icc] = parts.get("iCCP") ?? [];
    if (icc && icc[icc.indexOf(0) + 1] !== 0) throw new Unusable(damaged(format)); // an unknown compression
    const view = new DataView(header.buffer, header.byteOffset, 13);
    check(view.getUint32(0), view.getUint32(4), about.pixel_limit);
    if (header[8] === 16 || gammaCurve(parts)) {
      const read = await samples(parts);
      const light = lit(read, parts, about.ranges.integer);
      const right = icc ? closer(light, await drawn(await encoded(light, icc), "default", about.pixel_limit)) : light;
      return turned(onWhite(right, read), inExif(parts.get("eXIf")?.[0]) ?? inXmp(bytes));
    }
  }
  // browsers differ on the orientation in a WebP
  const own = format === "WebP" ? "none" : "from-image";
  const image = await drawn(bytes, "none", about.pixel_limit, own);
  const profiled = ["ICC_PROFILE\0", "iCCP", "ICCP"].some((mark) => place(bytes, mark) >= 0);
  const right = profiled ? closer(image, await drawn(bytes, "default", about.pixel_limit, own)) : image;
  if (format === "WebP") return turned(right, inExif(webpExif(bytes)) ?? inXmp(bytes));
  // browsers apply the orientation in EXIF; that in XMP counts where there is none
  return turned(right, ["Exif\0\0", "eXIf"].some((mark) => place(bytes, mark) >= 0) ? 1 : inXmp(bytes));
}

/**
 * As the browser decodes it, on white.
 * @param {Uint8Array} bytes
 * @param {ColorSpaceConversion} conversion whether the colour profile is applied
 * @param {number} limit
 * @param {ImageOrientation} orientation whether EXIF turns it
 * @returns {Promise<Image>}
 */
async function drawn(bytes, conversion, limit, orientation = "from-image") {
  const bitmap = await createImageBitmap(new Blob([/** @type {BlobPart} */ (bytes)]), {
    colorSpaceConversion: conversion,
    premultiplyAlpha: "none",
    imageOrientation: orientation,
  });
  const { width, height } = bitmap;
  check(width, height, limit);
  const canvas = new OffscreenCanvas(width, height);
  // in software: a graphics card may round colours in its own way
  const surface = /** @type {OffscreenCanvasRenderingContext2D | null} */ (
    canvas.getContext("2d", { alpha: false, willReadFrequently: true })
  );
  if (!surface) throw new Unusable(`This browser cannot draw ${width} x ${height} pixels. Make the picture smaller.`);
  surface.fillStyle = "#fff";
  surface.fillRect(0, 0, width, height);
  surface.drawImage(bitmap, 0, 0);
  bitmap.close();
  const four = surface.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < data.length; from++) {
    data[to++] = four[from++];
    data[to++] = four[from++];
    data[to++] = four[from++];
  }
  return { width, height, data };
}

/**
 * The picture without its profile if that changes little.
 * @param {Image} plain
 * @param {Image} converted
 */
function closer(plain, converted) {
  const far = plain.data.some((value, at) => Math.abs(value - converted.data[at]) > SAME);
  return far ? converted : plain;
}

/**
 * @param {number} width
 * @param {number} height
 * @param {number} limit
 */
function check(width, height, limit) {
  if (width * height <= limit) return;
  const [megapixels, most] = [width * height, limit].map((count) => (count / 1e6).toFixed(0));
  throw new Unusable(`${width} x ${height} are ${megapixels} megapixels, and this model's limit is ${most}.`);
}

/**
 * The content of a WebP's chunk EXIF (RIFF: a name, the length, the content, filled to an even length).
 * @param {Uint8Array} bytes
 */
function webpExif(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true);
    if (text(bytes, at, 4) === "EXIF") return bytes.subarray(at + 8, at + 8 + length);
    at += 8 + length + (length & 1);
  }
  return undefined;
}

/**
 * The orientation in EXIF; undefined if it states none.
 * @param {Uint8Array | undefined} exif
 */
function inExif(exif) {
  if (!exif) return undefined;
  const bytes = text(exif, 0, 6) === "Exif\0\0" ? exif.subarray(6) : exif;
  if (bytes.length < 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = text(bytes, 0, 2) === "II";
  const start = view.getUint32(4, little);
  const count = start + 2 <= bytes.length ? view.getUint16(start, little) : 0;
  for (let at = start + 2; at + 12 <= bytes.length && at < start + 2 + 12 * count; at += 12) {
    if (view.getUint16(at, little) === 0x0112) return view.getUint16(at + 8, little);
  }
  return undefined;
}

/** @param {Uint8Array} bytes */
function inXmp(bytes) {
  const at = place(bytes, "tiff:Orientation");
  const match = at < 0 ? null : /^tiff:Orientation(?:="|>)([1-8])/.exec(text(bytes, at, 24));
  return match ? Number(match[1]) : 1;
}

/**
 * Upright (Exif 2.3, tag 0x0112): 2 to 4 mirror and turn, 5 to 8 also swap the sides.
 * @param {Image} image
 * @param {number} orientation
 * @returns {Image}
 */
function turned(image, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return image;
  const swapped = orientation >= 5;
  const [width, height] = swapped ? [image.height, image.width] : [image.width, image.height];
  const data = new Uint8Array(image.data.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const y = [3, 4, 7, 8].includes(orientation) ? height - 1 - row : row;
      const x = [2, 3, 6, 7].includes(orientation) ? width - 1 - column : column;
      const from = 3 * (swapped ? x * image.width + y : y * image.width + x);
      data.set(image.data.subarray(from, from + 3), 3 * (row * width + column));
    }
  }
  return { width, height, data };
}
