/**
 * Change and train live: the reader edits the served model's network and settings, trains it step by step or running,
 * and watches its numbers. The server computes everything; this page draws it. The address is #/~live.
 */

import { dark } from "../colors.js";
import { chart } from "../training/curves.js";
import { h, sharpCanvas } from "../element.js";
import { counted, number, percent } from "../format.js";
import { Trouble } from "../host.js";
import { drawPicture, isPicture, mapsOf } from "../layer/maps.js";
import { called, createOdds } from "../training/moment.js";
import { createControls } from "./controls.js";
import { createSettings } from "./settings.js";
import { createWalls } from "./walls.js";
import { createWeight } from "./weight.js";

/** @typedef {import("./numbers.js").Live} Live */
/** @typedef {import("../context.js").Served} Served */

const FAST = 100; // milliseconds between two pictures of a run
const CALM = 1000; // the same where motion is not wanted
const STILL = 1500; // between two looks while nothing runs: another window may have changed something
const SPOKEN = 4000; // between two announcements during a run
const SIDE = 112; // CSS pixels of the picture
const NONE_HERE =
  "This page is a file, and training needs a program. Open the model with “pellucid open MODEL”, and this view " +
  "changes the network and trains it.";

/** @type {WeakMap<import("../store.js").PageStore, ReturnType<typeof createBench>>} one per page, because redrawn fields lose what is typed */
const benches = new WeakMap();

/**
 * @param {import("../context.js").StageContext} context
 * @returns {Promise<HTMLElement[]>}
 */
export async function show({ trace, store, served }) {
  if (!served) return [h("section", { class: "say" }, h("h1", {}, "Change and train"), h("p", {}, NONE_HERE))];
  const bench = benches.get(store) ?? createBench(served);
  benches.set(store, bench);
  await bench.show(trace);
  return bench.nodes;
}

