/**
 * Numbers whose shown digits add up. Each text is a decimal number, so the sum of the texts can be computed exactly, and
 * what the hidden digits contribute is a decimal number too.
 */

import { exact as allDigits } from "../format.js";

/** @typedef {{digits: bigint, exponent: number}} Decimal digits * 10^exponent */
/**
 * A sum as it is shown.
 * @typedef {object} Shown
 * @property {(value: number) => string} write another number, in the same notation
 * @property {string[]} parts
 * @property {string} total
 * @property {string} rest what the digits that are not shown add; "" for nothing
 */

const DIGITS = 5; // of the largest number of a sum, unless stated
const MORE = 3; // additional digits, if the shown numbers add up with them
const PLAIN = [-4, 8]; // powers of ten of a largest number that is written without an exponent

/**
 * The texts of a sum's numbers. They have as many decimals as make them add up; if none do, `rest` is what is missing.
 * @param {number[]} parts
 * @param {number} total
 * @param {object} [how]
 * @param {boolean} [how.all] every stored digit
 * @param {number} [how.digits] of the largest number, at least
 * @returns {Shown}
 */
export function addingUp(parts, total, { all = false, digits = DIGITS } = {}) {
  if (all) return checked(parts, total, allDigits);
  const finite = [...parts, total].filter(Number.isFinite);
  const largest = Math.max(0, ...finite.map(Math.abs));
  const power = largest ? Math.floor(Math.log10(largest)) : 0;
  const whole = finite.every(Number.isInteger) && power < PLAIN[1];
  const first = whole ? 0 : Math.max(0, digits - 1 - (plain(power) ? power : 0));
  /** @type {Shown | null} */
  let shown = null;
  for (let places = first; places <= first + MORE; places++) {
    const tried = checked(parts, total, (value) => text(value, places, plain(power) ? 0 : power));
    if (!tried.rest) return tried;
    shown ??= tried;
  }
  return /** @type {Shown} */ (shown);
}

/** @param {number} power of ten */
function plain(power) {
  return power >= PLAIN[0] && power <= PLAIN[1];
}

/**
 * @param {number[]} parts
 * @param {number} total
 * @param {(value: number) => string} write
 * @returns {Shown}
 */
function checked(parts, total, write) {
  const texts = parts.map(write);
  return { parts: texts, total: write(total), rest: missing(texts, write(total)), write };
}

/**
 * A number with a fixed number of decimals, in units of a power of ten.
 * @param {number} value
 * @param {number} places
 * @param {number} power
 */
function text(value, places, power) {
  if (!Number.isFinite(value)) return allDigits(value);
  const digits = (power ? value / 10 ** power : value).toFixed(places);
  return Number(digits) === 0 ? "0" : readable(`${digits}${power ? `e${power}` : ""}`);
}

/**
 * total - parts, from their texts; "" if it is zero, or if a number is infinite.
 * @param {string[]} parts
 * @param {string} total
 */
export function missing(parts, total) {
  const all = [total, ...parts].map(decimal);
  if (all.includes(null)) return "";
  const numbers = /** @type {Decimal[]} */ (all);
  const exponent = Math.min(...numbers.map((number) => number.exponent));
  const [sum, ...added] = numbers.map((number) => number.digits * 10n ** BigInt(number.exponent - exponent));
  return decimalText({ digits: added.reduce((rest, each) => rest - each, sum), exponent });
}

/**
 * @param {string} shown "−0.5578", "1.2e−7"
 * @returns {Decimal | null}
 */
function decimal(shown) {
  const read = /^([−-]?)(\d*)(?:\.(\d+))?(?:e([−-]?\d+))?$/.exec(shown);
  if (!read || !(read[2] || read[3])) return null;
  const [, sign, whole, fraction = "", power = "0"] = read;
  const digits = BigInt(whole + fraction);
  return { digits: sign ? -digits : digits, exponent: Number(power.replace("−", "-")) - fraction.length };
}

/** @param {Decimal} number */
function decimalText({ digits, exponent }) {
  if (digits === 0n) return "";
  const sign = digits < 0n ? "−" : "";
  const plainly = String(digits < 0n ? -digits : digits);
  const power = plainly.length - 1 + exponent;
  if (power < PLAIN[0] - 2 || exponent > 0) {
    const fraction = plainly.slice(1).replace(/0+$/, "");
    return readable(`${sign}${plainly[0]}${fraction && `.${fraction}`}e${power}`);
  }
  const padded = plainly.padStart(1 - exponent, "0");
  const fraction = exponent ? padded.slice(exponent) : "";
  return `${sign}${exponent ? padded.slice(0, exponent) : padded}${fraction && `.${fraction}`}`;
}

/**
 * A number in JavaScript's notation with the page's signs.
 * @param {string} text
 */
export function readable(text) {
  return text.replace(/^-/, "−").replace("e-", "e−");
}
