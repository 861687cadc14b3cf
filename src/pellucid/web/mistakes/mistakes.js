/** The pictures that the model was tested on: the confusions, and the pictures behind them, worst first. */

import { moveAmong } from "../among.js";
import { matrix, mostConfused } from "./confusion.js";
import { h } from "../element.js";
import { counted, percent } from "../format.js";
import { progress } from "../job.js";
import { say, STILL } from "../say.js";
import { pager } from "../pager.js";

/** @typedef {import("../context.js").Context} Context */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {{picture: string, reason: string}} Unusable */
/**
 * @typedef {object} Evaluation
 * @property {string} side
 * @property {number} pictures
 * @property {number} correct
 * @property {number} accuracy
 * @property {[number, number]} interval 95 %
 * @property {number[][]} confusion [true][predicted]
 * @property {Unusable[]} unusable
 */
/**
 * @typedef {object} Pictured
 * @property {number} number
 * @property {string} name
 * @property {number} label_probability
 * @property {number} predicted_probability
 */

const PAGE = 48;
const MANY = 20; // classes from which on the pairs say more than the table
const ABOUT = "Every picture that was held out from training is classified again.";

/**
 * @param {Context} context
 * @returns {Promise<Node[]>}
 */
export async function mistakes(context) {
  const { trace, state, store, served } = context;
  if (!served) return [say("Mistakes", ["Open the model with “pellucid open” to see its mistakes."])];
  const answer = await (await served.ask("/api/mistakes")).json();
  if (answer.state !== "done") {
    const finished = () => store.set({}, true);
    const doing = "Classifying the pictures";
    const waiting = progress({ ask: served.ask, path: "/api/mistakes", answer, doing, finished });
    return [say("Mistakes", [ABOUT], STILL), h("section", { class: "stage", "aria-label": "Mistakes" }, waiting)];
  }
  const place = cellOf(state.place, trace.about.model.classes.length);
  return place ? pictures({ ...context, served }, answer, place) : table(context, answer);
}

/**
 * @param {Context} context
 * @param {Evaluation} evaluation
 */
function table({ trace, store }, evaluation) {
  const { classes } = trace.about.model;
  const open = (/** @type {number} */ label, /** @type {number} */ predicted) =>
    store.set({ place: `${label},${predicted}`, page: 0 });
  const [low, high] = evaluation.interval;
  const wrong = evaluation.pictures - evaluation.correct;
  const confused = mostConfused(classes, evaluation.confusion, open);
  const many = classes.length > MANY;
  return [
    say(
      "Mistakes",
      [
        `${ABOUT} Of ${counted(evaluation.pictures)} ${evaluation.side} pictures, ${counted(evaluation.correct)} are right: ` +
          `${percent(evaluation.accuracy)}.`,
        `With this many pictures, the true figure lies between ${percent(low)} and ${percent(high)} in 95 of 100 cases.`,
        wrong ? "Choose a cell to see its pictures, worst first." : "",
        trace.about.what_if?.changes.length ? "This is the saved model, without your changes." : "",
      ],
      STILL,
    ),
    h(
      "section",
      { class: "stage mistakes table", "aria-label": "Mistakes" },
      many && confused,
      matrix(classes, evaluation.confusion, open),
      !many && confused,
      notUsed(evaluation.unusable),
    ),
  ];
}

/** @param {Unusable[]} unusable */
function notUsed(unusable) {
  if (!unusable.length) return null;
  const what = unusable.length === 1 ? "1 picture was not used" : `${counted(unusable.length)} pictures were not used`;
  return h(
    "details",
    { class: "unusable" },
    h("summary", {}, what),
    h("ul", {}, ...unusable.map(({ picture, reason }) => h("li", {}, `${picture}: ${reason}`))),
  );
}

/**
 * The pictures of one cell.
 * @param {Context & {served: Served}} context
 * @param {Evaluation} evaluation
 * @param {[number, number]} place
 */
async function pictures({ trace, state, store, served }, evaluation, [label, predicted]) {
  const { classes } = trace.about.model;
  const answer = await served.ask(`/api/mistakes/cell?label=${label}&predicted=${predicted}`);
  const { pictures: all } = /** @type {{pictures: Pictured[]}} */ (await answer.json());
  const right = label === predicted;
  const pages = Math.max(1, Math.ceil(all.length / PAGE));
  const page = Math.min(state.page, pages - 1);
  const of = evaluation.confusion[label].reduce((a, b) => a + b, 0);
  const title = right ? `${classes[label]}, right` : `${classes[label]} mistaken for ${classes[predicted]}`;
  const open = async (/** @type {number} */ number) => {
    if (!(await served.change(`/api/mistakes/open?number=${number}`))) return;
    store.set({ view: "difference", place: "", page: 0 });
  };
  const back = h(
    "a",
    {
      href: "#/~mistakes",
      key: "matrix",
      on: { click: (event) => (event.preventDefault(), store.set({ place: "", page: 0 })) },
    },
    "All classes",
  );
  return [
    say(
      title,
      [
        all.length
          ? `${counted(all.length)} of ${counted(of)} pictures of ${classes[label]}, ` +
            (right ? "the least certain first." : "worst first: those whose true class got the lowest probability.")
          : "There are none.",
        all.length
          ? "Choose one to open its glass box, with the difference between two classes traced to units and pixels."
          : "",
      ],
      STILL,
    ),
    h(
      "section",
      { class: "stage mistakes", "aria-label": title },
      h("p", {}, back),
      h(
        "ul",
        { class: "thumbs", on: { keydown: moveAmong } },
        ...all.slice(page * PAGE, (page + 1) * PAGE).map((each) => {
          /** @type {[number, number][]} */
          const odds = [[label, each.label_probability]];
          if (!right) odds.push([predicted, each.predicted_probability]);
          return thumb(each, odds, classes, () => void open(each.number));
        }),
      ),
      pages > 1 && pager({ page, pages, count: all.length, change: (change) => store.set(change, true) }),
    ),
  ];
}

/**
 * @param {Pictured} picture
 * @param {[number, number][]} odds classes, and the probability of each
 * @param {string[]} classes
 * @param {() => void} open
 */
function thumb({ number, name }, odds, classes, open) {
  const image = h("img", {
    src: `/api/mistakes/picture?number=${number}`,
    alt: "",
    loading: "lazy",
    decoding: "async",
    on: { error: (event) => event.target.replaceWith(h("span", { class: "gone" }, "no longer there")) },
  });
  return h(
    "li",
    {},
    h(
      "button",
      { type: "button", key: `picture/${number}`, title: name, on: { click: open } },
      image,
      h("span", { class: "name" }, name),
      ...odds.map(([at, probability]) =>
        h("span", { class: "answer" }, h("span", {}, classes[at]), h("span", {}, percent(probability))),
      ),
    ),
  );
}

/**
 * "1,0" is a true and a predicted class, by number: a name may hold anything.
 * @param {string} place
 * @param {number} classes
 * @returns {[number, number] | null}
 */
export function cellOf(place, classes) {
  const match = place.match(/^(\d+),(\d+)$/);
  if (!match) return null;
  const [label, predicted] = [Number(match[1]), Number(match[2])];
  return label < classes && predicted < classes ? [label, predicted] : null;
}
