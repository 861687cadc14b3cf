/** A picture's prediction and the target of its loss: one class, or any number of labels. */

/**
 * @param {string[]} classes
 * @param {number[]} numbers
 */
export function names(classes, numbers) {
  return numbers.map((at) => classes[at]).join(", ") || "no label";
}

/**
 * Whether two lists have the same numbers, in any order.
 * @param {number[]} one
 * @param {number[]} other
 */
export function same(one, other) {
  return one.length === other.length && one.every((at) => other.includes(at));
}

/**
 * The class of a number, if its array has one number per class; else "".
 * @param {import("./trace.js").Trace} trace
 * @param {string} name
 * @param {number[]} index
 * @returns {string}
 */
export function classOf(trace, name, index) {
  const classes = /** @type {string[]} */ (trace.about.model.classes);
  const each = trace.node(name) && String(trace.shape(name)) === String([classes.length]);
  return each ? classes[index[0]] : "";
}

/**
 * Whether a prediction is right, and the truth in words: "it is 9".
 * @param {{called: number[], truth?: number[] | null}} picture classes by number
 * @param {string[]} classes
 * @param {boolean} several whether a picture has any number of labels
 * @returns {{right: boolean, truth: string} | null} null if the picture's truth is not known
 */
export function verdict({ called, truth }, classes, several) {
  if (!truth) return null;
  return { right: same(called, truth), truth: `it ${several ? "has" : "is"} ${names(classes, truth)}` };
}
