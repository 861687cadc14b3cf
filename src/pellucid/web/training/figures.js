/** The figures of a training: as lines for the curves, as a sentence, and as tables. */

import { h } from "../element.js";
import { number } from "../format.js";

/** @typedef {import("./curves.js").Line} Line */
/** @typedef {import("./frames.js").Moment} Moment */
/** @typedef {import("./frames.js").Replay} Replay */
/** @typedef {Record<"epoch" | "steps" | "train_loss" | "train_accuracy" | "validation_loss" | "validation_accuracy", number | null>} Epoch */
/** @typedef {{name: string, epochs: Epoch[], live: import("./progress.js").Live | null, replay: Replay | null}} About */

const COLORS = ["var(--curve-1)", "var(--curve-2)", "var(--curve-3)", "var(--curve-4)"];

/**
 * The colour of a followed picture.
 * @param {number} picture
 */
export function colorOf(picture) {
  return COLORS[picture % COLORS.length];
}

/**
 * What a followed picture is called by.
 * @param {{labels: string[]}} picture
 */
export function nameOf({ labels }) {
  return labels.join(", ");
}

/**
 * @param {About} about
 * @returns {{loss: Line[], accuracy: Line[], end: number}} over epochs; end is the last one of the whole training
 */
export function figures({ replay, epochs }) {
  const each = replay?.steps_per_epoch;
  const x = (/** @type {Epoch} */ row) => (each ? (row.steps ?? 0) / each : (row.epoch ?? 0));
  const by = (/** @type {keyof Epoch} */ key) =>
    /** @type {[number, number][]} */ (epochs.filter((row) => row[key] !== null).map((row) => [x(row), row[key]]));
  const moments = (/** @type {(frame: Moment) => number | null | undefined} */ of) =>
    /** @type {[number, number][]} */ (
      (replay?.frames ?? []).flatMap((frame) => (of(frame) === null ? [] : [[frame.epoch, of(frame)]]))
    );
  const validated = by("validation_loss");
  const train = replay ? moments((frame) => frame.train_loss) : by("train_loss");
  const loss = [
    { name: "training", color: "var(--ink)", points: train, width: 2.5 },
    { name: "validation", color: "var(--ink)", points: validated, dots: true, dashed: true },
    ...(replay?.pictures ?? []).map((followed, number) => ({
      name: nameOf(followed),
      color: colorOf(number),
      points: moments((frame) => frame.loss[number]),
    })),
  ].filter(({ points }) => points.length);
  const end = (replay && each ? replay.steps / each : epochs.length) || 1; // a head on known weights takes no step
  const accuracy = [
    { name: "training", color: "var(--ink)", points: by("train_accuracy"), width: 2.5, dots: true },
    { name: "validation", color: "var(--accent)", points: by("validation_accuracy"), dots: true, dashed: true },
  ].filter(({ points }) => points.length);
  return { loss, accuracy, end };
}

/**
 * A line in a sentence.
 * @param {(value: number) => string} format
 */
export function inWords(format) {
  return (/** @type {Line} */ { name, points }) =>
    `${name}: from ${format(points[0][1])} to ${format(points[points.length - 1][1])}.`;
}

/**
 * Every number of the curves.
 * @param {About} about
 */
export function tables({ replay, epochs }) {
  const shown = (/** @type {number | null | undefined} */ value) =>
    value === null || value === undefined ? "–" : number(value, false, 4);
  const table = (
    /** @type {string} */ caption,
    /** @type {string[]} */ head,
    /** @type {(number | null | undefined)[][]} */ rows,
  ) =>
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
      h(
        "table",
        { class: "plain" },
        h("caption", {}, caption),
        h("thead", {}, h("tr", {}, ...head.map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((value) => h("td", {}, shown(value)))))),
      ),
    );
  const moments = replay && [
    table(
      "Each stored moment",
      ["step", "epoch", "training loss", ...replay.pictures.map((each) => `loss of ${nameOf(each)}`)],
      replay.frames.map(({ step, epoch, train_loss, loss }) => [step, epoch, train_loss, ...loss]),
    ),
  ];
  const keys = /** @type {const} */ ([
    "epoch",
    "steps",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
  ]);
  const names = keys.map((key) => key.replace("train_", "training ").replace("_", " "));
  const each = epochs.length
    ? [
        table(
          "Each epoch",
          names,
          epochs.map((row) => keys.map((key) => row[key])),
        ),
      ]
    : [];
  return [...(moments ?? []), ...each];
}
