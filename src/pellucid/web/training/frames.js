/** The frames of a training's replay: requested one by one, cached, and parsed as safetensors. */

import { Trouble } from "../host.js";

/** @typedef {{name: string, kind: string, shape: number[], kept: number[], weight: number[] | null}} Layer */
/** @typedef {{step: number, epoch: number, train_loss: number | null, loss: (number | null)[], bytes: number}} Moment */
/**
 * @typedef {object} Replay
 * @property {string[]} classes
 * @property {boolean} several whether a picture may have several labels, each with a probability of its own
 * @property {Layer[]} layers
 * @property {number} steps
 * @property {number} steps_per_epoch
 * @property {{path: string, class: string, labels: string[], side: string}[]} pictures
 * @property {Moment[]} frames
 */
/** @typedef {Map<string, {shape: number[], data: Int8Array | Float32Array}>} Tensors */
/** @typedef {"weight" | "output" | "gradient"} Kind */

export const LEVELS = 127; // of an int8 to either side of zero
const KEPT = 200; // frames
const AHEAD = 64; // frames that are fetched before they are asked for
const CUT = "A frame of the training arrived incomplete. Reload the page.";

/**
 * safetensors: the length of a header as uint64, the header as JSON, the numbers.
 * @param {ArrayBuffer} buffer
 * @returns {Tensors}
 */
export function tensors(buffer) {
  if (buffer.byteLength < 8) throw new Trouble(CUT);
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  if (start > buffer.byteLength) throw new Trouble(CUT);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  delete header.__metadata__;
  /** @type {Tensors} */
  const all = new Map();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(/** @type {Record<string, any>} */ (header))) {
    const [from, to] = data_offsets.map((/** @type {number} */ at) => start + at);
    const count = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    const width = dtype === "I8" ? 1 : dtype === "F32" ? 4 : NaN;
    if (to > buffer.byteLength || to - from !== count * width) throw new Trouble(CUT);
    const data = dtype === "I8" ? new Int8Array(buffer, from, count) : new Float32Array(buffer.slice(from, to));
    all.set(name, { shape, data });
  }
  return all;
}

/**
 * Numbers of a tensor from `from` on: int8 times their scale.
 * @param {Tensors} frame
 * @param {string} name
 * @param {number} from
 * @param {number} count that share one scale
 * @param {number} scale its index
 */
export function scaled(frame, name, from, count, scale) {
  const { data } = of(frame, name);
  const each = of(frame, `${name}/scale`).data[scale];
  return Float32Array.from(data.subarray(from, from + count), (value) => value * each);
}

/**
 * The largest magnitude of a layer's weights, or of one picture's maps or gradients.
 * @param {Tensors} frame
 * @param {string} layer
 * @param {Kind} kind
 * @param {number} picture
 */
export function largest(frame, layer, kind, picture) {
  const { data, shape } = of(frame, `${layer}/${kind}/scale`);
  const each = kind === "weight" ? data.length : data.length / shape[0];
  const own = kind === "weight" ? data : data.subarray(picture * each, (picture + 1) * each);
  let most = 0;
  for (const scale of own) if (scale > most) most = scale; // NaN is not
  return LEVELS * most;
}

/**
 * softmax of a picture's logits; with several labels, sigmoid.
 * @param {Tensors} frame
 * @param {number} picture
 * @param {boolean} several
 * @returns {number[]}
 */
export function probabilities(frame, picture, several) {
  const { data, shape } = of(frame, "logits");
  const own = Array.from(data.subarray(picture * shape[1], (picture + 1) * shape[1]));
  if (several) return own.map((logit) => 1 / (1 + Math.exp(-logit)));
  const most = Math.max(...own);
  const powers = own.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * @param {Tensors} frame
 * @param {string} name
 */
export function of(frame, name) {
  const tensor = frame.get(name);
  if (!tensor) throw new Trouble(`${name} is missing from a frame of the training. Reload the page.`);
  return tensor;
}

/**
 * Frames by their step.
 * @param {(path: string) => Promise<Response>} ask
 */
export function createFrames(ask) {
  /** @type {Map<number, Tensors>} */
  const known = new Map();
  /** @type {Map<number, Promise<Tensors>>} */
  const coming = new Map();
  const keep = (/** @type {number} */ step, /** @type {Tensors} */ frame) => {
    known.set(step, frame);
    if (known.size > KEPT) known.delete(/** @type {number} */ (known.keys().next().value));
    return frame;
  };
  const load = (/** @type {number} */ step) => {
    const pending = coming.get(step);
    if (pending) return pending;
    const request = ask(`api/training/frame?step=${step}`)
      .then((answer) => answer.arrayBuffer())
      .then((buffer) => keep(step, tensors(buffer)))
      .finally(() => coming.delete(step));
    coming.set(step, request);
    return request;
  };
  return {
    /** @param {number} step */
    now: (step) => known.get(step),
    /** @param {number} step */
    load: async (step) => known.get(step) ?? load(step),
    /**
     * Prefetches frames one after the other, evenly spaced if there are many.
     * @param {number[]} steps
     */
    async ahead(steps) {
      const every = Math.max(1, Math.ceil(steps.length / AHEAD));
      for (const step of steps.filter((_, at) => at % every === 0)) {
        if (!known.has(step)) await load(step);
      }
    },
    /**
     * The largest magnitude in any loaded frame.
     * @param {string} layer
     * @param {Kind} kind
     * @param {number} picture
     */
    largest: (layer, kind, picture) =>
      Math.max(0, ...[...known.values()].map((frame) => largest(frame, layer, kind, picture))),
  };
}

/** @typedef {ReturnType<typeof createFrames>} Frames */
