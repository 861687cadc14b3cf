/** The numbers of a layer without maps, as bars: the largest first, in pages. */

import { largestOf } from "../colors.js";
import { h } from "../element.js";
import { decimals, exact as allDigits, fixed, unit } from "../format.js";
import { pager } from "../pager.js";
import { marks } from "../truth.js";

const PAGE = 24;

/**
 * @param {import("../context.js").Context} context
 * @param {ArrayLike<number>} data
 */
export function units({ trace, state, store }, data) {
  const classes = /** @type {string[]} */ (trace.about.model.classes);
  const named = data.length === classes.length;
  const order = Array.from(data, (_, at) => at).sort((a, b) => Math.abs(data[b]) - Math.abs(data[a]));
  const pages = Math.max(1, Math.ceil(order.length / PAGE));
  const page = Math.min(state.page, pages - 1);
  const shown = order.slice(page * PAGE, (page + 1) * PAGE);
  const limit = largestOf(data) || 1;
  const places = decimals(shown.map((at) => data[at]));
  const rows = shown.map((at) => {
    const share = `${(50 * Math.abs(data[at])) / limit}%`;
    const bar = h("i", {
      class: data[at] < 0 ? "below" : "above",
      style: { width: share, [data[at] < 0 ? "right" : "left"]: "50%" },
    });
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          key: `unit/${at}`,
          on: { click: () => store.set({ index: trace.shape(state.name).length ? [at] : [], channel: -1, page: 0 }) },
        },
        h(
          "span",
          { class: "label" },
          named ? `${unit(state.name, [at])} ${classes[at]} ` : unit(state.name, [at]),
          named && h("span", { class: "marks" }, ...marks(trace, at)),
        ),
        h("span", { class: "track" }, bar),
        h("span", { class: "value" }, state.exact ? allDigits(data[at]) : fixed(data[at], places)),
      ),
    );
  });
  return h(
    "section",
    { class: "units", "aria-label": `numbers of ${state.name}`, on: { keydown: moveInList } },
    h("h2", {}, "Largest first"),
    h("ol", {}, ...rows),
    pages > 1 && pager({ page, pages, count: order.length, change: (change) => store.set(change, true) }),
  );
}

/** @param {KeyboardEvent} event */
function moveInList(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  const buttons = [...list.querySelectorAll("li button")];
  const here = buttons.indexOf(/** @type {Element} */ (event.target));
  if (!step || here < 0) return;
  event.preventDefault();
  event.stopPropagation();
  /** @type {HTMLElement | undefined} */ (buttons[here + step])?.focus();
}
