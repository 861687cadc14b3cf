/**
 * The evaluator: the terms of any one number of an op, forward and backward, from its declaration. The same as
 * glassbox/arithmetic/evaluator.py, which explains it; tests/web/test_evaluator.py compares its sums with Python's.
 *
 *     value      out[u]  = sum over all n with A(n) = u of  term
 *     gradient   of a[v] = sum over all n with B(n) = v of  gradient of out[A(n)] * d term / d a
 */

import { GRADIENT, OUT } from "./declaration.js";
import { evaluate, magnitude, names, times } from "./expression.js";
import { limited } from "./precision.js";
import { flat, selected, one, places, solve, unflat } from "./rows.js";

/** @typedef {import("./expression.js").Expression} Expression */
/** @typedef {import("./declaration.js").Stage} Stage */
/** @typedef {import("./declaration.js").Op} Op */
/** @typedef {import("./declaration.js").Numbers} Numbers */
/** @typedef {import("./rows.js").Rows} Rows */
/** @typedef {import("./rows.js").Indices} Indices */
/**
 * One factor of a sum's terms.
 * @typedef {object} Column
 * @property {string} name
 * @property {number[]} shape of the array
 * @property {Numbers | null} array null if no whole array holds its numbers
 * @property {Int32Array[]} indices one array per axis, one number per term
 * @property {Float64Array} values
 * @property {Uint8Array} inside 0 if the index is in the padding, where the value is zero
 */
/**
 * The terms of one number from one stage, in their order of addition.
 * @typedef {object} Terms
 * @property {Expression} formula
 * @property {Column[]} columns
 * @property {Float64Array} values
 * @property {"sum" | "max"} pick
 * @property {number} scale sqrt(number of terms) * the sum of the terms' magnitudes
 * @property {number} total
 * @property {number | null} winner
 * @property {Stage} stage
 * @property {string} from the array of the stage whose number this is
 * @property {Record<string, Int32Array>} names the value of each index name, one number per term
 */
/**
 * Terms of several numbers, row by row.
 * @typedef {object} Gathered
 * @property {Stage} stage
 * @property {string} from the array of the stage that was solved for
 * @property {Rows} rows
 * @property {Expression} formula
 * @property {Column[]} columns
 * @property {Float64Array} values
 * @property {Float64Array} magnitudes
 * @property {"sum" | "max"} pick
 * @property {string} [precision]
 */
/** @typedef {Map<string, Map<number, [number, number]>>} Memo */

const NEAR = 2 ** -16; // how near to the largest candidate one must come for its rounding to matter

/** An op with its numbers; each result is computed once. */
export class Evaluator {
  /**
   * @param {Op} op
   * @param {Record<string, Numbers>} arrays every input's numbers
   * @param {Numbers | null} gradient of the loss with respect to "out"
   */
  constructor(op, arrays, gradient = null) {
    this.op = op;
    this.arrays = { ...arrays };
    for (const [name, nested] of Object.entries(op.constants)) this.arrays[name] = [nested].flat(Infinity);
    /** @type {Record<string, number[]>} */
    this.scales = {};
    for (const [name, nested] of Object.entries(op.scales ?? {})) this.scales[name] = [nested].flat(Infinity);
    this.gradient = gradient;
    /** @type {Memo} */
    this.values = new Map();
    /** @type {Memo} */
    this.gradients = new Map();
  }

  /**
   * The terms of one number of "out", or of an intermediate array: one Terms for each stage that adds to it.
   * @param {number[]} index
   * @returns {Terms[]}
   */
  forward(index, name = OUT) {
    const parts = this.stagesOf(name).map((stage) => this.forwardStage(stage, one(index)));
    const filled = parts.filter((part) => part.values.length > 0);
    return (filled.length > 0 ? filled : parts.slice(0, 1)).map(terms);
  }

