/** A place in the comparison, as the address has it: "int8,4,2" is map 2 of the fifth layer; "int8,-" has none open. */

/** @typedef {import("./pair.js").Choice} Choice */
/** @typedef {{id: string, row: number | null | "-", channel: number | null}} Place */

/**
 * @param {string} text
 * @param {Choice[]} choices at least one
 * @returns {Place & {wrong: string}} wrong: what the address names that is not here
 */
export function read(text, choices) {
  const [id = "", row, channel] = text.split(",");
  const whole = (/** @type {string | undefined} */ part) => (part && /^\d{1,6}$/.test(part) ? Number(part) : null);
  const there = choices.some((each) => each.id === id);
  return {
    id: there ? id : choices[0].id,
    row: there ? (row === "-" ? row : whole(row)) : null,
    channel: there ? whole(channel) : null,
    wrong: there || !id ? "" : `There is no “${id}” to compare with here.`,
  };
}

/**
 * @param {Place} place
 * @returns {string}
 */
export function write({ id, row, channel }) {
  return [id, row, typeof row === "number" ? channel : null].filter((part) => part !== null).join(",");
}
