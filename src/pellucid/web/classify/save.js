/** The answers as files, in the columns and keys of `pellucid predict`. */

import { called, ordered } from "./scores.js";

/** @typedef {import("./about.js").About} About */
/** @typedef {import("./answer.js").Result} Result */

/**
 * @param {Result[]} results
 * @param {About} about
 */
export function asCsv(results, about) {
  const several = about.thresholds !== null;
  const ranks = about.classes.flatMap((_, at) => [`label_${at + 1}`, `probability_${at + 1}`]);
  const head = ["picture", ...(several ? ["labels"] : []), ...ranks, "error"];
  const rows = results.map(({ name, answer, trouble }) => {
    const p = answer?.probabilities;
    const labels = several ? [p ? names(p, about).join("|") : ""] : [];
    const cells = about.classes.flatMap((_, at) => {
      if (!p) return ["", ""];
      const number = ordered(p)[at];
      return [about.classes[number], p[number].toFixed(6)];
    });
    return [name, ...labels, ...cells, trouble];
  });
  return [head, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** @param {string} text */
function cell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * @param {Result[]} results
 * @param {About} about
 */
export function asJson(results, about) {
  const rows = results.map(({ name, answer, trouble }) => {
    const p = answer?.probabilities;
    if (!p) return { picture: name, error: trouble };
    const order = ordered(p);
    const first = { label: about.classes[order[0]], probability: p[order[0]] };
    const probabilities = Object.fromEntries(order.map((at) => [about.classes[at], p[at]]));
    return { picture: name, ...(about.thresholds ? { labels: names(p, about) } : first), probabilities };
  });
  const made = { model: about.weights, made_by: about.made_by };
  return JSON.stringify({ ...made, answers: rows }, null, 2);
}

/** @param {number[]} p @param {About} about */
function names(p, about) {
  return called(p, about).map((at) => about.classes[at]);
}

/**
 * Hands a file to the reader, as a download.
 * @param {string} name
 * @param {string} content
 * @param {string} type
 */
export function download(name, content, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
