/** Beside a unit: the part of a training picture that excites its filter most. Needs a server that searches them. */

import { h } from "../element.js";
import { progress } from "../job.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {{layer: string, channel: number}} Filter a convolution's module, and one of its filters */

/** Ops that change each channel by itself. */
const BY_CHANNEL =
  /^(batch norm|.*max pooling|.*average pooling|.*-norm pooling|(leaky )?ReLU6?|PReLU|SiLU|GELU|ELU|hard.*|sigmoid|tanh)$/i;

/**
 * The filter whose map a layer's channel comes from: its own, or that of the convolution before.
 * @param {Trace} trace
 * @param {string} name
 * @param {number} channel
 * @returns {Filter | null}
 */
export function filterBehind(trace, name, channel) {
  let node = trace.node(name);
  while (node && node.shape.length === 3) {
    const weight = node.reads.weight;
    if (node.kind === "convolution") {
      return weight?.endsWith(".weight") ? { layer: weight.slice(0, -".weight".length), channel } : null;
    }
    if (!BY_CHANNEL.test(node.kind)) return null;
    node = Object.values(node.reads)
      .map((source) => trace.node(source))
      .find((each) => each !== undefined);
  }
  return null;
}

/**
 * Searches the training pictures once, and then shows a patch in each place.
 * @param {Context & {served: import("../context.js").Served}} context
 * @param {[HTMLElement, Filter][]} places an empty element for each thumbnail
 * @returns {Promise<HTMLElement | "">} the progress; nothing once it is done
 */
export async function thumbnails(context, places) {
  if (!places.length) return "";
  const { served, trace } = context;
  const query = (/** @type {Filter} */ { layer, channel }) => `layer=${encodeURIComponent(layer)}&channel=${channel}`;
  const path = `api/exemplars?${query(places[0][1])}`;
  let answer = await (await served.ask(path)).json();
  if (answer.state === "idle") answer = await (await served.ask(path, { method: "POST" })).json();
  const note = h("p", { class: "note" });
  const fill = () => {
    for (const [place, filter] of places) {
      const alt = `What activates filter ${filter.channel} of ${filter.layer} most`;
      const image = h("img", {
        src: served.source(`api/exemplars/patch?${query(filter)}&rank=0`),
        alt,
        title: alt,
        loading: "lazy",
      });
      image.addEventListener("error", () => image.remove());
      place.replaceChildren(image);
    }
    const changed = trace.about.what_if?.changes.length ? " by the saved model, without your changes" : "";
    note.textContent = `A thumbnail is the part of a training picture that excites the unit's filter most${changed}.`;
  };
  if (answer.state === "done") {
    fill();
    return note;
  }
  const doing = "Looking through the training pictures for thumbnails";
  const waiting = progress({
    ask: served.ask,
    path,
    answer,
    doing,
    finished: () => (fill(), waiting.replaceWith(note)),
  });
  return waiting;
}
