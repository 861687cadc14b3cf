/** A weight's life as data, as Life.as_json in Python writes it. */

/** @typedef {import("../arithmetic/declaration.js").Op} Op */
/**
 * A picture's part in a weight's gradient; all parts of a step add up to it.
 * @typedef {{row: number, path: string, label: string, part: number}} Pushed
 */
/**
 * A step with its pictures.
 * @typedef {object} Step
 * @property {number} step from 1
 * @property {number} before
 * @property {number} after
 * @property {number} gradient
 * @property {number} rate
 * @property {Pushed[]} pictures the strongest first
 * @property {{count: number, part: number}} others
 * @property {Op} [op] the optimizer's arithmetic in this step
 * @property {Record<string, number>} [remembered] the optimizer's state of the weight before it
 */
/**
 * @typedef {object} Life
 * @property {string} weight
 * @property {string} begins
 * @property {string} optimizer
 * @property {number} steps
 * @property {number} epoch_steps
 * @property {number[]} values one more than steps
 * @property {number[]} gradients
 * @property {number[]} rates
 * @property {number} first
 * @property {number} last
 * @property {number | null} saved
 * @property {boolean} exact
 * @property {any} drift
 * @property {string} [note] what is special about it
 * @property {number} [unused] steps that were made after the saved weights
 * @property {number} pushed the sum of all pictures' pushes
 * @property {number} weight_decay its share
 * @property {number} earlier the share of the momentum from before the first step
 * @property {number} rounding what remains
 * @property {boolean} [augmented] whether the pictures were varied
 * @property {number} [seconds] that the repeat took
 * @property {Step[]} largest
 * @property {{row: number, path: string, label: string, up: number, down: number, times: number}[]} pushers
 */

export {};
