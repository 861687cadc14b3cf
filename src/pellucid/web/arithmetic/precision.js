/**
 * The range of the dtypes in which PyTorch keeps numbers, and what becomes of numbers beyond it. The same as
 * glassbox/arithmetic/precision.py, to the last bit.
 */

/** Bits of the significand, and the exponent of the smallest normal number. */
const PRECISIONS = /** @type {Record<string, [number, number]>} */ ({
  float32: [24, -126],
  float16: [11, -14],
  bfloat16: [8, -126],
});

/**
 * A number as a dtype holds it: what is too large is infinite, and below the smallest normal number it is the nearest
 * that the dtype has. In between it stays as it is.
 * @param {number} value
 * @param {string | undefined} precision none, or "float64": unchanged
 */
export function limited(value, precision) {
  const [digits, lowest] = PRECISIONS[precision ?? ""] ?? [0, 0];
  if (digits === 0 || !Number.isFinite(value)) return value;
  if (Math.abs(value) < 2 ** lowest) {
    // beside 1.5 * 2^52 of the smallest numbers, a float64 has no room for parts of one
    const anchor = 1.5 * 2 ** (52 + lowest - digits + 1);
    return value + anchor - anchor;
  }
  const beyond = (2 - 2 ** -digits) * 2 ** (1 - lowest);
  return Math.abs(value) >= beyond ? Math.sign(value) * Infinity : value;
}
