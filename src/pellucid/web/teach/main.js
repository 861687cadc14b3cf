/** The page of `pellucid teach`: collect pictures, train, try, keep. Its state is what the server has on the disk. */

import { h } from "../element.js";
import { classCard } from "./class.js";
import { keepingPanel } from "./keeping.js";
import { createQueue } from "./queue.js";
import { createServer, Gone } from "./server.js";
import { createCamera } from "./sight.js";
import { trainingPanel } from "./training.js";
import { tryingPanel } from "./trying.js";

/** @typedef {import("./server.js").State} State */
/** @typedef {import("./server.js").Class} Class */

const AGAIN = 1500; // milliseconds until a silent server is asked again
const SETTLE = 400; // milliseconds without a new picture, until the advice is asked for

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const messages = h("div", { class: "messages" });
const server = createServer(() => void reload());
const queue = createQueue(server, (waiting) => (waiting ? silent() : answers()));
const camera = createCamera();
/** @type {Map<string, import("./class.js").Card>} */
const cards = new Map();
/** @type {State | null} */ let state = null;
/** @type {{addFiles: (files: File[]) => void} | null} */ let active = null;
let settling = 0;

const list = h("div", { class: "cards" });
const adder = h("button", { type: "button", class: "single add-class" }, "Add a class");
const folder = h("p", { class: "what" });
const training = trainingPanel({ server, camera, attempt, reload });
const trying = tryingPanel({ server, camera, attempt, active: () => (active = trying) });
const keeping = keepingPanel(server);

/**
 * A sentence above the page, with what can be done about it.
 * @param {string} text
 * @param {"alert" | "status"} role
 * @param {[string, () => void][]} acts
 */
function tell(text, role, acts = []) {
  const close = h("button", { type: "button", "aria-label": "Close", on: { click: () => box.remove() } }, "×");
  const buttons = acts.map(([name, act]) =>
    h("button", { type: "button", class: "single", on: { click: () => (box.remove(), act()) } }, name),
  );
  const box = h("div", { class: "trouble", role }, h("p", {}, text), h("div", { class: "buttons" }, ...buttons, close));
  messages.replaceChildren(box);
}

/** @param {() => Promise<unknown>} work */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (error instanceof Gone) silent();
    else tell(/** @type {Error} */ (error).message, "alert");
  }
}

let isSilent = false;

/** The server does not answer: say so, and look for it. */
function silent() {
  const many = queue.length === 1 ? "1 picture waits" : `${queue.length} pictures wait`;
  const waits = queue.length ? ` ${many} in this page: do not close it.` : "";
  const words = `Pellucid does not answer. Start “pellucid teach” again with the same folder and port.${waits}`;
  if (!isSilent || waits) tell(words, "alert");
  if (isSilent) return;
  isSilent = true;
  const look = async () => {
    try {
      show(await server.state());
      answers();
    } catch {
      window.setTimeout(look, AGAIN);
    }
  };
  window.setTimeout(look, AGAIN);
}

function answers() {
  if (isSilent) tell("Pellucid answers again. Nothing was lost.", "status");
  isSilent = false;
}

async function reload() {
  show(await server.state());
}

/** @param {Class} changed */
function arrived(changed) {
  if (!state) return;
  state = { ...state, classes: state.classes.map((each) => (each.name === changed.name ? changed : each)) };
  cards.get(changed.name)?.show(changed);
  window.clearTimeout(settling);
  settling = window.setTimeout(() => void attempt(reload), SETTLE);
}

/**
 * @param {string} name
 * @param {string} written
 * @returns {Promise<string | null>}
 */
async function rename(name, written) {
  /** @type {string | null} */ let now = null;
  await attempt(async () => {
    const reply = await server.post("/class/rename", { class: name, name: written });
    now = reply.name;
    const card = cards.get(name);
    if (card && reply.name !== name) {
      cards.delete(name);
      cards.set(reply.name, card);
    }
    messages.querySelector("[role=alert]")?.remove(); // what was wrong with the name; an offer stays
    show(reply);
  });
  return now;
}

