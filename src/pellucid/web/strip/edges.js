/** Which layer feeds which: a line to the next column, an arc over the row to any other. */

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("./cut.js").Part} Part */
/**
 * @typedef {object} Edge
 * @property {string} from a layer
 * @property {string} to a layer that reads it
 * @property {number} start in columns from the left edge
 * @property {number} end
 * @property {boolean} skips whether layers lie between the two
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * The edges between layers. Layers of a folded part lie side by side in its column.
 * @param {Trace} trace
 * @param {Part[]} parts
 * @param {string[]} ends layers at the end of the row, behind the last column
 * @returns {Edge[]}
 */
export function edgesOf(trace, parts, ends) {
  /** @type {Map<string, {at: number, x: number, column: number}>} */
  const places = new Map();
  parts.forEach(({ nodes }, column) => {
    nodes.forEach((node, at) => {
      const x = nodes.length > 1 ? 0.14 + (0.72 * at) / (nodes.length - 1) : 0.5;
      places.set(node.name, { at: places.size, x: column + x, column });
    });
  });
  const last = places.size;
  for (const name of ends) places.set(name, { at: last, x: parts.length, column: parts.length });
  return trace.nodes.flatMap(({ name, reads }) =>
    [...new Set(Object.values(reads))].flatMap((source) => {
      const [one, other] = [places.get(source), places.get(name)];
      if (!one || !other || one.at >= other.at) return [];
      const skips = other.at - one.at > 1;
      // within a column only a connection that passes over layers can be seen
      return skips || one.column !== other.column
        ? [{ from: source, to: name, start: one.x, end: other.x, skips }]
        : [];
    }),
  );
}

/**
 * The edges as a drawing behind the columns.
 * @param {Edge[]} edges
 * @param {object} sizes in pixels
 * @param {number[]} sizes.left the left edge of each column, and the right edge of the last
 * @param {number} sizes.width of a column
 * @param {number} sizes.band the room above the squares
 * @param {number} sizes.side of a square
 * @returns {SVGSVGElement}
 */
export function drawn(edges, { left, width, band, side }) {
  const svg = /** @type {SVGSVGElement} */ (document.createElementNS(SVG, "svg"));
  const x = (/** @type {number} */ place) => left[Math.floor(place)] + (place % 1) * width;
  const attributes = { class: "edges", width: left[left.length - 1], height: band + side, "aria-hidden": "true" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, String(value));
  for (const edge of edges) {
    const path = document.createElementNS(SVG, "path");
    const [start, end] = [x(edge.start), x(edge.end)];
    const tall = band * Math.min(0.92, 0.45 + 0.12 * (edge.end - edge.start));
    const bend = band - (tall * 4) / 3; // a curve reaches three quarters of the way to its handles
    const line = edge.skips
      ? `M ${start} ${band} C ${start} ${bend}, ${end} ${bend}, ${end} ${band}`
      : `M ${start} ${band + side / 2} H ${end}`;
    path.setAttribute("d", line);
    path.setAttribute("class", edge.skips ? "skip" : "next");
    path.dataset.from = edge.from;
    path.dataset.to = edge.to;
    svg.append(path);
  }
  return svg;
}
