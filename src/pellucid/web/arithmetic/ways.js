/**
 * How a sum moves through its factors: from one term to the next, each factor's index moves by a constant pace. The
 * paces follow from the index maps.
 *
 * In a convolution the gradient of an input number adds gradient of out[y] * weight[ky] over all y, ky with
 * S*y + D*ky = constant: from term to term y moves by D/g and ky by -S/g, where g is the greatest common divisor. So
 * the weights come in turned order, and the numbers of the two lie S/g and D/g cells apart.
 */

import { GRADIENT } from "./declaration.js";
import { names as namesOf } from "./expression.js";

/** @typedef {import("./declaration.js").Axis} Axis */
/** @typedef {import("./declaration.js").Stage} Stage */
/** @typedef {import("./evaluator.js").Terms} Terms */
/**
 * One direction of a drawing, down or across.
 * @typedef {object} Way
 * @property {number} unit cells from one term to the next: the least number that gives every factor whole cells
 * @property {number[][]} paces for each column of the terms and each of its axes, from one term to the next
 * @property {boolean} tied whether two factors move against each other: beyond the terms they go on
 * @property {string[]} gaps for each column, why cells lie between its numbers: "stride 2"; "" for none
 * @property {string[]} steps for each column, why the sum leaves out some of its numbers; "" for none
 */

/**
 * @param {Terms} terms
 * @param {number} side -2 for down, -1 for across: the axis of the first column that moves
 * @param {boolean} windows whether the op has windows, with a stride and a dilation
 * @returns {Way | null} null if the steps are not constant
 */
export function way(terms, side, windows) {
  const { stage, columns } = terms;
  const maps = columns.map(({ name }) => stage.maps[name === "won" ? stage.out : name.replace(GRADIENT, "")]);
  const flat = maps[0].length !== columns[0].shape.length;
  const [steps] = flat ? maps[0][0] : /** @type {Axis} */ (maps[0].at(side));
  const known = determined(terms);
  const open = Object.keys(steps).filter((name) => !known.has(name));
  const none = columns.map(() => "");
  const still = columns.map(({ shape }) => shape.map(() => 0));
  if (!open.length) return { unit: 1, paces: still, tied: false, gaps: none, steps: none };
  const moving = flat ? null : direction(terms, open, known);
  if (!moving) return null;
  const whole = maps.map((map, at) => {
    const own = map.map((axis) => pace(axis, moving));
    if (map.length === columns[at].shape.length) return own;
    return own[0] === 0 ? still[at] : [NaN]; // a flattened array's numbers wrap at the end of a row
  });
  if (whole.flat().some(Number.isNaN)) return null;
  const own = whole[0][columns[0].shape.length + side];
  if (!own) return null;
  const forward = whole.map((each) => each.map((step) => (own < 0 ? -step : step) || 0));
  const sizes = forward.flat().map(Math.abs).filter(Boolean);
  const unit = sizes.reduce((a, b) => (a * b) / divisor(a, b));
  return {
    unit,
    paces: forward,
    tied: Object.keys(moving).length > 1,
    ...causes(terms, forward, unit, moving, windows),
  };
}

/**
 * The names that an index of the sum's number fixes.
 * @param {Terms} terms
 */
function determined({ stage, from }) {
  const known = new Set(Object.keys(stage.ranges).filter((name) => stage.ranges[name] === 1));
  for (let before = -1; before < known.size;) {
    before = known.size;
    for (const [steps] of stage.maps[from]) {
      const unknown = Object.keys(steps).filter((name) => !known.has(name));
      if (unknown.length === 1 && typeof steps[unknown[0]] === "number") known.add(unknown[0]);
    }
  }
  return known;
}

/**
 * How the names change from one term to the next.
 * @param {Terms} terms
 * @param {string[]} open names of the axis that moves
 * @param {Set<string>} known
 * @returns {Record<string, number> | null}
 */
function direction({ stage, from, names }, open, known) {
  const constant = (/** @type {string} */ name) => names[name].every((value) => value === names[name][0]);
  for (const fixed of [known, new Set([...known, ...Object.keys(names).filter(constant)])]) {
    const free = new Set(open.filter((name) => !fixed.has(name)));
    const ties = stage.maps[from].filter(([steps]) => Object.keys(steps).some((name) => free.has(name)));
    for (const [steps] of ties) for (const name of Object.keys(steps)) if (!fixed.has(name)) free.add(name);
    const [first, second] = free;
    if (free.size === 1 && !ties.length) return { [first]: 1 };
    if (free.size === 2 && ties.length === 1) {
      const [a, b] = [ties[0][0][first], ties[0][0][second]];
      if (typeof a !== "number" || typeof b !== "number") return null;
      const common = divisor(a, b);
      return { [first]: b / common, [second]: -a / common };
    }
  }
  return null;
}

/**
 * @param {Axis} axis
 * @param {Record<string, number>} moving
 * @returns {number} NaN if the steps are not constant
 */
function pace([steps], moving) {
  let sum = 0;
  for (const [name, step] of Object.entries(steps)) {
    if (name in moving) sum += typeof step === "number" ? step * moving[name] : NaN;
  }
  return sum;
}

/**
 * Why there are gaps, and why numbers are left out.
 * @param {Terms} terms
 * @param {number[][]} paces
 * @param {number} unit
 * @param {Record<string, number>} moving
 * @param {boolean} windows
 */
function causes({ stage, from, columns }, paces, unit, moving, windows) {
  const [data] = namesOf(stage.term);
  const appears = (/** @type {string} */ array, /** @type {string} */ name) =>
    stage.maps[array].some(([steps]) => name in steps);
  // a name that ties the op's result to its input counts places; another counts inside the kernel
  const word = (/** @type {string} */ name) =>
    windows ? (appears(stage.out, name) && appears(data, name) ? "stride" : "dilation") : "step";
  const all = Object.keys(moving);
  const tie = stage.maps[from].find(([steps]) => all.every((name) => name in steps))?.[0] ?? {};
  const size = (/** @type {string} */ name, /** @type {number} */ alone) =>
    all.length > 1 ? Math.abs(Number(tie[name])) : alone;
  const ofColumn = columns.map(({ name }) => {
    const map = stage.maps[name === "won" ? stage.out : name.replace(GRADIENT, "")];
    return all.find((each) => map.some(([steps]) => each in steps)) ?? all[0];
  });
  const reach = paces.map((own) => Math.max(0, ...own.map(Math.abs)));
  return {
    gaps: reach.map((far, at) => {
      const spacing = far ? unit / far : 1;
      return spacing > 1 ? `${word(ofColumn[at])} ${size(ofColumn[at], spacing)}` : "";
    }),
    steps: reach.map((far, at) => {
      const other = all.find((name) => name !== ofColumn[at]) ?? ofColumn[at];
      return far > 1 ? `${word(other)} ${size(other, far)}` : "";
    }),
  };
}

/**
 * The greatest common divisor.
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function divisor(a, b) {
  return b ? divisor(b, a % b) : Math.abs(a);
}
