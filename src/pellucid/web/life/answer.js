/**
 * Who taught this answer: the training pictures that helped it most, and those that hurt it. The address is
 * #/~makers/answer, for the class of the loss, or #/~makers/answer,3. A file names the command that works it out.
 */

import { h } from "../element.js";
import { counted, exact, number, percent } from "../format.js";
import { progress } from "../job.js";
import { say, STILL } from "../say.js";
import { called } from "../scoring.js";
import { ANSWER } from "./filter.js";
import { side } from "./side.js";

/** @typedef {import("../context.js").StageContext} StageContext */
/** @typedef {import("./data.js").Teaching} Teaching */
/** @typedef {import("./data.js").Teacher} Teacher */

const TITLE = "Who taught this answer";
const ABOUT =
  "A figure estimates how much higher the loss of this answer, −log of its probability, would be without the picture, in nats.";
/** @type {Set<string>} answers whose repeat the reader has stopped */
const stopped = new Set();

/**
 * @param {StageContext} context
 * @returns {Promise<Node[]>}
 */
export async function answer(context) {
  const { trace, store, served } = context;
  const label = classAt(context);
  const on = (/** @type {(Node | string | false | null)[]} */ ...inside) => [
    say(TITLE, [`Which training pictures taught the network to say ${called(trace, label)} here? ${ABOUT}`], STILL),
    h(
      "section",
      { class: "stage makers", "aria-label": TITLE },
      choice(context, label),
      ...inside,
      command(context, label),
    ),
  ];
  if (!served) return on(h("p", {}, "This is work for a command, because it goes back through the whole training."));
  const query = `class=${label}&run=${trace.about.run}`;
  const path = `api/taught?${query}`;
  const redraw = () => void store.set({}, true);
  const begin = async () => (await served.ask(path, { method: "POST" })).json();
  let known = await (await served.ask(path)).json();
  if (known.state === "idle" && !stopped.has(query)) known = await begin();
  if (known.state === "done") return on(...shown(context, known, query));
  if (known.state === "running") {
    const stop = () => {
      stopped.add(query);
      void served.ask(`api/taught/stop?${query}`, { method: "POST" }).then(redraw);
    };
    const doing = "Making the training again, and following the loss back through it";
    return on(
      progress({ ask: served.ask, path, answer: known, doing, finished: redraw, method: "GET", counts: "steps", stop }),
    );
  }
  const start = () => {
    stopped.delete(query);
    void begin().then(redraw);
  };
  return on(
    known.state === "failed" && h("p", { role: "alert" }, known.error),
    h(
      "button",
      { type: "button", class: "single", key: "taught/start", on: { click: start } },
      "Make the training again",
    ),
  );
}

/**
 * The class in the address, by default that of the loss.
 * @param {StageContext} context
 * @returns {number}
 */
function classAt({ trace: { about }, state: { place } }) {
  const own = about.against.length === 1 ? about.against[0] : about.predicted;
  const chosen = Number(place.slice(ANSWER.length + 1) || own);
  return chosen < about.model.classes.length ? chosen : own;
}

/**
 * @param {StageContext} context
 * @param {Teaching} known
 * @param {string} query
 */
function shown({ served, trace }, known, query) {
  const most = Math.max(...[...known.helped, ...known.hurt].map(({ effect }) => Math.abs(effect)));
  const pictures = (/** @type {Teacher[]} */ all, /** @type {number} */ before) =>
    all.map(({ path, class: label, effect }, at) => ({
      path,
      label,
      value: effect,
      title: `${path}: ${exact(effect)} nats`,
      image: h("img", {
        src: served?.source(`api/taught/picture?${query}&at=${before + at}`),
        alt: "",
        loading: "lazy",
        on: { error: (event) => event.target.replaceWith(h("span", { class: "gone" }, "no longer there")) },
      }),
    }));
  return [
    trace.about.what_if?.changes.length
      ? h("p", { class: "note" }, "This is the saved model’s answer, without your changes to the network.")
      : "",
    ...known.notes.map((note) => h("p", { class: "life-drift" }, note)),
    h(
      "section",
      { class: "span" },
      h(
        "h2",
        {},
        `“${known.class}”, ${percent(known.probability)}; loss ${number(known.loss, false, 4)} before calibration`,
      ),
      h("p", { class: "note" }, `Of ${counted(known.trained_on)} training pictures. ${how(known)}`),
      side("Helped: the loss would be higher without it", pictures(known.helped, 0), most),
      side("Hurt: the loss would be lower without it", pictures(known.hurt, known.helped.length), most),
    ),
  ];
}

/** @param {Teaching} known */
function how({ method, steps, source }) {
  const ways = {
    derivative: `The loss was followed back through all ${counted(steps)} steps of the training`,
    tracin: "TracIn, from a few moments of the training, is less exact than the loss followed back through all of it",
    head: "The head is the minimum of its loss, which gives the figures in closed form",
  };
  return `${ways[method]} (${source}).`;
}

/**
 * @param {StageContext} context
 * @param {number} label
 */
function choice({ trace, store, served }, label) {
  const of = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { id: "taught-class", key: "taught/class" },
      ...trace.about.model.classes.map((/** @type {string} */ name, /** @type {number} */ at) =>
        h("option", { value: String(at), selected: at === label }, name),
      ),
    )
  );
  of.addEventListener("change", () => void store.set({ place: `${ANSWER},${of.value}` }, true));
  return h(
    "div",
    { class: "row choosing" },
    ...(served ? [h("label", { for: of.id }, "Class"), of] : []),
    h(
      "button",
      { type: "button", class: "single", key: "makers/filters", on: { click: () => void store.set({ place: "" }) } },
      "Who made the filters",
    ),
  );
}

/**
 * The command that also checks the figures.
 * @param {StageContext} context
 * @param {number} label
 */
function command({ trace: { about } }, label) {
  const word = (/** @type {string | undefined} */ text, /** @type {string} */ instead) =>
    text && !/\s/.test(text) ? text : instead;
  const own = about.model.classes[label];
  const chosen = label === about.predicted ? "" : ` --label ${word(own, "CLASS")}`;
  const line = `pellucid taught ${word(about.model.name, "MODEL")} ${word(about.picture, "PICTURE")}${chosen} --verify`;
  return h(
    "div",
    {},
    h("p", {}, h("code", {}, line)),
    h(
      "p",
      { class: "note" },
      "It lists the training pictures that helped this answer most, and those that hurt it. With --verify it trains again " +
        "without them, and says whether its loss moved in the expected direction.",
    ),
  );
}