  /**
   * The terms of the gradient of one number of an input, or of an intermediate array.
   * @param {string} name
   * @param {number[]} index
   * @returns {Terms[]}
   */
  backward(name, index) {
    const parts = this.stagesAfter(name).map((stage) => this.backwardStage(stage, name, one(index)));
    return parts.filter((part) => part.values.length > 0).map(terms);
  }

  /**
   * The indices, without values, of the numbers that go into a unit, or that it goes into.
   * @param {string} from
   * @param {number[]} index
   * @param {string} to
   * @returns {Int32Array[][]} for each stage that joins the two, one array per axis
   */
  places(from, index, to) {
    const { shapes } = this.op;
    const joining = this.op.stages.filter((stage) => stage.maps[from] && stage.maps[to]);
    return joining.map((stage) => {
      const rows = solve(stage, from, one(index), shapes[from]);
      const { indices, inside } = places(stage.maps[to], rows, shapes[to]);
      return indices.axes.map((axis) => axis.filter((_, row) => inside[row]));
    });
  }

  /** @param {string} name */
  stagesOf(name) {
    return this.op.stages.filter((stage) => stage.out === name);
  }

  /** @param {string} name */
  stagesAfter(name) {
    return this.op.stages.filter((stage) => stage.through && names(stage.term).includes(name));
  }

  /**
   * @param {Stage} stage
   * @param {Indices} wanted
   * @returns {Gathered}
   */
  forwardStage(stage, wanted) {
    const rows = solve(stage, stage.out, wanted, this.op.shapes[stage.out]);
    const { columns, magnitudes } = this.gather(stage, rows);
    const part = { stage, from: stage.out, ...gathered(rows, stage.term, columns, magnitudes) };
    if (stage.pick === "sum") return { ...part, precision: stage.precision };
    const values = part.values.map((value, row) => (columns.every(({ inside }) => inside[row]) ? value : -Infinity));
    // a mask's -Infinity is exact and has no rounding error
    const sizes = part.magnitudes.map((size, row) => (Number.isFinite(values[row]) ? size : 0));
    return { ...part, values, magnitudes: sizes, pick: "max" };
  }

  /**
   * @param {Stage} stage
   * @param {string} name
   * @param {Indices} wanted
   * @returns {Gathered}
   */
  backwardStage(stage, name, wanted) {
    const all = solve(stage, name, wanted, this.op.shapes[name]);
    const { indices, inside } = places(stage.maps[stage.out], all, this.op.shapes[stage.out]);
    // a transposed convolution's padding cuts off some of its outputs: no gradient comes from there
    const rows = selected(all, inside);
    const out = { count: rows.of.length, axes: indices.axes.map((axis) => axis.filter((_, row) => inside[row])) };
    const arriving = this.gradientsAt(stage.out, out);
    const ones = new Uint8Array(out.count).fill(1);
    const made = { shape: this.op.shapes[stage.out], indices: out.axes, inside: ones };
    const whole = stage.out === OUT ? this.gradient : null;
    const first = { ...made, name: GRADIENT + stage.out, array: whole, values: arriving.values };
    const { columns, magnitudes } = this.gather(stage, rows);
    const sizes = { ...magnitudes, [first.name]: arriving.scales };
    /** @type {Column[]} */
    const factors = [first, ...columns];
    /** @type {Expression} */
    let formula = first.name;
    if (stage.pick === "max") {
      const won = { ...made, name: "won", array: null, values: this.won(stage, name, out, wanted, rows.of) };
      factors.splice(1, 0, won);
      sizes.won = won.values;
      formula = times(formula, won.name);
    }
    formula = times(formula, stage.derivatives?.[name] ?? (stage.pick === "max" ? 1 : 0));
    const used = new Set(names(formula));
    const columnsUsed = factors.filter((column) => used.has(column.name));
    return { stage, from: name, ...gathered(rows, formula, columnsUsed, sizes) };
  }

