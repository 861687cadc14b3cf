/** Which of the maps that a sum reads is shown in numbers. */

/** @typedef {import("./window.js").Slice} Slice */

/**
 * The reader's choice, or else the first of a picture's colours, or else the map with the largest sum.
 * @param {Slice[]} perMap
 * @param {number} channel the reader's choice; -1 for none. It may be a map of a further sum, counted on.
 */
export function chosenMap(perMap, channel) {
  if (channel >= 0 && channel < perMap.length) return channel;
  if (perMap.length <= 3) return 0;
  return perMap.reduce((best, slice, at) => (Math.abs(slice.total) > Math.abs(perMap[best].total) ? at : best), 0);
}
