/**
 * A weight's life: its value over the whole training, and at each step the arithmetic and the pictures. The address is
 * #/~life/conv1.weight,3,0,2,2?at=STEP; without a step it shows the largest.
 */

import { lostIndex } from "../astray/astray.js";
import { h } from "../element.js";
import { unit } from "../format.js";
import { progress } from "../job.js";
import { say, STILL } from "../say.js";
import { chooser } from "./chooser.js";
import { createPlayer } from "./player.js";
import { partsOf, placeOf } from "./place.js";
import { lifeOf, named } from "./source.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./place.js").Weight} Weight */

/** @type {WeakMap<import("../store.js").PageStore, {place: string, player: ReturnType<typeof createPlayer>}>} one per page,
 *  because a redrawn slider cannot be dragged */
const shown = new WeakMap();
/** @type {Set<string>} those whose repeat the reader has stopped: it does not start again by itself */
const stopped = new Set();

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function life(context) {
  const { store, served } = context;
  const weight = weightAt(context);
  if (typeof weight === "string") return chooser(context, weight);
  const place = placeOf(weight);
  const known = shown.get(store);
  if (known?.place === place) {
    known.player.show(context);
    return known.player.nodes;
  }
  const title = `The life of ${unit(weight.name, weight.index)}`;
  const on = (/** @type {(Node | false)[]} */ ...inside) => [
    say(
      title,
      ["How did this weight get its value? The training is made again, step by step, with the same bits."],
      STILL,
    ),
    h("section", { class: "stage life", "aria-label": title }, ...inside),
  ];
  let answer = await lifeOf(context, place);
  if (answer === null) return chooser(context, NOT_INSIDE(weight));
  const path = `api/life?${named(place)}`;
  if (served && answer.state === "idle" && !stopped.has(place))
    answer = await (await served.ask(path, { method: "POST" })).json();
  if (answer?.state === "done") {
    const player = createPlayer(context, weight, /** @type {any} */ (answer));
    shown.set(store, { place, player });
    player.show(context);
    return player.nodes;
  }
  const { ask } = /** @type {import("../context.js").Served} */ (served);
  const redraw = () => void store.set({}, true);
  if (answer?.state === "running") {
    const stop = () => {
      stopped.add(place);
      void ask(`api/life/stop?${named(place)}`, { method: "POST" }).then(redraw);
    };
    const doing = "Making the training again, and collecting this weight’s steps";
    return on(progress({ ask, path, answer, doing, finished: redraw, method: "GET", counts: "steps", stop }));
  }
  const start = () => {
    stopped.delete(place);
    void ask(path, { method: "POST" }).then(redraw);
  };
  return on(
    answer?.state === "failed" && h("p", { role: "alert" }, answer.error),
    h(
      "button",
      { type: "button", class: "single", key: "life/start", on: { click: start } },
      "Make the training again",
    ),
  );
}

/**
 * The weight that the address names, or what is wrong with it; "" if it names none.
 * @param {StageContext} context
 * @returns {Weight | string}
 */
function weightAt({ trace, state: { place } }) {
  if (!place) return "";
  const { name, index } = partsOf(place);
  if (!trace.parameter(name)) return `This network has no weight “${name}”.`;
  const shape = trace.shape(name);
  const wrong = shape.length || index ? lostIndex(name, shape, index) : "";
  return wrong || { name, index: index ? index.split(",").map(Number) : [] };
}

/**
 * @param {Weight} weight
 */
const NOT_INSIDE = ({ name, index }) =>
  `The life of ${unit(name, index)} is not inside this file. “pellucid open MODEL” makes the training again and shows it.`;
