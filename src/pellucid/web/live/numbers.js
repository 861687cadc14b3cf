/** The state of the training by hand, as the server sends it, and its numbers. */

/**
 * @typedef {object} Settings by the names of the recipe
 * @property {string} model the network's text
 * @property {number} learning_rate
 * @property {number} batch
 * @property {string} optimizer
 * @property {number} momentum
 * @property {number} weight_decay
 */
/** @typedef {{name: string, shape: number[], of: number[], now: string, before: string | null, gradient: string | null}} Weight */
/** @typedef {{name: string, kind: string, output: {shape: number[], of: number[], numbers: string}, weights: Weight[]}} Layer */
/** @typedef {[number, number, number | null, number | null, number | null, number | null]} Point step, epoch, loss and
 *     accuracy in training, loss and accuracy of the watched pictures */
/**
 * @typedef {object} Live
 * @property {"idle" | "preparing" | "failed" | "ready"} state
 * @property {string} revision
 * @property {boolean} [same] nothing has changed since that revision, and nothing else is sent
 * @property {string} error
 * @property {number} done
 * @property {number} total
 * @property {Settings} settings
 * @property {number} weights
 * @property {number} step
 * @property {number} epoch
 * @property {Point[]} points
 * @property {{loss: number | null, correct: number, pictures: number, rate: number, seconds: number} | null} last
 * @property {string | null} undo
 * @property {string | null} redo
 * @property {string | null} trouble
 * @property {number} trained_on
 * @property {number} watched
 * @property {"validation" | "test" | null} watched_side
 * @property {number} gone
 * @property {number} temperature
 * @property {number[] | null} probabilities
 * @property {Layer[]} layers
 * @property {boolean} running
 * @property {number | null} speed
 * @property {string} message
 * @property {{truth: number[] | null}} picture
 */

/**
 * float32 from base64.
 * @param {string} text
 */
export function decoded(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

/**
 * The place of a number in an array of this shape.
 * @param {number} at
 * @param {number[]} shape
 */
export function indexIn(at, shape) {
  const index = [];
  for (const size of [...shape].reverse()) {
    index.unshift(at % size);
    at = Math.floor(at / size);
  }
  return index;
}

/**
 * The number at an index; -1 if there is none.
 * @param {number[]} index
 * @param {number[]} shape
 */
export function placeIn(index, shape) {
  if (index.length !== shape.length || index.some((at, axis) => !(at >= 0 && at < shape[axis]))) return -1;
  return index.reduce((place, at, axis) => place * shape[axis] + at, 0);
}
