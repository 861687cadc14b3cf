/** The page's description of its model, as exports/page.py writes it. */

/**
 * @typedef {object} About
 * @property {number} version
 * @property {string} made_by
 * @property {string[]} classes
 * @property {import("./resize.js").Form} form
 * @property {number[]} mean the mean of the network's input, 0 to 1, by channel
 * @property {number} temperature
 * @property {number[] | null} thresholds with several labels a picture, one for each class
 * @property {number} pixel_limit
 * @property {{integer: [number, number] | null, real: [number, number] | null}} ranges
 * @property {string | null} weights their SHA-256
 * @property {string} card Markdown
 * @property {{name: string, version: string, licence: string}} runtime
 * @property {{png: string, logits: number[], probabilities: number[]}[]} checks made pictures in base64, and what the
 *   model answers
 */

/**
 * Prepared images -> for each image a number for each class.
 * @typedef {(images: Uint8Array, count: number) => Promise<{logits: Float32Array, probabilities: Float32Array}>} Network
 */

export const VERSION = 1;
/** The largest difference in the self-check: of a probability, and of a logit relative to the largest one or to 1. */
export const BOUND = 1e-4;
