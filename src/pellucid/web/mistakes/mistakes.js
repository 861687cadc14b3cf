/** The pictures that the model was tested on: the confusions, and the pictures behind them, worst first. */

import { moveAmong } from "../among.js";
import { matrix, mostConfused } from "./confusion.js";
import { h } from "../element.js";
import { counted, percent } from "../format.js";
import { progress } from "../job.js";
import { names } from "../labels.js";
import { labelAt, labelTable, titled } from "./labels.js";
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
 * @property {number[][]} confusion [true][predicted]; with several labels a picture, empty
 * @property {boolean} several
 * @property {number | null} macro_f1 with several labels
 * @property {import("./labels.js").Counts[]} labels with several labels, the counts of each
 * @property {Unusable[]} unusable
 */
/**
 * @typedef {object} Pictured
 * @property {number} number
 * @property {string} name
 * @property {number} label_probability
 * @property {number} predicted_probability
 */
/** With several labels. @typedef {{number: number, name: string, probability: number, labels: number[], called: number[]}} Labelled */

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
  const answer = await (await served.ask("api/mistakes", { method: "POST" })).json(); // starts the work
  if (answer.state !== "done") {
    const finished = () => store.set({}, true);
    const doing = "Classifying the pictures";
    const waiting = progress({ ask: served.ask, path: "api/mistakes", answer, doing, finished });
    return [say("Mistakes", [ABOUT], STILL), h("section", { class: "stage", "aria-label": "Mistakes" }, waiting)];
  }
  const count = trace.about.model.classes.length;
  if (answer.several) {
    const label = labelAt(state.place, count);
    return label ? ofLabel({ ...context, served }, answer, label) : labels(context, answer);
  }
  const place = cellOf(state.place, count);
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

/**
 * The table for several labels a picture.
 * @param {Context} context
 * @param {Evaluation} evaluation
 */
function labels({ trace, store }, evaluation) {
  const { classes } = trace.about.model;
  const [low, high] = evaluation.interval;
  return [
    say(
      "Mistakes",
      [
        `${ABOUT} Of ${counted(evaluation.pictures)} ${evaluation.side} pictures, ${counted(evaluation.correct)} got ` +
          `exactly their labels: ${percent(evaluation.accuracy)}.`,
        `With this many pictures, the true figure lies between ${percent(low)} and ${percent(high)} in 95 of 100 cases.`,
        evaluation.macro_f1 === null ? "" : `The mean F1 of the labels is ${percent(evaluation.macro_f1)}.`,
        "Choose a cell to see its pictures, worst first.",
        trace.about.what_if?.changes.length ? "This is the saved model, without your changes." : "",
      ],
      STILL,
    ),
    h(
      "section",
      { class: "stage mistakes table", "aria-label": "Mistakes" },
      labelTable(classes, evaluation.labels, (label, kind) => store.set({ place: `${label},${kind}`, page: 0 })),
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
async function pictures(context, evaluation, [label, predicted]) {
  const { trace, served, store } = context;
  const { classes } = trace.about.model;
  const answer = await served.ask(`api/mistakes/cell?label=${label}&predicted=${predicted}`);
  const { pictures: all } = /** @type {{pictures: Pictured[]}} */ (await answer.json());
  const right = label === predicted;
  const of = evaluation.confusion[label].reduce((a, b) => a + b, 0);
  const order = right ? "the least certain first." : "worst first: those whose true class got the lowest probability.";
  const open = async (/** @type {number} */ number) => {
    if (!(await served.change(`api/mistakes/open?number=${number}`))) return;
    store.set({ view: "difference", place: "", page: 0 });
  };
  const picture = (/** @type {Pictured} */ each) => {
    /** @type {[string, number][]} */
    const odds = [[classes[label], each.label_probability]];
    if (!right) odds.push([classes[predicted], each.predicted_probability]);
    return thumb(each, odds, null, () => void open(each.number), served.source);
  };
  return listed(context, all, picture, {
    title: right ? `${classes[label]}, right` : `${classes[label]} mistaken for ${classes[predicted]}`,
    back: "All classes",
    lines: [
      `${counted(all.length)} of ${counted(of)} pictures of ${classes[label]}, ${order}`,
      "Choose one to open its glass box, with the difference between two classes traced to units and pixels.",
    ],
  });
}

/**
 * The pictures of one label that got it, missed it, or got it without having it.
 * @param {Context & {served: Served}} context
 * @param {Evaluation} evaluation
 * @param {[number, import("./labels.js").Kind]} place
 */
async function ofLabel(context, evaluation, [label, kind]) {
  const { trace, served, store } = context;
  const { classes } = trace.about.model;
  const answer = await served.ask(`api/mistakes/cell?label=${label}&kind=${kind}`);
  const { pictures: all } = /** @type {{pictures: Labelled[]}} */ (await answer.json());
  const { right, missed, wrong } = evaluation.labels[label];
  const of =
    kind === "wrong"
      ? `${counted(right + wrong)} pictures that were called ${classes[label]}`
      : `${counted(right + missed)} pictures that have the label ${classes[label]}`;
  const order = {
    right: "the least certain first.",
    missed: "worst first: those that got the lowest probability for it.",
    wrong: "worst first: those that got the highest probability for it.",
  }[kind];
  const open = async (/** @type {number} */ number) => {
    if (!(await served.change(`api/mistakes/open?number=${number}`))) return;
    store.set({ view: "", place: "", name: "", index: null, page: 0 });
  };
  const picture = (/** @type {Labelled} */ each) => {
    const words = `has ${names(classes, each.labels)}; called ${names(classes, each.called)}`;
    return thumb(each, [[classes[label], each.probability]], words, () => void open(each.number), served.source);
  };
  return listed(context, all, picture, {
    title: titled(classes[label], kind),
    back: "All labels",
    lines: [
      `${counted(all.length)} of ${of}, ${order}`,
      "Choose one to open its glass box, against the labels that it has.",
    ],
  });
}

/**
 * A page of pictures, and the way back to the table.
 * @template Each
 * @param {Context} context
 * @param {Each[]} all
 * @param {(each: Each) => Node} picture
 * @param {{title: string, back: string, lines: string[]}} words `lines` if there are pictures
 */
function listed({ state, store }, all, picture, { title, back, lines }) {
  const pages = Math.max(1, Math.ceil(all.length / PAGE));
  const page = Math.min(state.page, pages - 1);
  const link = h(
    "a",
    {
      href: "#/~mistakes",
      key: "matrix",
      on: { click: (event) => (event.preventDefault(), store.set({ place: "", page: 0 })) },
    },
    back,
  );
  return [
    say(title, all.length ? lines : ["There are none."], STILL),
    h(
      "section",
      { class: "stage mistakes", "aria-label": title },
      h("p", {}, link),
      h(
        "ul",
        { class: "thumbs", on: { keydown: moveAmong } },
        ...all.slice(page * PAGE, (page + 1) * PAGE).map(picture),
      ),
      pages > 1 && pager({ page, pages, count: all.length, change: (change) => store.set(change, true) }),
    ),
  ];
}

/**
 * @param {{number: number, name: string}} picture
 * @param {[string, number][]} odds classes, and the probability of each
 * @param {string | null} words a further line about it
 * @param {() => void} open
 * @param {Served["source"]} source
 */
function thumb({ number, name }, odds, words, open, source) {
  const image = h("img", {
    src: source(`api/mistakes/picture?number=${number}`),
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
      ...odds.map(([called, probability]) =>
        h("span", { class: "answer" }, h("span", {}, called), h("span", {}, percent(probability))),
      ),
      words && h("span", { class: "labels" }, words),
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
