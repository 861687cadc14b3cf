/** Training: what it begins with, its progress and curve, and how good the result is. */

import { h } from "../element.js";
import { number } from "../format.js";
import { remaining } from "../job.js";
import { inWords } from "../training/figures.js";
import { chart } from "../training/curves.js";
import { result } from "./result.js";

/** @typedef {import("./server.js").News} News */
/** @typedef {import("./server.js").State} State */

const POLL = 250; // milliseconds between two looks at a running training
const REST = 800; // milliseconds without a new picture, until the beginning is asked for
const OVER = ["idle", "done", "stopped", "failed"];

/**
 * @param {object} means
 * @param {import("./server.js").Server} means.server
 * @param {import("./sight.js").Camera} means.camera
 * @param {(work: () => Promise<unknown>) => Promise<void>} means.attempt reports an error
 * @param {() => Promise<unknown>} means.reload reads the whole state again, at the end of a training
 */
export function trainingPanel({ server, camera, attempt, reload }) {
  const advice = h("ul", { class: "advice" });
  const begins = h("p", { class: "note" });
  const status = h("p", { class: "train-status", role: "status" });
  const bar = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": "Progress of the training" }));
  const left = h("p", { class: "note" });
  const start = /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "single go" }, "Train"));
  const stop = h("button", { type: "button", class: "single", hidden: true }, "Stop");
  const curve = h("div", { class: "training curve-of" });
  const outcome = h("div", { class: "outcome" });
  const stale = h("p", { class: "note stale" });
  /** @type {{across: string, chart: ReturnType<typeof chart>} | null} */
  let drawn = null;
  let [watching, sampled, timer, shown] = [false, "", 0, ""];
  let [ready, starting] = [false, false];

  start.addEventListener("click", () => {
    if (!ready || watching || starting) return;
    starting = true;
    enable();
    status.textContent = "Starting…";
    camera.close(); // its pictures take time that the training needs
    void attempt(async () => {
      if (!begins.textContent) await tellBeginning(); // first what it begins with
      outcome.replaceChildren();
      shown = "";
      show(await server.post("/train"));
      void watch();
    }).finally(() => {
      starting = false;
      if (!watching) status.textContent = "";
      enable();
    });
  });
  stop.addEventListener("click", () => {
    status.textContent = "Stopping after the current step…";
    void attempt(() => server.post("/stop"));
  });

  async function watch() {
    if (watching) return;
    watching = true;
    enable();
    for (;;) {
      await new Promise((go) => setTimeout(go, POLL));
      /** @type {News | null} */
      const news = await server.get("/training").catch((error) => {
        void attempt(() => Promise.reject(error));
        return null;
      });
      if (!news) continue;
      show(news);
      if (OVER.includes(news.state)) break;
    }
    watching = false;
    enable();
    await attempt(reload);
  }

  function enable() {
    start.setAttribute("aria-disabled", String(!ready || watching || starting));
    if (document.activeElement === stop && !watching) start.focus();
    stop.hidden = !watching;
  }

  /** @param {News} news */
  function show(news) {
    if (status.textContent !== news.message) status.textContent = news.message;
    status.classList.toggle("failed", news.state === "failed");
    const running = !OVER.includes(news.state);
    bar.hidden = !running;
    if (news.total) [bar.max, bar.value] = [news.total, news.done];
    else bar.removeAttribute("value");
    const rest = news.left === null ? "" : remaining(news.left);
    left.textContent =
      news.state === "idle" || news.state === "failed" ? "" : `${news.seconds.toFixed(1)} s${running ? rest : ""}`;
    plot(news);
  }

  /** @param {News} news */
  function plot({ curve: points, across, whole }) {
    curve.hidden = !points.length;
    if (!points.length) return;
    if (!drawn || drawn.across !== across) {
      const format = (/** @type {number} */ value) => number(value, false, 3);
      drawn = { across, chart: chart({ title: "Loss", across, height: 220, format, seek: () => {} }) };
      curve.replaceChildren(drawn.chart.node);
    }
    const lines = [
      { name: "pictures it learns from", color: "var(--ink)", width: 2.5, points: points.map(([x, y]) => pair(x, y)) },
      {
        name: "validation pictures",
        color: "var(--accent)",
        dashed: true,
        points: points.flatMap(([x, , y]) => (y === null ? [] : [pair(x, y)])),
      },
    ].filter((line) => line.points.length);
    const end = across === "epochs" && whole ? whole : points[points.length - 1][0];
    drawn.chart.set(
      lines,
      end,
      `Loss over ${across}. ${lines.map(inWords((value) => number(value, false, 3))).join(" ")}`,
    );
  }

  /** @param {State} state */
  function askBegins(state) {
    const now = state.classes.map(({ name, pictures }) => `${name} ${pictures.length}`).join();
    if (now === sampled) return;
    sampled = now;
    window.clearTimeout(timer);
    begins.textContent = ready ? begins.textContent : "";
    if (!ready) return;
    timer = window.setTimeout(() => void attempt(tellBeginning), REST);
  }

  async function tellBeginning() {
    window.clearTimeout(timer);
    begins.textContent = (await server.post("/begins")).sentence;
  }

  window
    .matchMedia("(prefers-color-scheme: dark)")
    .addEventListener("change", () => requestAnimationFrame(() => drawn?.chart.recolor()));
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "train" },
    h("h2", { id: "train" }, h("span", {}, "2"), "Train"),
    h("div", { role: "status" }, advice),
    begins,
    h("div", { class: "buttons" }, start, stop),
    status,
    bar,
    left,
    curve,
    outcome,
    stale,
  );
  return {
    node,
    /** @param {State} state */
    update(state) {
      ready = !state.missing.length;
      const words = [...state.missing, ...state.warnings];
      if (words.join() !== [...advice.children].map((each) => each.textContent).join()) {
        advice.replaceChildren(...words.map((text) => h("li", { class: ready ? "warning" : "" }, text)));
      }
      enable();
      askBegins(state);
      if (!watching) show(state.training);
      if (!OVER.includes(state.training.state)) void watch();
      const { model } = state;
      if (model && !watching && shown !== model.name) {
        shown = model.name;
        outcome.replaceChildren(
          h("h3", {}, "How good is it?"),
          ...result(model, server.source).filter((each) => each !== false),
        );
      }
      stale.textContent = model?.stale && !watching ? "The pictures have changed since then: train again." : "";
    },
  };
}
/** @param {number} x @param {number} y @returns {[number, number]} */
function pair(x, y) {
  return [x, y];
}
