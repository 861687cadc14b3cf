/** The strip's room: a map of the network on a wide page, one row of squares on a phone or a low window. */

const ROW = "(max-width: 600px), (max-height: 560px)";

/**
 * Sizes in CSS pixels. Text that the reader has enlarged needs wider columns.
 * @typedef {object} Room
 * @property {boolean} row whether there is one row of squares, without text
 * @property {number} width between the margins
 * @property {number} panel the width of the classes at the right end
 * @property {number} least the width of the narrowest column
 * @property {number} most that of the widest
 * @property {number} band the height above the squares, for arcs
 * @property {number} side of the largest square
 * @property {number} close the width of a mark that closes an opened part; 0 if it stands below its columns
 */

/**
 * @param {HTMLElement} page
 * @returns {Room}
 */
export function roomOf(page) {
  const root = document.documentElement;
  const pixels = (/** @type {string} */ length) => Number.parseFloat(length) || 0;
  const { paddingLeft, paddingRight } = getComputedStyle(page);
  const whole = page.clientWidth - pixels(paddingLeft) - pixels(paddingRight);
  const text = pixels(getComputedStyle(root).fontSize) / 16 || 1;
  if (whole <= 600 || window.matchMedia(ROW).matches) {
    const panel = Math.min(whole / 2, 112);
    return { row: true, width: whole - 12, panel, least: 28, most: 64, band: 8, side: 26, close: 24 };
  }
  const margins = whole <= 900 ? 32 : 48;
  const panel = Math.min(whole / 3, 176 * text);
  return { row: false, width: whole - margins, panel, least: 70 * text, most: 132, band: 24, side: 68, close: 0 };
}
