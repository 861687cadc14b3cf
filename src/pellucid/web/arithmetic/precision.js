/**
 * The ranges of PyTorch's dtypes, and the effect on numbers beyond them. The same as glassbox/arithmetic/precision.py,
 * to the last bit.
 */

/** Bits of the significand, and the exponent of the smallest normal number. */
const PRECISIONS = /** @type {Record<string, [number, number]>} */ ({
  float32: [24, -126],
  float16: [11, -14],
  bfloat16: [8, -126],
});

/**
 * A number limited to a dtype's range: a too large one becomes infinite, and below the smallest normal number it
 * becomes the nearest representable one. In between it does not change.
 * @param {number} value
 * @param {string | undefined} precision none, or "float64": unchanged
 */
export function limited(value, precision) {
  const [digits, lowest] = PRECISIONS[precision ?? ""] ?? [0, 0];
  if (digits === 0 || !Number.isFinite(value)) return value;
  if (Math.abs(value) < 2 ** lowest) {
    // added to 1.5 * 2^52 of the smallest numbers, a float64 has no room for fractions of one
    const anchor = 1.5 * 2 ** (52 + lowest - digits + 1);
    return value + anchor - anchor;
  }
  const beyond = (2 - 2 ** -digits) * 2 ** (1 - lowest);
  return Math.abs(value) >= beyond ? Math.sign(value) * Infinity : value;
}
