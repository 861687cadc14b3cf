/** A weight’s life, a filter’s makers and an answer’s teachers as data, as Python’s room life writes them. */

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

/** @typedef {[number, number, number, number]} Maker row, push, step of the strongest push, that push */
/**
 * @typedef {object} Span
 * @property {number} first
 * @property {number} last
 * @property {number} moved
 * @property {number} push
 * @property {number} decay
 * @property {number} distance
 * @property {Maker[]} toward
 * @property {Maker[]} away
 */
/** @typedef {{filter: number, straight: number, distance: number, whole: Span, tenths: Span[]}} Filter */
/**
 * @typedef {object} Makers
 * @property {number} steps
 * @property {string} begins
 * @property {string} optimizer
 * @property {boolean} estimate
 * @property {{largest: number, where: string, different: number, weights: number} | null} drift
 * @property {Record<string, {path: string, label: string}>} pictures
 * @property {{layer: string, shape: number[], filters: Filter[]}[]} layers
 */
/** @typedef {{path: string, class: string, effect: number}} Teacher effect in nats, above 0 if the picture helped */
/**
 * Who taught an answer, as Teaching.as_json in life/influence.py.
 * @typedef {object} Teaching
 * @property {string} class
 * @property {number} probability
 * @property {number} loss
 * @property {"derivative" | "tracin" | "head"} method
 * @property {string} source of the method
 * @property {number} steps
 * @property {number} trained_on
 * @property {Teacher[]} helped the strongest first
 * @property {Teacher[]} hurt
 * @property {string[]} notes
 */

export {};
