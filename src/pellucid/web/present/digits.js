/** Numbers for a projector: three decimals, in units of a power of ten where they would otherwise be zeros. */

import { exact, fixed, number } from "../format.js";

const DECIMALS = 3;
const SMALL = 0.01; // below it three decimals show too little
const LARGE = 1e6;
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/**
 * @typedef {object} Writer
 * @property {(value: number) => string} text of a number in these units
 * @property {string} times "" or " ×10⁻³", the units
 * @property {number} unit the value of one of them
 * @property {number} decimals
 */

/**
 * Writes numbers that belong together: all with the same decimals and units. Whole numbers have no decimals.
 * @param {ArrayLike<number>} values
 * @returns {Writer}
 */
export function writer(values) {
  const finite = Array.from(values).filter(Number.isFinite);
  const largest = Math.max(0, ...finite.map(Math.abs));
  const whole = finite.every(Number.isInteger) && largest < LARGE;
  const plain = whole || largest === 0 || (largest >= SMALL && largest < LARGE);
  const power = plain ? 0 : 3 * Math.floor(Math.log10(largest) / 3);
  const unit = 10 ** power;
  const decimals = whole ? 0 : DECIMALS;
  return {
    text: (value) => (Number.isFinite(value) ? fixed(value / unit, decimals) : exact(value)),
    times: power ? ` ×10${raised(power)}` : "",
    unit,
    decimals,
  };
}

/**
 * A number that stands alone, with its units.
 * @param {number} value
 */
export function alone(value) {
  const { text, times } = writer([value]);
  return text(value) + times;
}

/**
 * A number that somebody chose, such as a learning rate: as it was written.
 * @param {number} value
 */
export function setting(value) {
  return number(value, false, 4);
}

/**
 * The same in brackets if it is negative, for a place behind an operator.
 * @param {string} text
 */
export function bracketed(text) {
  return text.startsWith("−") ? `(${text})` : text;
}

/** @param {number} power */
function raised(power) {
  const digits = [...String(Math.abs(power))].map((digit) => RAISED[Number(digit)]).join("");
  return (power < 0 ? "⁻" : "") + digits;
}
