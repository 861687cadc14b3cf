/** The page of an exported classifier: it takes pictures and shows the answers. Everything is computed in this window. */

import { h } from "../element.js";
import { photograph } from "../picture/camera.js";
import { draw } from "../picture/drawing.js";
import { VERSION } from "./about.js";
import { place } from "./answer.js";
import { card } from "./card.js";
import { engine } from "./engine.js";
import { LICENCE } from "./licence.js";
import { asCsv, asJson, download } from "./save.js";
import { selfCheck } from "./check.js";

/** @typedef {import("./about.js").About} About */
/** @typedef {import("./answer.js").Result} Result */
/** @typedef {import("./engine.js").Engine} Engine */

const CUT = "This file is not complete: it was cut off during the transfer. Copy it again, or save it again.";
const root = /** @type {HTMLElement} */ (document.getElementById("page"));

/** @param {string} text */
function complain(text) {
  root.querySelector(".waiting")?.remove();
  root.before(h("div", { class: "trouble", role: "alert" }, h("p", {}, text)));
}

/** @returns {About} */
function read() {
  const text = document.getElementById("about")?.textContent;
  if (!text)
    throw new Error("This page holds no classifier. `pellucid export MODEL OUT.html --format html` makes one.");
  const about = JSON.parse(text);
  if (about.version !== VERSION)
    throw new Error(`This page was made in another format, ${about.version}. Export it again.`);
  return about;
}

/** @param {About} about */
function open(about) {
  /** @type {(Result & {forget: () => void})[]} */
  const results = [];
  const worker = engine(document, about);
  const state = starting();
  const list = h("ol", { class: "answers", "aria-label": "Answers" });
  const status = h("p", { class: "status", role: "status" });
  const empty = h("p", { class: "empty" }, "The answers appear here. Your pictures stay on this device.");
  let waiting = 0;

  const ready = worker.start(state.tell).then(
    () => state.done(selfCheck(worker, about)),
    (error) => {
      state.failed(error.message);
      throw error;
    },
  );
  ready.catch(() => {});

  /** @param {string} name @param {Blob} file */
  async function add(name, file) {
    const slot = place(name, file);
    /** @type {Result & {forget: () => void}} */
    const result = { name, answer: null, trouble: "", forget: slot.forget };
    results.push(result);
    list.append(slot.node);
    waiting += 1;
    update();
    try {
      await ready;
      result.answer = await worker.classify(file);
      slot.fill(result.answer, about, worker);
    } catch (error) {
      result.trouble = /** @type {Error} */ (error).message;
      slot.refuse(result.trouble);
    }
    waiting -= 1;
    update();
  }

  /** @param {Iterable<File>} files */
  function addAll(files) {
    for (const file of files) void add(file.name || "pasted picture", file);
  }

  const save = saving(() => results, about);
  const clear = button("Clear", () => {
    results.forEach((result) => result.forget());
    results.length = 0;
    list.replaceChildren();
    update();
  });
  const tools = h("div", { class: "tools" }, status, h("div", { class: "buttons" }, ...save, clear));

  function update() {
    const done = results.filter(({ answer }) => answer).length;
    const refused = results.filter(({ trouble }) => trouble).length;
    const of = results.length === 1 ? "1 picture" : `${results.length} pictures`;
    status.textContent = waiting
      ? `${done + refused} of ${of}…`
      : refused
        ? `${done} of ${of} classified, ${refused} cannot be used.`
        : `${of} classified.`;
    tools.hidden = results.length === 0;
    empty.hidden = results.length > 0;
    [...save, clear].forEach((each) => (each.disabled = waiting > 0));
  }
  update();

  const choose = chooser(addAll, add, about.form.channels);
  root.replaceChildren(
    h("header", {}, h("span", { class: "brand" }, "Pellucid"), h("span", { class: "what" }, listed(about))),
    h(
      "main",
      { class: "classify" },
      h("div", { class: "side" }, h("h1", {}, title(about)), choose, state.node, facts(about)),
      h(
        "section",
        { class: "stage", "aria-labelledby": "answers" },
        h("h2", { id: "answers" }, "Answers"),
        tools,
        empty,
        list,
      ),
    ),
  );
  document.title = `${listed(about)}: a classifier`;
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dragging");
    addAll(event.dataTransfer?.files ?? []);
  });
  document.addEventListener("paste", (event) => addAll(event.clipboardData?.files ?? []));
}

