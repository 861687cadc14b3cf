/** An op as data, as glassbox/arithmetic/declaration.py writes it: the input of the evaluator and its index maps. */

/** @typedef {import("./expression.js").Expression} Expression */
/** @typedef {Record<string, number | ArrayLike<number>>} Steps of the index names; an array is a table of indices */
/** @typedef {[Steps, number]} Axis steps, and an offset */
/**
 * @typedef {object} Stage
 * @property {string} out
 * @property {Record<string, number>} ranges
 * @property {Record<string, Axis[]>} maps
 * @property {Expression} term
 * @property {"sum" | "max"} pick
 * @property {"first" | "shared"} [ties] which of several largest candidates gets the gradient
 * @property {boolean} through
 * @property {string} [precision] the dtype whose range the result must fit; float64 if missing
 * @property {Record<string, Expression>} [derivatives]
 */
/**
 * @typedef {object} Op
 * @property {string} kind
 * @property {Record<string, number[]>} shapes
 * @property {string[]} inputs
 * @property {Record<string, any>} constants nested lists
 * @property {Record<string, any>} [scales] the scale of a constant's rounding, if it is not its size
 * @property {Stage[]} stages
 */
/** @typedef {ArrayLike<number>} Numbers a whole array, flattened in C order */

/** The name of an op's result. */
export const OUT = "out";

/** The prefix that turns an array's name into the name of its gradient. */
export const GRADIENT = "gradient of ";
