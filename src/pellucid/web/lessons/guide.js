/** The panel of a lesson: its paragraph, its steps, Previous and Next. Its subject is on the page beside it. */

import { h } from "../element.js";
import { lessonsOf, stateOf } from "./lessons.js";
import { frame, moving } from "../number/play.js";
import { question } from "./question.js";
import { atPlace, forget, leftFrom, remember } from "./left.js";
import { intoSight } from "./sight.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {import("./lessons.js").Lesson} Lesson */

/**
 * A paragraph; text between ` is code.
 * @param {string} text
 */
export function paragraph(text) {
  return h("p", {}, ...text.split("`").map((piece, at) => (at % 2 ? h("code", {}, piece) : piece)));
}

/**
 * The lesson that the address names, and its step, counted from 0.
 * @param {Trace} trace
 * @param {string} address "stride.2"
 */
export function lessonAt(trace, address) {
  const [name, step = "1"] = address.split(".");
  const lessons = lessonsOf(trace);
  const at = lessons.findIndex((lesson) => lesson.name === name);
  return at < 0 ? null : { lessons, at, lesson: lessons[at], step: Math.max(0, (Number.parseInt(step, 10) || 1) - 1) };
}

/**
 * Goes to the next or the previous step, of this lesson or of its neighbour. After the last step the lessons end.
 * @param {Trace} trace
 * @param {PageStore} store
 * @param {1 | -1} by
 */
export async function turn(trace, store, by) {
  const here = lessonAt(trace, store.get().lesson);
  if (!here) return void store.set({ lesson: "" });
  const { lessons, at, lesson } = here;
  const steps = await lesson.steps();
  const step = Math.min(here.step, steps.length - 1);
  if (steps[step + by]) return show(store, lesson, step + by);
  const beside = lessons[at + by];
  if (beside) return show(store, beside, by > 0 ? 0 : (await beside.steps()).length - 1);
  if (by > 0) {
    forget(store);
    await store.set({ lesson: "" });
  }
}

/**
 * Returns to the step that the reader left; without one, opens the list of lessons.
 * @param {Trace} trace
 * @param {PageStore} store
 */
export async function resume(trace, store) {
  const here = lessonAt(trace, store.get().lesson || leftFrom(store));
  if (!here) return void store.set({ view: "lessons", place: "" });
  const steps = await here.lesson.steps();
  const at = Math.min(here.step, steps.length - 1);
  await store.set(stateOf(here.lesson, at, steps[at].place));
}

/**
 * Shows a step with its motion. The motion stops if the reader goes elsewhere.
 * @param {PageStore} store
 * @param {Lesson} lesson
 * @param {number} at
 */
export async function show(store, lesson, at) {
  const { place, way = [], pace = 0 } = (await lesson.steps())[at];
  const shown = moving() ? [...way, place] : [place];
  for (const [number, each] of shown.entries()) {
    const drawn = store.set(stateOf(lesson, at, each), number > 0);
    const mine = store.get();
    await drawn;
    if (number < shown.length - 1) await pause(pace);
    if (store.get() !== mine) return;
  }
}

/** @param {number} milliseconds */
async function pause(milliseconds) {
  const until = performance.now() + milliseconds;
  while ((await frame()) < until);
}

/**
 * @param {PageStore} store
 * @param {(error: unknown) => void} complain
 * @returns {{panel: HTMLElement, tell: (trace: Trace, state: PageState) => void, drawn: (state: PageState) => void}}
 *     tell shows the state's step; drawn brings its subject into sight
 */
