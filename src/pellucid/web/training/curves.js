/** The curves of a training, by uPlot, with a cursor at the current frame. */

import { h } from "../element.js";
import drawn from "../vendor/uPlot.js";

const uPlot = /** @type {any} */ (drawn);
const FAR = 20; // times the middle number, from which on the largest would press all others flat

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} color in CSS; a variable as var(--...)
 * @property {[number, number][]} points x and y, by x
 * @property {number} [width] pixels
 * @property {boolean} [dots] whether each point is marked
 * @property {boolean} [dashed]
 */

/**
 * A chart whose numbers can be replaced. The caller describes its content in words.
 * @param {object} about
 * @param {string} about.title
 * @param {string} about.across the meaning of x
 * @param {number} about.height
 * @param {number} [about.most] the largest y that there can be, 1 for a share
 * @param {(value: number) => string} about.format of y
 * @param {(x: number) => void} about.seek the reader points at x
 */
export function chart({ title, across, height, most, format, seek }) {
  const canvas = h("div", { class: "plot", role: "img", "aria-label": title });
  const legend = h("ul", { class: "lines-of" });
  const scaled = h("small", {});
  const node = h("figure", { class: "curve" }, h("figcaption", {}, h("b", {}, title), " ", scaled), canvas, legend);
  const mark = h("i", { class: "at" });
  /** @type {any} */ let plot = null;
  /** @type {Line[]} */ let lines = [];
  let [end, wide] = [1, false];
  /** @type {number | null} */ let at = null; // null without a moment: the end
  const place = () => {
    if (!plot) return;
    const left = at === null ? -1 : plot.valToPos(at, "x");
    mark.style.setProperty("left", `${left}px`);
    mark.hidden = !(left >= 0);
  };
  const look = () => {
    const style = getComputedStyle(node);
    return { ink: style.color, soft: resolved(node, "var(--soft)"), line: resolved(node, "var(--line)") };
  };
  const make = () => {
    const { soft, line } = look();
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: FONT };
    plot?.destroy();
    plot = new uPlot(
      {
        width: Math.max(120, canvas.clientWidth),
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { time: false, range: () => [0, end || 1] },
          // linear near zero and logarithmic far from it: the inverse hyperbolic sine
          y: wide
            ? { distr: 4, asinh: 1, range: powers }
            : most === undefined
              ? {}
              : { range: { min: { pad: 0.1 }, max: { pad: 0.1, hard: most } } },
        },
        padding: [10, 12, 0, 0],
        axes: [
          { ...axis, label: across, labelSize: 18, labelFont: FONT, size: 26, space: 40 },
          {
            ...axis,
            size: 46,
            space: 30,
            ...(wide && { filter: labelled, grid: { ...axis.grid, filter: labelled } }),
            values: (/** @type {any} */ _, /** @type {(number | null)[]} */ ticks) =>
              ticks.map((tick) => (tick === null ? "" : format(tick))),
          },
        ],
        series: [
          {},
          ...lines.map(({ name, color, width = 1.5, dots = false, dashed = false }) => ({
            label: name,
            stroke: resolved(canvas, color),
            width,
            dash: dashed ? [6, 4] : undefined,
            spanGaps: true,
            points: { show: dots, size: 6, fill: resolved(canvas, color) },
          })),
        ],
      },
      aligned(lines),
      canvas,
    );
    plot.root.setAttribute("aria-hidden", "true");
    plot.over.append(mark);
    plot.over.addEventListener("pointerdown", point);
    plot.over.addEventListener(
      "pointermove",
      (/** @type {PointerEvent} */ event) => event.buttons === 1 && point(event),
    );
    place();
  };
  /** The legend: what each line is, and its number at the moment. */
  const explain = () =>
    legend.replaceChildren(
      ...lines.map(({ name, color, points, dashed, dots }) => {
        const last = points.findLast(([known]) => at === null || known <= at + 1e-9);
        const kinds = [dashed && "dashed", dots && "dotted"].filter(Boolean).join(" ");
        return h(
          "li",
          {},
          h("i", { class: kinds, style: { "border-color": color, color } }),
          name,
          h("b", {}, last ? format(last[1]) : "–"),
        );
      }),
    );
  const point = (/** @type {PointerEvent} */ event) => {
    const { left } = plot.over.getBoundingClientRect();
    seek(plot.posToVal(event.clientX - left, "x"));
  };
  new ResizeObserver(() => {
    if (!canvas.isConnected || !canvas.clientWidth || !lines.length) return;
    if (!plot) make();
    else if (plot.width !== canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height });
    place();
  }).observe(canvas);
  return {
    node,
    /**
     * @param {Line[]} now
     * @param {number} whole the last x of the whole training
     * @param {string} words the same in words
     */
    set(now, whole, words) {
      end = whole;
      const far = spread(now);
      const same =
        far === wide && now.length === lines.length && now.every(({ name }, each) => name === lines[each].name);
      [lines, wide] = [now, far];
      scaled.textContent = far ? "logarithmic above 1" : "";
      node.hidden = !lines.some(({ points }) => points.length);
      canvas.setAttribute("aria-label", words);
      explain();
      if (plot && same) plot.setData(aligned(lines));
      else if (canvas.isConnected && canvas.clientWidth) make();
      place();
    },
    /** The theme has changed between light and dark. */
    recolor: () => plot && make(),
    /**
     * Moves the cursor and updates the legend: each line's number there, the last one up to x.
     * @param {number} x
     */
    move(x) {
      at = x;
      place();
      explain();
    },
  };
}

const FONT = "11px system-ui, sans-serif";

/**
 * Resolves a CSS colour here, because a canvas does not know variables.
 * @param {HTMLElement} node
 * @param {string} color
 */
function resolved(node, color) {
  const probe = h("i", { style: { color } });
  node.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  return computed;
}

/**
 * In uPlot's form: each x once, and each line's y there or null.
 * @param {Line[]} lines
 */
function aligned(lines) {
  const xs = [...new Set(lines.flatMap(({ points }) => points.map(([x]) => x)))].sort((a, b) => a - b);
  const columns = lines.map(({ points }) => {
    const known = new Map(points);
    return xs.map((x) => known.get(x) ?? null);
  });
  return [xs, ...columns];
}

/**
 * From zero to the next power of ten.
 * @param {any} _
 * @param {number} low
 * @param {number} high
 */
function powers(_, low, high) {
  return [Math.min(0, low), 10 ** Math.ceil(Math.log10(high))];
}

/**
 * Labels zero and the powers of ten; there is nothing below zero.
 * @param {any} _
 * @param {number[]} splits
 */
function labelled(_, splits) {
  return splits.map((value) => (value === 0 || (value > 0 && Number.isInteger(Math.log10(value))) ? value : null));
}

/**
 * Whether the largest number is far from the median.
 * @param {Line[]} lines
 */
function spread(lines) {
  const sizes = lines.flatMap(({ points }) => points.map(([, y]) => Math.abs(y))).sort((a, b) => a - b);
  const middle = sizes[Math.floor(sizes.length / 2)] ?? 0;
  return sizes.length > 0 && sizes[sizes.length - 1] > FAR * Math.max(middle, 1);
}
