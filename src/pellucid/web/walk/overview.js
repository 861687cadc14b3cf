/** The first view: the picture, and the network's prediction. */

import { h, sharpCanvas } from "../element.js";
import { probability } from "../format.js";
import { answerLink } from "../life/filter.js";
import { drawPicture, isPicture, mapsOf } from "../layer/maps.js";
import { marks, ranked } from "../truth.js";
import { routeOf, strongest } from "../lessons/route.js";
import { VIEWS } from "../views.js";
import { paintable, paintButton, painter } from "../whatif/paint.js";

const SIDE = 320;
const SHOWN = 10;

/** @param {import("../context.js").Context} context */
export async function overview(context) {
  const { trace, state, served } = context;
  const stage = h("section", { class: "stage overview", "aria-label": "The picture and the classes" });
  const first = trace.nodes[0];
  const maps = mapsOf(trace, first.name, "forward");
  if (served && state.brush && paintable(trace)) stage.append(await painter({ ...context, served }, SIDE));
  else if (maps && isPicture(trace, first.name, "forward")) {
    const scale = SIDE / Math.max(maps.width, maps.height);
    const { canvas, surface } = sharpCanvas(maps.width * scale, maps.height * scale);
    await drawPicture(surface, trace, maps, [0, 0, maps.width * scale, maps.height * scale]);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `The picture ${trace.about.picture}, as the network receives it`);
    stage.append(h("div", { class: "seen" }, canvas, sizeNote(trace), paintButton(context)));
  }
  stage.append(
    h("div", { class: "opening" }, sumButton(context), changeButton(context), classes(context), answerLink(context)),
  );
  return stage;
}

/**
 * The size of the file, and that of the network's input, in pixels.
 * @param {import("../trace.js").Trace} trace
 */
function sizeNote({ about, nodes }) {
  const own = about.picture_size;
  const seen = nodes[0].shape.slice(-2);
  if (!own || String(own) === String(seen)) return null;
  return h("p", { class: "note" }, `The picture has ${own.join(" × ")} pixels; the network sees ${seen.join(" × ")}.`);
}

/**
 * From the first view to a sum of products in one step.
 * @param {import("../context.js").Context} context
 */
function sumButton({ trace, store }) {
  const route = routeOf(trace);
  const node = route.conv ?? route.scores;
  if (node.op === null || !Object.keys(node.reads).length) return null;
  const open = async () => {
    const index = await strongest(trace, node);
    await store.set({ name: node.name, index, direction: "forward", page: 0, channel: -1, sorted: "" });
  };
  return h(
    "button",
    { type: "button", class: "single", key: "sum", on: { click: () => void open() } },
    `See a number of ${node.name} add up`,
  );
}

/**
 * To the training by hand, where the page's server can do it.
 * @param {import("../context.js").Context} context
 */
function changeButton({ trace, store }) {
  if (!trace.about.offers?.includes("live")) return null;
  const open = () => void store.set({ view: "live", place: "" });
  return h("button", { type: "button", class: "single", key: "change", on: { click: open } }, VIEWS.live.title);
}

/** @param {import("../context.js").Context} context */
function classes({ trace, store }) {
  const names = /** @type {string[]} */ (trace.about.model.classes);
  const probabilities = /** @type {number[]} */ (trace.about.probabilities);
  const { shown, rest } = ranked(trace, SHOWN);
  const rows = shown.map((at) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          key: `class/${at}`,
          on: {
            click: () => store.set({ name: trace.role("probability"), index: [at], page: 0, channel: -1, sorted: "" }),
          },
        },
        h("span", { class: "label" }, names[at] ?? String(at), " ", h("span", { class: "marks" }, ...marks(trace, at))),
        h(
          "span",
          { class: "track whole" },
          h("i", {
            class: trace.about.called.includes(at) ? "first" : "",
            style: { width: `${100 * probabilities[at]}%` },
          }),
        ),
        h("span", { class: "value" }, probability(probabilities[at], 4)),
      ),
    ),
  );
  return h(
    "div",
    { class: "units" },
    h("h2", {}, "Probabilities"),
    h("ol", {}, ...rows),
    rest > 0 && h("p", { class: "note" }, `and ${rest} more: choose “${trace.role("probability")}” above`),
  );
}
