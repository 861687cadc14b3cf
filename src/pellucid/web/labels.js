/** What a picture is called, and what its loss is measured against: one class, or any number of labels. */

/**
 * @param {string[]} classes
 * @param {number[]} numbers
 */
export function names(classes, numbers) {
  return numbers.map((at) => classes[at]).join(", ") || "no label";
}

/**
 * Whether two lists have the same numbers, in whatever order.
 * @param {number[]} one
 * @param {number[]} other
 */
export function same(one, other) {
  return one.length === other.length && one.every((at) => other.includes(at));
}
