/** Numbers as text: at most 7 significant digits, or every stored digit. */

const DIGITS = 7;

/**
 * The shortest text that reads back as the same number (as float32 if the number is one).
 * @param {number} value
 */
export function exact(value) {
  if (!Number.isFinite(value) || Math.fround(value) !== value) return plain(value);
  for (let digits = 1; digits < 10; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return plain(Number(text));
  }
  return plain(value);
}

/**
 * Large numbers with an exponent: trailing zeros would look like known digits.
 * @param {number} value
 */
function plain(value) {
  return tidy(Math.abs(value) >= 1e12 && Number.isFinite(value) ? value.toExponential() : String(value));
}

/**
 * A number alone.
 * @param {number} value
 * @param {boolean} all every stored digit
 */
export function number(value, all = false, digits = DIGITS) {
  if (all || !Number.isFinite(value)) return exact(value);
  return plain(Number(value.toPrecision(digits)));
}

/**
 * The number of decimals for aligned numbers in one column whose largest has `digits` digits.
 * @param {ArrayLike<number>} values
 * @returns {number}
 */
export function decimals(values, digits = DIGITS) {
  let largest = 0;
  let whole = true;
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (!Number.isFinite(value)) continue;
    if (Math.abs(value) > largest) largest = Math.abs(value);
    whole &&= Number.isInteger(value);
  }
  if (whole || largest === 0) return 0;
  return Math.max(0, Math.min(20, digits - 1 - Math.floor(Math.log10(largest))));
}

/**
 * A number of a column, with the column's decimals.
 * @param {number} value
 * @param {number} places
 */
export function fixed(value, places) {
  if (!Number.isFinite(value)) return exact(value);
  if (value === 0) return "0";
  // a column of very small numbers would be all zeros
  return tidy(places > 12 ? value.toExponential(3) : value.toFixed(places));
}

/**
 * The contribution of hidden digits to a sum of shown numbers: 0 if the shown numbers give the shown sum.
 * @param {ArrayLike<number>} parts
 * @param {number} total
 * @param {number} places
 */
export function leftOut(parts, total, places) {
  const unit = 10 ** places;
  let shown = 0;
  for (let at = 0; at < parts.length; at++) shown += Math.round(parts[at] * unit);
  const rest = Math.round(total * unit) - shown;
  return Number.isFinite(rest) ? rest / unit : 0;
}

/**
 * A probability; null stands for NaN.
 * @param {number | null} value
 * @param {number} places
 */
export function probability(value, places) {
  return value === null ? "no number" : value.toFixed(places);
}

/**
 * A share of a whole.
 * @param {number | null} share
 */
export function percent(share) {
  return share === null || Number.isNaN(share) ? "no number" : `${(100 * share).toFixed(1)}%`;
}

const GROUPED = new Intl.NumberFormat("en");

/** @param {number} count */
export function counted(count) {
  return GROUPED.format(count);
}

/**
 * "conv1[3, 10, 12]", or the name alone without an index.
 * @param {string} name
 * @param {ArrayLike<number>} index
 */
export function unit(name, index) {
  return index.length ? `${name}[${Array.from(index).join(", ")}]` : name;
}

/**
 * 3 × 48 × 48
 * @param {number[]} shape
 */
export function size(shape) {
  return shape.length ? shape.join(" × ") : "one number";
}

/** @param {string} text */
function tidy(text) {
  return text
    .replace(/^-/, "−")
    .replace("Infinity", "∞")
    .replace("NaN", "no number")
    .replace("e-", "e−")
    .replace("e+", "e");
}
