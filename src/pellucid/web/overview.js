/** The first sight: the picture, and what the network says of it. */

import { h, sharpCanvas } from "./element.js";
import { probability } from "./format.js";
import { drawPicture, isPicture, mapsOf } from "./layer/maps.js";
import { paintable, paintButton, painter } from "./whatif/paint.js";

const SIDE = 320;
const SHOWN = 10;

/**
 * @param {import("./run.js").Run} run
 * @param {import("./store.js").State} state
 * @param {import("./store.js").Store} store
 * @param {import("./main.js").Served | null} served
 */
export async function overview(run, state, store, served) {
  const stage = h("section", { class: "stage overview", "aria-label": "The picture and the classes" });
  const first = run.nodes[0];
  const maps = mapsOf(run, first.name, "forward");
  if (served && state.brush && paintable(run)) stage.append(await painter(run, store, served, SIDE));
  else if (maps && isPicture(run, first.name, "forward")) {
    const scale = SIDE / Math.max(maps.width, maps.height);
    const { canvas, context } = sharpCanvas(maps.width * scale, maps.height * scale);
    await drawPicture(context, run, maps, [0, 0, maps.width * scale, maps.height * scale]);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `The picture ${run.about.picture}, as the network gets it`);
    stage.append(h("div", { class: "seen" }, canvas, paintButton(run, store, served)));
  }
  stage.append(classes(run, store));
  return stage;
}

/**
 * @param {import("./run.js").Run} run
 * @param {import("./store.js").Store} store
 */
function classes(run, store) {
  const names = /** @type {string[]} */ (run.about.model.classes);
  const probabilities = /** @type {number[]} */ (run.about.probabilities);
  const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a]);
  const rows = order.slice(0, SHOWN).map((at) =>
    h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          key: `class/${at}`,
          on: {
            click: () => store.set({ name: run.role("probability"), index: [at], page: 0, channel: -1, sorted: "" }),
          },
        },
        h("span", { class: "label" }, names[at] ?? String(at)),
        h(
          "span",
          { class: "track whole" },
          h("i", {
            class: run.about.called.includes(at) ? "first" : "",
            style: { width: `${100 * probabilities[at]}%` },
          }),
        ),
        h("span", { class: "value" }, probability(probabilities[at], 4)),
      ),
    ),
  );
  const rest = order.length - rows.length;
  return h(
    "div",
    { class: "units" },
    h("h2", {}, "Probabilities"),
    h("ol", {}, ...rows),
    rest > 0 && h("p", { class: "note" }, `and ${rest} more: choose “${run.role("probability")}” above`),
  );
}