/** @param {() => string} called the class's name, which may change @param {string} picture */
async function remove(called, picture) {
  const name = called();
  await attempt(async () => {
    const reply = await server.post("/picture/remove", { class: name, name: picture });
    arrived(reply.class);
    tell(`A picture of “${name}” was taken out of the set. It is in ${state?.removed}.`, "status", [
      [
        "Put it back",
        () =>
          void attempt(async () =>
            show(await server.post("/back", { class: name, name: reply.removed_name, to: called() })),
          ),
      ],
    ]);
  });
}

/** Asks, then moves a class out of the set. @param {string} name */
function removeClass(name) {
  const count = state?.classes.find((each) => each.name === name)?.pictures.length ?? 0;
  const away = async () => {
    const reply = await server.post("/class/remove", { class: name });
    show(reply);
    adder.focus();
    tell(`“${name}” was taken out of the set. Its pictures are in ${reply.removed}.`, "status", [
      [
        "Put it back",
        () => void attempt(async () => show(await server.post("/back", { class: reply.removed_name, called: name }))),
      ],
    ]);
  };
  if (!count) return void attempt(away);
  const close = h("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel");
  const go = h(
    "button",
    { type: "button", class: "next", on: { click: () => (dialog.close(), void attempt(away)) } },
    "Take out",
  );
  const of = count === 1 ? "its picture" : `its ${count} pictures`;
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "camera", "aria-label": `Take “${name}” out of the set?` },
      h("h2", {}, `Take “${name}” out of the set?`),
      h("p", {}, `The class and ${of} move to the folder ${state?.removed}. Nothing is deleted.`),
      h("div", { class: "buttons" }, close, go),
    )
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {State} now */
function show(now) {
  state = now;
  folder.textContent = now.folder;
  const names = new Set(now.classes.map(({ name }) => name));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.close();
    card.node.remove();
    cards.delete(name);
    if (active === card) active = null;
  }
  for (const each of now.classes) {
    let card = cards.get(each.name);
    if (!card) {
      card = classCard({ server, queue, camera, rename, removeClass, remove, arrived, active: () => (active = made) });
      const made = card;
      cards.set(each.name, card);
      list.append(card.node);
    }
    card.show(each);
  }
  training.update(now);
  trying.update(now);
  keeping.update(now);
}

adder.addEventListener("click", () =>
  attempt(async () => {
    const reply = await server.post("/class");
    show(reply);
    const input = cards.get(reply.name)?.input;
    input?.focus();
    input?.select();
  }),
);

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  tell("Drop pictures onto one of the classes, or onto “Try”.", "status");
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  const to = active ?? cards.values().next().value;
  if (files.length && to) to.addFiles(files);
});

async function start() {
  show(await server.state());
  page.replaceChildren(
    h("header", {}, h("span", { class: "brand" }, "Pellucid"), h("h1", {}, "Teach it yourself"), folder),
    messages,
    h(
      "main",
      { class: "teach" },
      h(
        "section",
        { class: "panel collect", "aria-labelledby": "collect" },
        h("h2", { id: "collect" }, h("span", {}, "1"), "Collect"),
        h(
          "p",
          { class: "note" },
          "Name the classes and bring pictures of each. They stay on this machine. Record each class several times, a " +
            "little later and with another hand, place or light: then some recordings can be held back as a test.",
        ),
        list,
        adder,
      ),
      training.node,
      h("div", { class: "column" }, trying.node, keeping.node),
    ),
  );
}

start().catch((error) => {
  page.querySelector(".waiting")?.remove();
  page.replaceChildren(messages);
  if (error instanceof Gone || error instanceof SyntaxError)
    tell("Pellucid does not answer. Start it with “pellucid teach”.", "alert");
  else tell(/** @type {Error} */ (error).message, "alert");
});
