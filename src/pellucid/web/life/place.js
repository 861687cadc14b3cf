/** The place of a weight in the address of its life: "conv1.weight,3,0,2,2". */

/** @typedef {import("../context.js").Context} Context */
/** @typedef {{name: string, index: number[]}} Weight */

/** @param {Weight} weight */
export function placeOf({ name, index }) {
  return [name, ...index].join(",");
}

/**
 * The parts of a place: what it names, and its index as text.
 * @param {string} place
 */
export function partsOf(place) {
  const [, name, index] = /** @type {RegExpMatchArray} */ (place.match(/^(.*?)((?:,\d+)*)$/s));
  return { name, index: index.slice(1) };
}

/**
 * The weight that the reader is at, if the page can show its life.
 * @param {Pick<Context, "trace" | "state">} context
 * @returns {Weight | null}
 */
export function weightHere({ trace, state: { view, name, index } }) {
  const offered = !!trace.about.offers?.includes("life");
  return offered && !view && index && trace.parameter(name) ? { name, index } : null;
}

/**
 * The state that shows a weight's life, at its largest step.
 * @param {Weight} weight
 */
export function lifeState(weight) {
  return { view: "life", place: placeOf(weight), cursor: null, lesson: "", present: false };
}
