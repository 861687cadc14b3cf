/** The sum of a window in numbers, and numbers with as many digits as a shown sum needs. */

import { number } from "../../format.js";

/** @typedef {import("./arithmetic.js").Cell} Cell */

/**
 * In a product or a sum, a negative number has brackets.
 * @param {number} value
 */
export function signed(value) {
  return value < 0 ? `(${number(value)})` : number(value);
}

/**
 * "= 429", or "≈ 1065.106" if digits are left out.
 * @param {number} value
 */
export function result(value) {
  const exact = Math.abs(Number(value.toPrecision(7)) - value) <= 1e-9 * Math.abs(value);
  return `${exact ? "=" : "≈"} ${number(value)}`;
}

/**
 * A window's number with all that it is made of: "18 × 1 + 54 × 0 = 18".
 * @param {Cell[]} cells
 * @param {{weights: number[] | null, divisor: number, pick: "sum" | "max" | "mean" | "norm", value: number}} how
 * @param {boolean} asked the reader is to find the result: "?" stands in its place
 */
export function sumOf(cells, { weights, divisor, pick, value }, asked = false) {
  const end = asked ? "= ?" : result(value);
  const numbers = cells.map((cell) => signed(cell.value));
  if (pick === "max") return `the largest of ${numbers.join(", ")} ${end}`;
  if (pick === "mean") return `(${numbers.join(" + ")}) / ${cells.length} ${end}`;
  if (pick === "norm") return `√(${numbers.map((each) => `${each}²`).join(" + ")}) ${end}`;
  const factors = weights ?? [];
  const products = numbers.map((each, at) => `${each} × ${signed(factors[at])}`).join(" + ");
  if (divisor === 1) return `${products} ${end}`;
  const sum = cells.reduce((total, cell, at) => total + cell.value * factors[at], 0);
  return `(${products}) / ${divisor} = ${number(sum)} / ${divisor} ${end}`;
}

/**
 * The fewest decimals, from 3 on, with which shown parts add up to their shown sum.
 * @param {number[]} parts
 * @param {number} total
 */
export function placesThatAddUp(parts, total) {
  for (let places = 3; places < 10; places++) {
    const unit = 10 ** places;
    const shown = parts.reduce((sum, part) => sum + Math.round(part * unit), 0);
    if (shown === Math.round(total * unit)) return places;
  }
  return 10;
}

/**
 * A number with as few digits, but at least four, as give the same shown result.
 * @param {number} value
 * @param {(value: number) => string} becomes the shown result
 */
export function enough(value, becomes) {
  for (let digits = 4; digits < 15; digits++) {
    const shown = Number(value.toPrecision(digits));
    if (becomes(shown) === becomes(value)) return number(value, false, digits);
  }
  return number(value, false, 15);
}
