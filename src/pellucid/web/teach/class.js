/** One class: its name, the ways to bring pictures, and the pictures. */

import { h } from "../element.js";
import { counted } from "../format.js";
import { draw } from "../picture/drawing.js";
import { chooseFiles, dropsOn } from "./bring.js";
import { recorder } from "./record.js";
import { thumbnails } from "./thumbnails.js";

/** @typedef {import("./server.js").Class} Class */
/** @typedef {import("./queue.js").Parcel["kind"]} Kind */
/**
 * @typedef {object} Means
 * @property {import("./server.js").Server} server
 * @property {import("./queue.js").Queue} queue
 * @property {import("./sight.js").Camera} camera
 * @property {(name: string, written: string) => Promise<string | null>} rename null if refused
 * @property {(name: string) => void} removeClass asks first
 * @property {(called: () => string, picture: string) => Promise<void>} remove
 * @property {(changed: Class) => void} arrived a picture has come
 * @property {() => void} active the reader works on this class
 */

const MOST = 4; // refused files that are named

/** @param {Means} means */
export function classCard({ server, queue, camera, rename, removeClass, remove, arrived, active }) {
  let name = "";
  let brought = 0;
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "text", class: "name", "aria-label": "Name of the class", maxlength: "60", autocomplete: "off" })
  );
  const count = h("p", { class: "note count" });
  const status = h("p", { class: "hidden", role: "status" });
  const refusals = h("div", { class: "refusals", role: "alert" });
  const pictures = thumbnails(server.source, (picture) => remove(() => name, picture));

  const opener = button("Camera", () => void (view.isOpen ? view.close() : view.open()));
  const view = camera.sight("What the camera sees", (open) => {
    opener.setAttribute("aria-expanded", String(open));
    record.button.hidden = !open;
    if (!open) record.end();
    else record.button.focus();
  });
  const record = recorder(
    "Hold to record pictures; a short press takes one",
    async () => {
      const picture = await view.take();
      if (picture) add("camera", picture, "a picture of the camera");
    },
    (taken) => (status.textContent = `${taken === 1 ? "1 picture" : `${taken} pictures`} recorded for ${name}.`),
  );
  record.button.hidden = true;

  /** @param {Kind} kind @param {Blob} picture @param {string} called */
  function add(kind, picture, called) {
    queue.add({
      to: () => name,
      kind,
      called,
      picture,
      arrived: (reply) => arrived(reply.class),
      refused: (sentence) => {
        brought += 1;
        const rest = refusals.querySelectorAll("p").length >= MOST;
        if (!rest) refusals.prepend(h("p", {}, sentence));
        refusals.dataset.more = brought > MOST ? `and ${counted(brought - MOST)} more` : "";
        if (!refusals.querySelector("button")) refusals.append(button("Close", forget));
      },
    });
  }
  function forget() {
    brought = 0;
    refusals.replaceChildren();
    delete refusals.dataset.more;
  }
  const addFiles = (/** @type {File[]} */ files) => {
    active();
    for (const file of files) add("file", file, file.name || "a pasted picture");
  };
  const drawing = () =>
    draw(3, async (picture) => (add("drawing", picture, "a drawing"), true), {
      verb: "Add",
      title: `Draw for “${name}”`,
      stays: true,
    });

  async function commit() {
    const written = input.value;
    if (written === name) return;
    const now = await rename(name, written);
    if (now === null) {
      input.value = name;
      input.focus();
      input.select();
    }
  }
  input.addEventListener("change", () => void commit());
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") input.blur();
    if (event.key === "Escape") input.value = name;
  });

  const choosing = chooseFiles("Files…", "Choose picture files", addFiles);
  const remover = button("Remove", () => removeClass(name));
  const node = h(
    "section",
    { class: "class-card" },
    h("div", { class: "name-row" }, input, remover),
    h("div", { class: "buttons" }, opener, button("Draw…", drawing), ...choosing),
    view.node,
    record.button,
    refusals,
    count,
    pictures.node,
    status,
  );
  opener.setAttribute("aria-expanded", "false");
  node.addEventListener("focusin", active);
  dropsOn(node, addFiles);

  return {
    node,
    input,
    addFiles,
    close: () => view.isOpen && view.close(),
    /** @param {Class} now */
    show(now) {
      if (now.name !== name) {
        name = now.name;
        input.value = name;
        node.setAttribute("aria-label", `Class ${name}`);
        remover.setAttribute("aria-label", `Remove class ${name}`);
        opener.setAttribute("aria-label", `Camera for ${name}`);
      }
      const of = now.pictures.length === 1 ? "1 picture" : `${counted(now.pictures.length)} pictures`;
      const recorded = now.recordings === 1 ? "1 recording" : `${now.recordings} recordings`;
      count.textContent = now.pictures.length
        ? now.recordings
          ? `${of}, ${recorded}`
          : of
        : "No pictures yet. Drop or paste some here, too.";
      pictures.show(name, now.pictures);
    },
  };
}

/**
 * @param {string} text
 * @param {() => void} click
 */
function button(text, click) {
  return h("button", { type: "button", class: "single", on: { click } }, text);
}

/** @typedef {ReturnType<typeof classCard>} Card */