  /**
   * The gradient goes to the winner: 1 for each window that this number has won (or its share), 0 for the others.
   * @param {Stage} stage
   * @param {string} name
   * @param {Indices} out
   * @param {Indices} wanted
   * @param {Int32Array} of
   */
  won(stage, name, out, wanted, of) {
    /** @type {Map<string, Map<number, number>>} */
    const known = new Map(); // a window's winners: where they stand, and their share
    const wantedAt = flat(wanted, this.op.shapes[name]);
    return Float64Array.from({ length: out.count }, (_, row) => {
      const window = out.axes.map((axis) => axis[row]);
      const key = window.join();
      const winners = known.get(key) ?? this.winners(stage, name, window);
      known.set(key, winners);
      return winners.get(wantedAt[of[row]]) ?? 0;
    });
  }

  /**
   * @param {Stage} stage
   * @param {string} name
   * @param {number[]} window
   */
  winners(stage, name, window) {
    const { values, columns } = this.forwardStage(stage, one(window));
    const best = values[largest(values)];
    const axes = columns.find((column) => column.name === name)?.indices ?? [];
    const positions = flat({ count: values.length, axes }, this.op.shapes[name]);
    let rows = [...values.keys()].filter((row) => values[row] === best && columns.every(({ inside }) => inside[row]));
    if (stage.ties !== "shared") rows = rows.slice(0, 1);
    /** @type {Map<number, number>} */
    const winners = new Map();
    for (const row of rows) winners.set(positions[row], (winners.get(positions[row]) ?? 0) + 1 / rows.length);
    return winners;
  }

  /**
   * @param {Stage} stage
   * @param {Rows} rows
   */
  gather(stage, rows) {
    /** @type {Record<string, Float64Array>} */
    const magnitudes = {};
    const columns = names(stage.term).map((name) => {
      const { indices, inside } = places(stage.maps[name], rows, this.op.shapes[name]);
      const { values, scales } = this.valuesAt(name, indices, inside);
      magnitudes[name] = scales;
      const array = this.arrays[name] ?? null;
      return { name, shape: this.op.shapes[name], array, indices: indices.axes, values, inside };
    });
    return { columns, magnitudes };
  }

  /**
   * @param {string} name
   * @param {Indices} indices
   * @param {Uint8Array} inside
   */
  valuesAt(name, indices, inside) {
    const positions = flat(indices, this.op.shapes[name]);
    const array = this.arrays[name];
    if (array !== undefined) {
      const values = Float64Array.from(positions, (position, row) => (inside[row] ? array[position] : 0));
      const sizes = this.scales[name];
      const scales = sizes && Float64Array.from(positions, (position, row) => (inside[row] ? sizes[position] : 0));
      return { values, scales: scales ?? values.map(sizeOf) };
    }
    const parts = this.stagesOf(name).map(
      (stage) => (/** @type {Indices} */ wanted) => this.forwardStage(stage, wanted),
    );
    return keptIn(memo(this.values, name), positions, inside, this.op.shapes[name], parts);
  }

  /**
   * @param {string} name
   * @param {Indices} indices
   */
  gradientsAt(name, indices) {
    const positions = flat(indices, this.op.shapes[name]);
    if (name === OUT) {
      const { gradient } = this;
      if (gradient === null)
        throw new Error('The evaluator needs the gradient of the loss with respect to "out" and has none.');
      const values = Float64Array.from(positions, (position) => gradient[position]);
      return { values, scales: values.map(sizeOf) };
    }
    const inside = new Uint8Array(positions.length).fill(1);
    const parts = this.stagesAfter(name).map(
      (stage) => (/** @type {Indices} */ wanted) => this.backwardStage(stage, name, wanted),
    );
    return keptIn(memo(this.gradients, name), positions, inside, this.op.shapes[name], parts);
  }
}

/**
 * The scale of a number's rounding error. An infinite number is exact, like a mask's -inf.
 * @param {number} value
 */
