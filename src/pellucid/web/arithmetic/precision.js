/**
 * Rounding to the dtypes in which PyTorch keeps numbers, with what happens beyond their range. The same as
 * glassbox/precision.py, to the last bit.
 */

/** Bits of the significand, and the exponent of the smallest normal number. */
const PRECISIONS = /** @type {Record<string, [number, number]>} */ ({ float16: [11, -14], bfloat16: [8, -126] });

/**
 * The nearest number of a dtype; of two as near the even one. What is too large becomes infinite.
 * @param {number} value
 * @param {string | undefined} precision none, or "float64": unchanged
 */
export function rounded(value, precision) {
  if (precision === "float32") return Math.fround(value);
  if (precision === undefined || !(precision in PRECISIONS) || !Number.isFinite(value)) return value;
  const [digits, lowest] = PRECISIONS[precision];
  const largest = (2 - 2 ** (1 - digits)) * 2 ** (1 - lowest);
  // beside 1.5 * 2^52 of these steps, a float64 has no room for parts of a step
  const anchor = 1.5 * 2 ** (Math.max(exponent(value), lowest) - digits + 1 + 52);
  const near = value + anchor - anchor;
  return Math.abs(near) > largest ? Math.sign(near) * Infinity : near;
}

/**
 * The power of two at or below a number's size.
 * @param {number} value
 */
function exponent(value) {
  const size = Math.abs(value);
  const guess = Math.max(Math.floor(Math.log2(size)), -1022); // which may be one off
  if (2 ** guess > size) return guess - 1;
  return 2 ** (guess + 1) <= size ? guess + 1 : guess;
}
