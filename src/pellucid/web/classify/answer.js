/** One picture with its answer: the classes and their probabilities as bars, or why it cannot be used. */

import { h } from "../element.js";
import { percent } from "../format.js";
import { heatmap } from "./heat.js";
import { called, ordered } from "./scores.js";

/** @typedef {import("./about.js").About} About */
/** @typedef {import("./engine.js").Answer} Answer */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {{name: string, answer: Answer | null, trouble: string}} Result */

const SHOWN = 5;

/**
 * A place for the answer, and the functions that fill it.
 * @param {string} name of the picture
 * @param {Blob} file
 */
export function place(name, file) {
  const source = URL.createObjectURL(file);
  const image = /** @type {HTMLImageElement} */ (h("img", { src: source, alt: "" }));
  image.addEventListener("error", () => image.remove());
  const text = h("div", { class: "text" }, h("p", { class: "note" }, "Waiting…"));
  const picture = h("div", { class: "picture" }, image);
  const node = h("li", { class: "answer" }, picture, h("div", { class: "body" }, h("h3", {}, name), text));
  return {
    node,
    /** @param {string} trouble */
    refuse: (trouble) => {
      image.remove();
      node.classList.add("refused");
      text.replaceChildren(h("p", {}, trouble));
    },
    /**
     * @param {Answer} answer
     * @param {About} about
     * @param {Engine} engine
     */
    fill: (answer, about, engine) => {
      image.alt = name;
      text.replaceChildren(...filled(answer, about), map(file, answer, about, engine));
    },
    forget: () => URL.revokeObjectURL(source),
  };
}

/** @param {Answer} answer @param {About} about */
function filled({ probabilities }, about) {
  const right = called(probabilities, about);
  const names = right.map((at) => about.classes[at]);
  const share = about.thresholds || !right.length ? "" : percent(probabilities[right[0]]);
  const headline = h(
    "p",
    { class: "headline" },
    h("b", {}, names.join(", ") || "none of the classes"),
    share && h("span", {}, ` ${share}`),
  );
  const order = ordered(probabilities);
  const rows = order.map((at) => bar(about.classes[at], probabilities[at], right.includes(at)));
  const more = rows.slice(SHOWN);
  const parts = [headline, h("ol", { class: "shares" }, ...rows.slice(0, SHOWN))];
  if (more.length) {
    parts.push(h("details", {}, h("summary", {}, `${more.length} more`), h("ol", { class: "shares" }, ...more)));
  }
  return parts;
}

/** @param {string} name @param {number} share @param {boolean} first */
function bar(name, share, first) {
  return h(
    "li",
    { class: first ? "share first" : "share" },
    h("span", { class: "label" }, name),
    h("i", { "aria-hidden": "true" }, h("i", { style: { width: `${100 * share}%` } })),
    h("span", { class: "number" }, percent(share)),
  );
}

/**
 * The button that makes the map of what mattered, its progress, and the map.
 * @param {Blob} file
 * @param {Answer} answer
 * @param {About} about
 * @param {Engine} engine
 */
function map(file, answer, about, engine) {
  const target = ordered(answer.probabilities)[0];
  const name = about.classes[target];
  const box = h("div", { class: "why" });
  const offer = () => {
    const start = h("button", { type: "button", class: "single" }, "What mattered?");
    start.addEventListener("click", () => void run());
    return start;
  };
  async function run() {
    const bar = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": "covering part after part" }));
    const doing = h("p", { class: "note" }, `Covering part after part for “${name}”…`);
    const begun = performance.now();
    const { heat, stop } = engine.explain(file, target, (share) => {
      const left = (((performance.now() - begun) / 1000) * (1 - share)) / share;
      bar.value = share;
      if (share > 0.05) doing.textContent = `Covering part after part for “${name}”, about ${Math.ceil(left)} s left…`;
    });
    const cancel = h("button", { type: "button", class: "single" }, "Cancel");
    cancel.addEventListener("click", stop);
    box.replaceChildren(doing, bar, cancel);
    cancel.focus();
    try {
      const made = await heat;
      const left = box.contains(document.activeElement);
      box.replaceChildren(made ? heatmap(answer.prepared, made, name) : offer());
      if (!made && left) /** @type {HTMLElement} */ (box.firstChild).focus();
    } catch (error) {
      box.replaceChildren(h("p", { role: "alert" }, /** @type {Error} */ (error).message), offer());
    }
  }
  box.append(offer());
  return box;
}
