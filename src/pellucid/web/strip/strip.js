/** The network as a map that fits the page: the picture left, each layer as a small square, the classes right. */

import { column, end } from "./column.js";
import { closed, cut } from "./cut.js";
import { drawn, edgesOf } from "./edges.js";
import { h } from "../element.js";
import { rove, stopAt } from "../rove.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../trace.js").Node} Node */
/** @typedef {import("./cut.js").Opened} Opened */
/** @typedef {import("./room.js").Room} Room */

/**
 * What affects the strip, apart from its mark.
 * @param {PageState} state
 * @param {Room} room
 */
export function look(state, room) {
  return JSON.stringify([state.direction === "backward", state.scale, state.open, room]);
}

/**
 * @param {Context} context
 * @param {Room} room
 */
export function strip(context, room) {
  const { trace, state } = context;
  const { row, band } = room;
  const ends = trace.nodes.filter(({ name }) => [trace.role("probability"), trace.role("loss")].includes(name));
  const layers = trace.nodes.filter((node) => !ends.includes(node));
  const open = layers.length ? state.open : [];
  const closing = open.length * room.close;
  const fitting = Math.floor((room.width - room.panel - closing) / room.least);
  const { parts, opened } = cut(layers, fitting, open, (node) =>
    Object.values(node.reads).some((name) => trace.parameter(name) && trace.shape(name).length > 1),
  );
  const free = Math.max(0, room.width - room.panel - opened.length * room.close);
  const width = Math.min(room.most, free / Math.max(1, parts.length));
  const side = Math.max(12, Math.min(room.side, Math.floor(width) - (row ? 2 : 12)));
  const seen = whenSeen();
  const columns = parts.map((part) => column(context, part, { side, row, seen }));
  const tail = ends.map((node) => end(context, node, row));
  const left = parts.map((_, at) => at * width + room.close * opened.filter(({ from }) => from <= at).length);
  const list = arranged(context, columns, opened, tail, { room, width });
  const edges = edgesOf(
    trace,
    parts,
    ends.map(({ name }) => name),
  );
  const sizes = { left: [...left, parts.length * width + room.close * opened.length], width, band, side };
  const nav = h(
    "nav",
    {
      class: row ? "strip row" : "strip",
      "aria-label": "The network, from the picture to the classes",
      style: {
        "--band": `${band}px`,
        "--side": `${side}px`,
        "--panel": `${room.panel}px`,
        "--last": `${sizes.left[parts.length]}px`,
      },
    },
    h("div", { class: "map" }, /** @type {any} */ (drawn(edges, sizes)), list),
  );
  rove(nav);
  stopAt(nav);
  return nav;
}

/**
 * The columns in the places of a grid, and a mark for each opened part that closes it.
 * @param {Context} context
 * @param {HTMLElement[]} columns
 * @param {Opened[]} opened
 * @param {HTMLElement[]} tail
 * @param {{room: Room, width: number}} sizes
 */
function arranged(context, columns, opened, tail, { room, width }) {
  const { row, close: slim, panel } = room;
  /** @type {string[]} */ const tracks = [];
  /** @type {HTMLElement[]} */ const items = [];
  const place = (/** @type {HTMLElement} */ item, /** @type {string} */ area) => {
    item.style.setProperty("grid-area", area);
    items.push(item);
  };
  columns.forEach((item, at) => {
    for (const part of opened.filter(({ from }) => from === at)) {
      if (row) tracks.push(`${slim}px`);
      const from = tracks.length + (row ? 0 : 1);
      place(close(context, part, row), row ? `1 / ${from}` : `3 / ${from} / 4 / ${from + part.to - part.from + 1}`);
    }
    tracks.push(`minmax(0, ${width}px)`);
    place(item, row ? `1 / ${tracks.length}` : `1 / ${tracks.length} / 3`);
  });
  const last = tracks.length + 1;
  tail.forEach((item, at) => place(item, row ? `1 / ${last + at}` : `${at + 1} / ${last}`));
  const behind = row ? [`minmax(0, 1fr)`, ...tail.slice(1).map(() => "40px")] : [`minmax(${panel}px, 1fr)`];
  return h("ol", { style: { "grid-template-columns": [...tracks, ...behind].join(" ") } }, ...items);
}

/**
 * @param {Context} context
 * @param {Opened} part
 * @param {boolean} row
 */
function close({ trace, state, store }, { id, title }, row) {
  const button = h(
    "button",
    {
      type: "button",
      class: "fold",
      key: `fold/${id}`,
      "aria-expanded": "true",
      "aria-label": row ? `close ${title}` : null,
      on: { click: () => store.set({ open: closed(trace.nodes, state.open, id) }) },
    },
    row ? "‹" : `close ${title}`,
  );
  return h("li", { class: "block" }, button);
}

/**
 * Delays work until an element comes near the visible part of the page.
 * @returns {import("./column.js").WhenSeen}
 */
function whenSeen() {
  /** @type {WeakMap<Element, () => void>} */
  const works = new WeakMap();
  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target } of entries.filter((each) => each.isIntersecting)) {
        observer.unobserve(target);
        works.get(target)?.();
      }
    },
    { rootMargin: "0px 200px" },
  );
  return (element, work) => {
    works.set(element, work);
    observer.observe(element);
  };
}