function sizeOf(value) {
  return Math.abs(value) === Infinity ? 0 : Math.abs(value);
}

/**
 * @param {Memo} known
 * @param {string} name
 */
function memo(known, name) {
  const own = known.get(name) ?? new Map();
  known.set(name, own);
  return own;
}

/**
 * (value, scale) of numbers that must be computed, each distinct one once.
 * @param {Map<number, [number, number]>} known
 * @param {Int32Array} positions
 * @param {Uint8Array} inside
 * @param {number[]} shape
 * @param {((wanted: Indices) => Gathered)[]} parts
 */
function keptIn(known, positions, inside, shape, parts) {
  const wanted = positions.filter((position, row) => inside[row] && !known.has(position));
  const missing = Int32Array.from(new Set(wanted)).sort();
  if (missing.length > 0) {
    const values = new Float64Array(missing.length);
    const scales = new Float64Array(missing.length);
    for (const part of parts) {
      const added = sums(part(unflat(missing, shape)), missing.length);
      for (let row = 0; row < missing.length; row++) {
        values[row] += added.values[row];
        scales[row] += added.scales[row];
      }
    }
    missing.forEach((position, row) => known.set(position, [values[row], scales[row]]));
  }
  const at = (/** @type {number} */ which) =>
    Float64Array.from(positions, (position, row) => (inside[row] ? (known.get(position)?.[which] ?? NaN) : 0));
  return { values: at(0), scales: at(1) };
}

/**
 * @param {Rows} rows
 * @param {Expression} formula
 * @param {Column[]} columns
 * @param {Record<string, Float64Array>} sizes
 * @returns {Omit<Gathered, "stage" | "from">}
 */
function gathered(rows, formula, columns, sizes) {
  const count = rows.of.length;
  const byName = Object.fromEntries(columns.map((column) => [column.name, column.values]));
  const values = evaluate(formula, (name) => byName[name], count);
  const magnitudes = magnitude(
    formula,
    (name) => byName[name],
    (name) => sizes[name],
    count,
  );
  return { rows, formula, columns, values, magnitudes, pick: "sum" };
}

/**
 * The terms of the only wanted number.
 * @param {Gathered} part
 * @returns {Terms}
 */
function terms(part) {
  const { values, scales } = sums(part, 1);
  const { formula, columns, pick, stage, from } = part;
  const winner = pick === "max" ? largest(part.values) : null;
  const total = values[0];
  return {
    ...{ formula, columns, values: part.values, pick, scale: scales[0], total, winner },
    ...{ stage, from, names: part.rows.names },
  };
}

/**
 * (value, scale) of each of `count` numbers.
 * @param {Gathered} part
 * @param {number} count
 */
function sums({ rows, values: each, magnitudes, pick, precision }, count) {
  const values = new Float64Array(count).fill(pick === "max" ? -Infinity : 0);
  const scales = new Float64Array(count);
  const counts = new Float64Array(count);
  rows.of.forEach((of, row) => {
    values[of] = pick === "max" ? Math.max(values[of], each[row]) : values[of] + each[row];
    if (pick === "sum") scales[of] += magnitudes[row];
    counts[of] += 1;
  });
  if (pick === "max") {
    // not those that rounding cannot make the largest: masked scores are -1e9, or infinite
    rows.of.forEach((of, row) => {
      if (each[row] + NEAR * magnitudes[row] >= values[of]) scales[of] = Math.max(scales[of], magnitudes[row]);
    });
  }
  const near = precision ? values.map((value) => limited(value, precision)) : values;
  return { values: near, scales: pick === "max" ? scales : scales.map((scale, of) => Math.sqrt(counts[of]) * scale) };
}

/** @param {Float64Array} values the first of the largest wins */
function largest(values) {
  return values.reduce((best, value, row) => (value > values[best] ? row : best), 0);
}