const FEW = 6; // classes that are listed by name

/** @param {About} about */
function listed({ classes }) {
  return classes.length > FEW ? `${classes.length} classes` : classes.join(", ");
}

/** @param {About} about */
function title({ classes, thresholds }) {
  if (classes.length > FEW) return `Which of ${classes.length} classes?`;
  const names =
    classes.length < 2 ? classes.join("") : `${classes.slice(0, -1).join(", ")} or ${classes[classes.length - 1]}`;
  return `${names.charAt(0).toUpperCase()}${names.slice(1)}${thresholds ? ", or several" : ""}?`;
}

/**
 * @param {string} text
 * @param {() => void} click
 */
function button(text, click) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", class: "single", on: { click } }, text));
}

/**
 * The ways to bring a picture.
 * @param {(files: Iterable<File>) => void} addAll
 * @param {(name: string, file: Blob) => Promise<void>} add
 * @param {number} channels
 */
function chooser(addAll, add, channels) {
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "file", accept: "image/*", multiple: true, id: "pictures", class: "hidden" })
  );
  input.addEventListener("change", () => {
    addAll(input.files ?? []);
    input.value = ""; // the same file may be chosen again
  });
  const counts = { photograph: 0, drawing: 0 };
  const take = (/** @type {keyof typeof counts} */ kind) => async (/** @type {Blob} */ picture) => {
    counts[kind] += 1;
    void add(`${kind} ${counts[kind]}`, picture);
    return true;
  };
  return h(
    "div",
    { class: "bring" },
    input,
    h(
      "label",
      { for: "pictures", class: "pick" },
      h("b", {}, "Choose pictures"),
      h("span", {}, "or drop or paste them anywhere"),
    ),
    h(
      "div",
      { class: "buttons" },
      button("Camera…", () => photograph(take("photograph"))),
      button("Draw…", () => draw(channels, take("drawing"))),
    ),
  );
}

/** How far the start is; then the self-check's result. */
function starting() {
  const bar = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": "Starting", value: "0" }));
  const text = h("p", { class: "note" }, "Starting…");
  const node = h("div", { class: "state", role: "status" }, text, bar);
  return {
    node,
    /** @param {string} doing @param {number} share */
    tell: (doing, share) => {
      text.textContent = `${doing}…`;
      bar.value = share;
    },
    /** @param {ReturnType<typeof selfCheck>} check */
    done: (check) => {
      text.textContent = "Checking itself…";
      bar.value = 0.9;
      void check.then(({ agrees, sentence }) => {
        node.replaceChildren(h("p", { class: agrees ? "note passed" : "failed" }, sentence));
        if (!agrees) complain(sentence);
      });
    },
    /** @param {string} sentence */
    failed: (sentence) => {
      node.replaceChildren();
      complain(`${sentence} Try a current Chrome, Edge, Firefox or Safari.`);
    },
  };
}

/**
 * @param {() => Result[]} results
 * @param {About} about
 */
function saving(results, about) {
  return [
    button("Save CSV", () => download("answers.csv", asCsv(results(), about), "text/csv")),
    button("Save JSON", () => download("answers.json", asJson(results(), about), "application/json")),
  ];
}

/** @param {About} about */
function facts({ card: markdown, made_by, runtime, form, thresholds, weights }) {
  const answers = thresholds
    ? "The network answers with any number of its classes."
    : "The network always answers with one of its classes, even when a picture shows something else.";
  return h(
    "div",
    { class: "about" },
    h("p", { class: "note" }, answers),
    markdown.trim()
      ? h("details", {}, h("summary", {}, "The model card"), h("div", { class: "card" }, ...card(markdown)))
      : "",
    h(
      "details",
      {},
      h("summary", {}, "What is in this page"),
      h(
        "p",
        { class: "note" },
        `The network, whose input has ${form.height} x ${form.width} pixels, its weights` +
          `${weights ? ` (SHA-256 ${weights.slice(0, 12)}…)` : ""}, and ${runtime.name} ${runtime.version} ` +
          `(Microsoft, ${runtime.licence} licence) to compute it. Made by ${made_by} (Apache-2.0 licence). The page ` +
          "needs no connection, and its rules forbid it to open one.",
      ),
      ...LICENCE.map((text) => h("p", { class: "note" }, text)),
    ),
  );
}

try {
  open(read());
} catch (error) {
  complain(error instanceof SyntaxError ? CUT : /** @type {Error} */ (error).message);
}
