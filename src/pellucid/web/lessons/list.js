/** All lessons with their full text, for the browser's own search; each step links to its place. */

import { h } from "../element.js";
import { paragraph, show } from "./guide.js";
import { lessonsOf, stateOf } from "./lessons.js";
import { say, STILL } from "../say.js";
import { address, START } from "../store.js";

/**
 * @param {import("../context.js").Context} context
 * @returns {Promise<Node[]>}
 */
export async function lessonList({ trace, store }) {
  const lessons = lessonsOf(trace);
  const written = await Promise.all(lessons.map((lesson) => lesson.steps()));
  const contents = lessons.map((lesson, at) =>
    h("li", {}, h("a", { href: `#lesson-${lesson.name}`, on: { click: jump } }, `${at + 1}. ${lesson.title}`)),
  );
  const articles = lessons.map((lesson, at) => {
    const steps = written[at].map(({ text, place, ask }, step) => {
      const href = address({ ...START, ...stateOf(lesson, step, place) });
      const go = (/** @type {MouseEvent} */ event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        void show(store, lesson, step);
      };
      const link = h(
        "a",
        { href, "aria-label": `Show step ${step + 1} of “${lesson.title}” on the network`, on: { click: go } },
        "Show me",
      );
      return h("li", {}, h("div", {}, paragraph(text), ask && answer(ask)), link);
    });
    return h(
      "article",
      { class: "lesson", id: `lesson-${lesson.name}` },
      h("h2", { tabindex: "-1" }, `${at + 1}. ${lesson.title}`),
      h("ol", {}, ...steps),
    );
  });
  const begin = h(
    "button",
    { type: "button", class: "begin", key: "begin", on: { click: () => void show(store, lessons[0], 0) } },
    "Begin with the first",
  );
  return [
    say(
      "Lessons",
      [
        "How a convolutional network works, step by step. The first lessons use the article’s own small numbers. From “A picture " +
          "is numbers” on, they go through this network and this picture.",
        "“Show me” opens the place that a step describes. There, Space goes to the next step, and Escape leaves the lesson.",
      ],
      STILL,
    ),
    h(
      "section",
      { class: "stage lessons", "aria-label": "Lessons" },
      begin,
      h("nav", { "aria-label": "Contents" }, h("ol", {}, ...contents)),
      ...articles,
    ),
  ];
}

/**
 * A question, which opens to its answer.
 * @param {import("./route.js").Question} question
 */
function answer({ prompt, worked }) {
  return h("details", {}, h("summary", {}, prompt), h("div", { class: "worked" }, worked));
}

/**
 * Jumps within the page: its address names the place in the network.
 * @param {MouseEvent} event
 */
function jump(event) {
  event.preventDefault();
  const link = /** @type {HTMLAnchorElement} */ (event.currentTarget);
  const title = /** @type {HTMLElement | null} */ (document.querySelector(`${link.getAttribute("href")} h2`));
  title?.focus({ preventScroll: true });
  title?.scrollIntoView({ block: "start" });
}