/** @param {Served} served */
function createBench(served) {
  const heading = h("h1", { tabindex: "-1" }, "Change and train");
  const intro = h(
    "p",
    {},
    "Change the network or a setting, then train it. Each step is a real training step. The model in its folder does not change.",
  );
  const status = h("p", { class: "live-status", "aria-hidden": "true" }); // `spoken` says the same, but less often
  const spoken = h("p", { class: "hidden", role: "status" });
  const counts = h("p", { class: "live-counts" });
  const image = h("div", { class: "live-picture" });
  const seen = h("p", {});
  const odds = h("div", {});
  const trouble = h("p", { class: "live-trouble", role: "alert" });
  const kept = h("p", { class: "live-kept", role: "status" });
  const reading = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": "Reading the pictures" }));
  const digits = (/** @type {number} */ value) => number(value, false, 3);
  const losses = chart({ title: "Loss", across: "epochs", height: 220, format: digits, seek: () => {} });
  const shares = chart({ title: "Accuracy", across: "epochs", height: 220, most: 1, format: percent, seek: () => {} });
  const settings = createSettings({ edit: (change) => edited(change), check: (change) => checked(change) });
  const controls = createControls({ act: (path) => void act(path), keep: () => void keep() });
  const weight = createWeight();
  const walls = createWalls(weight.choose);
  const about = h("p", { class: "note" });
  const work = h(
    "div",
    { class: "stack" },
    controls.node,
    settings.node,
    h("div", { class: "curves" }, losses.node, shares.node),
    weight.node,
    walls.node,
    about,
  );
  const aside = h(
    "section",
    { class: "say training live-aside" },
    heading,
    intro,
    status,
    spoken,
    counts,
    reading,
    image,
    seen,
    odds,
  );
  const stage = h(
    "section",
    { class: "stage training live-stage", "aria-label": "The training by hand" },
    trouble,
    kept,
    work,
  );
  /** @type {Live | null} */ let now = null;
  /** @type {import("../trace.js").Trace | null} */ let trace = null;
  /** @type {ReturnType<typeof createOdds> | null} */ let bars = null;
  let barsOf = "";
  let [timer, asking, spokenAt, told] = [0, false, 0, ""];
  let drawnDark = dark();
  work.hidden = true;
  reading.hidden = true;

  /** @param {string} path @param {unknown} [content] */
  const post = async (path, content) => {
    const body = content === undefined ? undefined : JSON.stringify(content);
    return (await served.ask(path, { method: "POST", body })).json();
  };

  /** @param {Partial<import("./numbers.js").Settings>} change */
  async function edited(change) {
    take(await post("api/live/edit", change));
  }

  /** @param {Partial<import("./numbers.js").Settings>} change */
  async function checked(change) {
    try {
      const { fits, why } = await post("api/live/check", change);
      return fits ? "" : why;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      return error.message;
    }
  }

  /** @param {string} path */
  async function act(path) {
    const nothing = (path === "undo" && now?.undo === null) || (path === "redo" && now?.redo === null);
    if (nothing) return;
    try {
      take(await post(`api/live/${path}`));
    } catch (error) {
      complain(error);
    }
  }

  async function keep() {
    kept.textContent = "Measuring and writing the model…";
    try {
      const { folder, command } = await post("api/live/keep");
      kept.replaceChildren("Kept in ", h("code", {}, folder), ". Open it with ", h("code", {}, command), ".");
    } catch (error) {
      kept.textContent = "";
      complain(error);
    }
  }

  /** @param {unknown} error */
  function complain(error) {
    if (!(error instanceof Trouble)) throw error;
    trouble.textContent = error.message;
  }

  /** The next look at the server, later while nothing runs. */
  function again() {
    window.clearTimeout(timer);
    if (!stage.isConnected) {
      if (now?.running) void act("pause");
      return;
    }
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const pause = now?.state === "preparing" ? 300 : now?.running ? (calm ? CALM : FAST) : STILL;
    timer = window.setTimeout(() => void look(), pause);
  }

  async function look() {
    if (asking || !stage.isConnected) return again();
    asking = true;
    try {
      const same = now?.state === "ready" ? `?revision=${now.revision}` : "";
      take(await (await served.ask(`api/live${same}`)).json());
    } catch (error) {
      complain(error);
    } finally {
      asking = false;
      again();
    }
  }

  /** @param {Live} answer */
  function take(answer) {
    if (answer.same) return;
    const begins = !now?.running && answer.running;
    now = answer;
    draw();
    if (begins) again();
  }

  function draw() {
    if (!now) return;
    const ready = now.state === "ready";
    work.hidden = !ready;
    reading.hidden = now.state !== "preparing";
    if (now.state === "preparing") {
      if (now.total) [reading.max, reading.value] = [now.total, now.done];
      say("Reading the model's pictures.", true);
    }
    const wrong = now.state === "failed" ? now.error : (now.trouble ?? "");
    if (trouble.textContent !== wrong) trouble.textContent = wrong;
    if (!ready || !trace) return;
    controls.show(now);
    settings.show(now.settings);
    drawCurves(now);
    drawAnswer(now);
    weight.show(now);
    walls.show(now.layers, Math.max(200, (stage.clientWidth || 320) - 2));
    counts.textContent = `Step ${counted(now.step)} · epoch ${now.epoch.toFixed(2)} · ${counted(now.weights)} weights`;
    about.textContent = described(now);
    const state = now.trouble ? "" : now.message || (now.running ? "Running" : "Paused");
    say(state && `${state}. ${inWords(now)}`.replace("..", "."), state !== told);
    told = state;
  }

  /**
   * Shows this, and announces it, during a run at most every few seconds.
   * @param {string} text
   * @param {boolean} atOnce
   */
  function say(text, atOnce) {
    status.textContent = text;
    const time = performance.now();
    if (spoken.textContent === text || (!atOnce && now?.running && time - spokenAt < SPOKEN)) return;
    spoken.textContent = text;
    spokenAt = time;
  }

  /** @param {Live} live */
  function drawCurves({ points, watched_side }) {
    const held = watched_side === "test" ? "held-out (test)" : "validation";
    const by = (/** @type {number} */ at) =>
      /** @type {[number, number][]} */ (points.filter((each) => each[at] !== null).map((each) => [each[1], each[at]]));
    const lines = (/** @type {number} */ own, /** @type {number} */ other) =>
      [
        { name: "training", color: "var(--ink)", points: by(own), width: 2.5 },
        { name: held, color: "var(--accent)", points: by(other), dashed: true, dots: points.length < 40 },
      ].filter((line) => line.points.length);
    const end = Math.max(points[points.length - 1]?.[1] ?? 0, 0.2);
    const spokenOf =
      (/** @type {(value: number) => string} */ format) =>
      (/** @type {any} */ { name, points: some }) =>
        `${name}: from ${format(some[0][1])} to ${format(some[some.length - 1][1])}.`;
    const [loss, accuracy] = [lines(2, 4), lines(3, 5)];
    losses.set(loss, end, `Loss over the epochs. ${loss.map(spokenOf(digits)).join(" ")}`);
    shares.set(accuracy, end, `Accuracy over the epochs. ${accuracy.map(spokenOf(percent)).join(" ")}`);
  }

  /** @param {Live} live */
  function drawAnswer({ probabilities, picture }) {
    const { model, several } = /** @type {import("../trace.js").Trace} */ (trace).about;
    const labels = (picture.truth ?? []).map((at) => model.classes[at]);
    const { picture: name } = /** @type {import("../trace.js").Trace} */ (trace).about;
    const key = JSON.stringify([picture, model.classes]);
    if (!bars || key !== barsOf) {
      bars = createOdds({ classes: model.classes, several, pictures: [{ labels }] });
      barsOf = key;
      odds.replaceChildren(bars.node);
    }
    if (probabilities) bars.draw(probabilities, 0);
    odds.hidden = probabilities === null;
    const answer = probabilities ? called({ several }, probabilities).map((at) => model.classes[at]) : [];
    const truth = labels.length ? `; it is ${labels.join(", ")}` : "";
    const says = probabilities
      ? `${name}: the network now says ${answer.join(", ") || "nothing"}${truth}.`
      : "The network's scores are no longer finite numbers.";
    if (seen.textContent !== says) seen.textContent = says;
  }

  /** @param {import("../trace.js").Trace} shown */
  async function drawImage(shown) {
    const { name } = shown.nodes[0];
    const maps = mapsOf(shown, name, "forward");
    if (!maps || !isPicture(shown, name, "forward")) return image.replaceChildren();
    const scale = SIDE / Math.max(maps.width, maps.height);
    const { canvas, surface } = sharpCanvas(maps.width * scale, maps.height * scale);
    await drawPicture(surface, shown, maps, [0, 0, maps.width * scale, maps.height * scale]);
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `The picture ${shown.about.picture}, as the network receives it`);
    image.replaceChildren(canvas);
  }

  return {
    nodes: [aside, stage],
    /** @param {import("../trace.js").Trace} shown */
    async show(shown) {
      if (trace !== shown) await drawImage(shown);
      trace = shown;
      if (!now || now.state !== "ready") {
        try {
          now = await post("api/live");
        } catch (error) {
          complain(error);
        }
      }
      if (drawnDark !== dark()) {
        drawnDark = dark();
        losses.recolor();
        shares.recolor();
      }
      // the drawings need their width
      requestAnimationFrame(() => (draw(), void look()));
    },
  };
}

/** @param {Live} live */
function inWords({ step, last, points }) {
  const point = points[points.length - 1];
  const loss = last && last.loss !== null ? `, loss of the batch ${number(last.loss, false, 3)}` : "";
  const held = point && point[5] !== null ? `, ${percent(point[5])} of the held-out pictures right` : "";
  return `Step ${counted(step)}${loss}${held}.`;
}

/** @param {Live} live */
function described({ trained_on, watched, watched_side, gone, temperature }) {
  const side = watched_side === "test" ? "test pictures" : "validation pictures";
  const held = watched ? `Measured on ${counted(watched)} ${side} that it does not learn from. ` : "";
  const kept =
    watched_side === "test"
      ? "Whoever watches a figure chooses by it: in a kept model these are validation pictures, no test. "
      : "";
  const missing = gone ? `${counted(gone)} of its pictures are gone or have changed, and are left out. ` : "";
  const raw =
    temperature === 1
      ? ""
      : `Probabilities are without the saved model's temperature, ${number(temperature, false, 3)}. `;
  return `It learns from ${counted(trained_on)} pictures, in float32 on one core. ${held}${kept}${missing}${raw}`.trim();
}
