/** The model card: the part of Markdown that Pellucid writes, as elements. Its pictures are not in the page. */

import { h } from "../element.js";

/**
 * @param {string} markdown
 * @returns {HTMLElement[]}
 */
export function card(markdown) {
  const lines = markdown.replace(/^---\n[\s\S]*?\n---\n/, "").split("\n");
  /** @type {HTMLElement[]} */
  const parts = [];
  /** @type {HTMLElement | null} */
  let folded = null;
  let tables = 0;
  const add = (/** @type {HTMLElement} */ part) => void (folded ? folded.append(part) : parts.push(part));
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const heading = /^(#+) (.*)/.exec(line);
    const summary = /^<details><summary>(.*)<\/summary>/.exec(line);
    if (summary) {
      const details = h("details", {}, h("summary", {}, summary[1]));
      add(details);
      folded = details;
      at += 1;
    } else if (line.startsWith("</details>")) {
      folded = null;
      at += 1;
    } else if (heading) {
      add(h(`h${Math.min(6, heading[1].length + 1)}`, {}, ...inline(heading[2])));
      at += 1;
    } else if (line.startsWith("```")) {
      const end = lines.indexOf("```", at + 1);
      const last = end < 0 ? lines.length : end;
      add(h("pre", { tabindex: "0" }, h("code", {}, lines.slice(at + 1, last).join("\n"))));
      at = last + 1;
    } else if (line.startsWith("|")) {
      const rows = run(lines, at, (text) => text.startsWith("|"));
      add(table(rows, ++tables));
      at += rows.length;
    } else if (/^[-*] /.test(line)) {
      const items = run(lines, at, (text) => /^[-*] /.test(text));
      add(h("ul", {}, ...items.map((text) => h("li", {}, ...inline(text.slice(2))))));
      at += items.length;
    } else {
      const text = inline(line);
      if (text.some((part) => typeof part !== "string" || part.trim())) add(h("p", {}, ...text));
      at += 1;
    }
  }
  return parts;
}

/**
 * The lines from `at` on that fit.
 * @param {string[]} lines
 * @param {number} at
 * @param {(line: string) => boolean} fits
 */
function run(lines, at, fits) {
  let end = at;
  while (end < lines.length && fits(lines[end])) end += 1;
  return lines.slice(at, end);
}

/**
 * @param {string[]} lines
 * @param {number} number counted from 1
 */
function table(lines, number) {
  const rows = lines
    .filter((line) => !/^\|[\s|:-]+\|?$/.test(line) || /[^\s|:-]/.test(line))
    .map((line) =>
      line
        .replace(/^\||\|\s*$/g, "")
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll("\\|", "|")),
    );
  const [head, ...body] = rows;
  const cells = (/** @type {string[]} */ row, /** @type {string} */ tag) =>
    row.map((text) => h(text ? tag : "td", {}, ...inline(text)));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `table ${number} of the model card` },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...cells(head, "th"))),
      h("tbody", {}, ...body.map((row) => h("tr", {}, ...cells(row, "td")))),
    ),
  );
}

/**
 * Bold and code; pictures vanish, and links become their text, because the files that they name are not here.
 * @param {string} text
 * @returns {(HTMLElement | string)[]}
 */
function inline(text) {
  const plain = text.replace(/(?<!\\)!\[[^\]]*\]\([^)]*\)/g, "").replace(/(?<!\\)\[([^\]]*)\]\([^)]*\)/g, "$1");
  return plain
    .split(/((?<!\\)\*\*.+?(?<!\\)\*\*|(?<!\\)`[^`]+`)/)
    .filter(Boolean)
    .map((part) => {
      if (part.startsWith("**") && part.length > 4) return h("b", {}, literal(part.slice(2, -2)));
      if (part.startsWith("`") && part.length > 2) return h("code", {}, part.slice(1, -1));
      return literal(part);
    });
}

/**
 * Markdown takes a backslash away from any ASCII punctuation (https://spec.commonmark.org/0.31.2/#backslash-escapes).
 * @param {string} text
 */
function literal(text) {
  return text.replace(/\\([!-/:-@[-`{-~])/g, "$1");
}
