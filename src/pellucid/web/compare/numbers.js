/** The texts of two numbers and their difference, which add up as they are shown. */

import { number } from "../format.js";
import { addingUp } from "../number/adding.js";

/** @typedef {import("./pair.js").Apart} Apart */

const DIGITS = 7;

/**
 * @param {number | null} first
 * @param {number | null} second
 * @param {boolean} exact every stored digit
 * @returns {{first: string, second: string, difference: string}}
 */
export function texts(first, second, exact) {
  const [one, other] = [first ?? NaN, second ?? NaN];
  const by = other - one; // the difference of two float32 is exact in a double
  if (exact || !Number.isFinite(by)) {
    return { first: number(one, true), second: number(other, true), difference: signed(number(by, true)) };
  }
  const { parts, total } = addingUp([one, by], other, { digits: DIGITS });
  return { first: parts[0], second: total, difference: signed(parts[1]) };
}

/** @param {string} text */
function signed(text) {
  return text === "0" || text.startsWith("−") || !/^[\d.]/.test(text) ? text : `+${text}`;
}