export function guide(store, complain) {
  /** @type {Trace | null} */
  let trace = null;
  let shownStep = "";
  let sighted = "";
  let first = true;
  const turned = (/** @type {1 | -1} */ by) => () => trace && void turn(trace, store, by).catch(complain);
  const again = () => trace && void resume(trace, store).catch(complain);
  const button = (/** @type {string} */ text, /** @type {string} */ kind, /** @type {() => void} */ click) =>
    h("button", { type: "button", class: kind, key: `guide/${text}`, on: { click } }, text);
  const count = h("span", {});
  const title = h("h2", {});
  const text = h("div", { class: "narration", "aria-live": "polite" });
  const asked = h("div", {});
  const strayed = h("div", { class: "strayed", role: "status" });
  const left = h("div", { class: "left-lesson", role: "status" });
  const dots = h("ol", { class: "dots", "aria-label": "Steps of this lesson" });
  const back = button("Previous", "", turned(-1));
  const next = button("Next", "next", turned(1));
  const all = h("a", { href: "#/~lessons" }, "All lessons");
  all.addEventListener("click", (event) => {
    event.preventDefault();
    void store.set({ view: "lessons", place: "", lesson: "" });
  });
  const close = h("button", { type: "button", class: "leave", "aria-label": "Leave the lesson" }, "Leave");
  close.addEventListener("click", () => store.set({ lesson: "" }));
  const panel = h(
    "aside",
    { class: "guide", "aria-label": "Lesson", hidden: true },
    h("div", { class: "guide-top" }, count, all, close),
    title,
    text,
    asked,
    strayed,
    h("div", { class: "guide-steps" }, back, dots, next),
    h(
      "p",
      { class: "keys" },
      h("kbd", {}, "Space"),
      " next ",
      h("kbd", {}, "Esc"),
      " leave the lesson and stay here ",
      h("kbd", {}, "L"),
      " return",
    ),
  );

  /**
   * @param {Trace} shown
   * @param {PageState} state
   */
  async function say(shown, state) {
    const here = lessonAt(shown, state.lesson);
    if (panel.hidden === !!here) {
      panel.hidden = !here;
      document.body.classList.toggle("guided", !!here);
    }
    farewell(shown, state, !!here);
    if (!here) {
      first = false;
      return;
    }
    const same = shown === trace && shownStep === state.lesson;
    trace = shown;
    shownStep = state.lesson;
    const { lessons, at, lesson } = here;
    const steps = await lesson.steps();
    if (shownStep !== state.lesson || trace !== shown) return;
    const step = Math.min(here.step, steps.length - 1);
    const there = atPlace(steps[step], state);
    // a link that names only the step leads to its place
    const bare = first && !state.view && !state.name && !there;
    first = false;
    if (bare) void store.set(stateOf(lesson, step, steps[step].place), true);
    // a live region speaks whenever it is written
    else if (there === strayed.hasChildNodes()) {
      const notice = h("span", {}, "You left the lesson’s place: press L to return.");
      strayed.replaceChildren(...(there ? [] : [notice, button("Return", "", again)]));
      if (there) {
        sighted = ""; // the way back leads to the step's subject
        intoSight();
      }
    }
    if (same) return;
    count.textContent = `Lesson ${at + 1} of ${lessons.length}`;
    title.textContent = lesson.title;
    text.replaceChildren(paragraph(steps[step].text));
    const { ask } = steps[step];
    const answered = () => {
      if (ask?.then && store.get().lesson === state.lesson) void store.set(stateOf(lesson, step, ask.then), true);
    };
    asked.replaceChildren(...(ask ? [question(ask, answered)] : []));
    dots.replaceChildren(
      ...steps.map((_, number) => {
        const dot = h("button", {
          type: "button",
          key: `guide/${number}`,
          "aria-label": `Step ${number + 1} of ${steps.length}`,
          "aria-current": number === step ? "step" : null,
          on: { click: () => void show(store, lesson, number).catch(complain) },
        });
        return h("li", {}, dot);
      }),
    );
    /** @type {HTMLButtonElement} */ (back).disabled = at === 0 && step === 0;
    next.textContent = at === lessons.length - 1 && step === steps.length - 1 ? "Finish" : "Next";
    panel.scrollTop = 0;
    intoSight(); // the panel has its height now
  }

  /**
   * Says that a lesson was left, and how to return.
   * @param {Trace} shown
   * @param {PageState} state
   * @param {boolean} inLesson
   */
  function farewell(shown, { lesson, view }, inLesson) {
    if (inLesson) {
      remember(store, lesson);
      return left.replaceChildren();
    }
    const before = lessonAt(shown, leftFrom(store));
    const leaving = shownStep !== "";
    shownStep = "";
    trace = shown;
    if (!before || view === "lessons") return left.replaceChildren();
    if (!leaving) return;
    const dismiss = h(
      "button",
      { type: "button", "aria-label": "Close", on: { click: () => left.replaceChildren() } },
      "×",
    );
    left.replaceChildren(
      h("span", {}, `You left the lesson “${before.lesson.title}”: press L to return.`),
      button("Return", "", again),
      dismiss,
    );
  }

  return {
    panel: h("div", {}, panel, left),
    tell: (shown, state) => void say(shown, state).catch(complain),
    drawn: ({ lesson }) => {
      // once a step, and again when the window's size has changed: the reader may scroll
      const sight = lesson && `${lesson} ${window.innerWidth} ${window.innerHeight}`;
      if (sight && sight !== sighted) intoSight();
      sighted = sight;
    },
  };
}
