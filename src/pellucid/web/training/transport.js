/** A slider over a training's frames, with play and pause. */

import { h } from "../element.js";

const SPEED = 120; // milliseconds a frame
const CALM = 500; // the same where motion is not wanted

/** @param {(at: number) => void} go the reader chose frame `at` */
export function createTransport(go) {
  const slider = /** @type {HTMLInputElement} */ (
    h("input", { type: "range", min: "0", step: "1", key: "frame", "aria-label": "Moment of the training" })
  );
  const play = h("button", { type: "button", class: "frame-key", key: "play", "aria-keyshortcuts": "Space" });
  const again = h(
    "button",
    { type: "button", class: "frame-key", key: "again", "aria-label": "From the start", "aria-keyshortcuts": "R" },
    icon("M5 4v12M17 4 7 10l10 6z"),
    h("span", { class: "word" }, "From the start"),
  );
  const label = h("span", { class: "frame-label", "aria-hidden": "true" });
  const node = h("div", { class: "transport" }, play, again, slider, label);
  let last = 0;
  let at = 0;
  let timer = 0;
  const show = () => {
    play.replaceChildren(icon(timer ? "M6 4v12M14 4v12" : "M5 4 16 10 5 16z"), timer ? "Pause" : "Play");
  };
  const stop = () => {
    window.clearInterval(timer);
    timer = 0;
    show();
  };
  const start = () => {
    if (at >= last) go(0);
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    timer = window.setInterval(
      () => {
        if (!node.isConnected || at >= last) stop();
        else go(at + 1);
      },
      calm ? CALM : SPEED,
    );
    show();
  };
  const restart = () => {
    stop();
    go(0);
    start();
  };
  const toggle = () => (timer ? stop() : start());
  play.addEventListener("click", toggle);
  again.addEventListener("click", restart);
  slider.addEventListener("input", () => (stop(), go(Number(slider.value))));
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (!node.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    const inside = target === slider;
    if (document.querySelector("dialog[open]") || (!inside && target.matches("input, select, textarea"))) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const lesson = document.body.classList.contains("guided"); // there, Space goes to the next step
    if (event.key === " " && !lesson && !target.matches("button, summary, a")) toggle();
    else if (event.key.toLowerCase() === "r") restart();
    else if (step && target === document.body) (stop(), go(Math.max(0, Math.min(last, at + step))));
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  // before the keys of the walk, which have other meanings
  document.addEventListener("keydown", onKey, { capture: true });
  show();
  return {
    node,
    stop,
    /**
     * @param {number} now
     * @param {number} count of frames
     * @param {string} short
     * @param {string} words for readers who do not see the slider
     */
    set(now, count, short, words) {
      [at, last] = [now, count - 1];
      slider.max = String(last);
      slider.value = String(at);
      slider.setAttribute("aria-valuetext", words);
      slider.style.setProperty("--done", `${last ? (100 * at) / last : 100}%`);
      label.textContent = short;
    },
  };
}

/** @param {string} path */
function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}
