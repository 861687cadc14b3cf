/** The cells of a factor's grid: its numbers, its padding, and the gaps that a stride or a dilation leaves. */

import { GRADIENT } from "../arithmetic/declaration.js";
import { unit } from "../format.js";
import { position } from "../trace.js";
import { numberCalled } from "./follow.js";

/** @typedef {import("../arithmetic/frame.js").Frame} Frame */
/** @typedef {import("../arithmetic/working.js").Part} Part */
/** @typedef {import("./follow.js").NumberContext} NumberContext */
/** @typedef {import("./grid.js").Cell} Cell */
/**
 * Terms that share a map.
 * @typedef {{key: string, lead: number[], rows: number[], total: number, frame: Frame}} Slice
 */

/**
 * A factor's cell; null if no number is known there.
 * @param {NumberContext} context
 * @param {Part} part
 * @param {Frame} frame
 * @param {number} factor its number among the columns
 * @param {[number, number]} at row and column in the frame, or around it
 * @returns {Cell | null}
 */
export function factorCell({ trace, follow }, part, frame, factor, [row, column]) {
  const { name: local, values, inside, shape, array, indices } = part.terms.columns[factor];
  const term = frame.term(row, column);
  const index = term === undefined ? frame.place(factor, row, column) : indices.map((axis) => axis[term]);
  if (!index) return frame.ways.length ? { value: 0, says: `gap: ${gap(frame, factor)}`, gap: true } : null;
  const name = part.named(local);
  const within = index.every((place, axis) => place >= 0 && place < shape[axis]);
  if (!within || (term !== undefined && !inside[term])) {
    return { value: 0, says: name.startsWith(GRADIENT) ? "outside the map" : "padding", outside: true, term };
  }
  if (term === undefined && !array) return null;
  const short = index.slice(part.lead(local));
  const target = numberCalled(trace, name, short);
  return {
    value: term !== undefined ? values[term] : /** @type {ArrayLike<number>} */ (array)[position(index, shape)],
    says: unit(name, short),
    follow: target && (() => follow(target)),
    term,
  };
}

/**
 * Why numbers of a factor lie apart: "stride 2".
 * @param {Frame} frame
 * @param {number} factor
 */
export function gap({ ways }, factor) {
  return different(ways.map(({ gaps }) => gaps[factor]));
}

/**
 * The name of a factor without the indices that run along the grid: "conv1.weight[3, 0]".
 * @param {Part} part
 * @param {Frame} frame
 * @param {number} factor
 * @param {number} row a term
 */
export function caption(part, frame, factor, row) {
  const { name, indices, shape } = part.terms.columns[factor];
  const shownName = part.named(name);
  const count = shape.length;
  const along = frame.ways.map(({ paces }) => paces[factor].flatMap((pace, axis) => (pace ? [axis] : [])));
  const own = [count - 2, count - 1];
  const flat = count > 1 && shape[count - 1] * shape[count - 2] === 1;
  const usual = along.every((axes, side) => axes.every((axis) => axis === own[side])) && along.flat().length > 0;
  const index = indices.map((axis, at) => (along.flat().includes(at) ? ":" : axis[row]));
  const shown = index.slice(part.lead(name), usual || flat ? -2 : undefined);
  return shown.length ? `${shownName}[${shown.join(", ")}]` : shownName;
}

/**
 * What was done to a factor so that its cells meet those of the other: "turned by 180°, stride 2: gaps between".
 * @param {Frame} frame
 * @param {number} factor
 */
export function note(frame, factor) {
  const signs = frame.ways.map(({ paces }, side) =>
    frame.size[side] > 1 ? Math.sign(paces[factor].find((pace) => pace !== 0) ?? 0) : 0,
  );
  const turned = signs.includes(1)
    ? [signs[0] < 0 && "upside down", signs[1] < 0 && "from right to left"].filter(Boolean).join(", ")
    : signs.includes(-1) && "turned by 180°";
  const gaps = gap(frame, factor);
  const steps = different(frame.ways.map(({ steps }) => steps[factor]));
  const tied = frame.spread && frame.ways.some((way) => way.tied); // then the whole kernel is drawn, and gaps meet it
  const every = steps && !gaps && !tied && `${steps}: every ${ordinal(steps)} place`;
  return [turned, gaps && `${gaps}: gaps between`, every].filter(Boolean).join(", ");
}

/** @param {string} steps "stride 3" */
function ordinal(steps) {
  const count = Number(/\d+$/.exec(steps)?.[0]);
  return ["second", "third"][count - 2] ?? `${count}th`;
}

/**
 * The indices beside the rows and above the columns of a factor's grid.
 * @param {Part} part
 * @param {Frame} frame
 * @param {number} factor
 * @param {number[][]} ends [[first row, end], [first column, end]] in the frame
 */
export function heads(part, frame, factor, ends) {
  const { shape } = part.terms.columns[factor];
  return ends.map(([from, to], side) => {
    const [axis] = frame.ways[side]?.paces[factor].flatMap((pace, at) => (pace ? [at] : [])) ?? [];
    return Array.from({ length: to - from }, (_, at) => {
      for (let other = ends[1 - side][0]; other < ends[1 - side][1]; other++) {
        const index = side ? frame.place(factor, other, from + at) : frame.place(factor, from + at, other);
        if (index) return String(index[axis ?? shape.length - 2 + side]);
      }
      return "";
    });
  });
}

/** @param {string[]} texts */
function different(texts) {
  return [...new Set(texts.filter(Boolean))].join(", ");
}
