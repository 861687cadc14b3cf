/** Trying the trained network: live with the camera, on a drawing, or on a file. */

import { h } from "../element.js";
import { percent } from "../format.js";
import { draw } from "../picture/drawing.js";
import { chooseFiles, dropsOn } from "./bring.js";
import { Gone } from "./server.js";

/** @typedef {{label: string, probabilities: [string, number][]}} Answer */

const PAUSE = 60; // milliseconds between an answer and the next question

/**
 * @param {object} means
 * @param {import("./server.js").Server} means.server
 * @param {import("./sight.js").Camera} means.camera
 * @param {(work: () => Promise<unknown>) => Promise<void>} means.attempt reports an error
 * @param {() => void} means.active the reader works here
 */
export function tryingPanel({ server, camera, attempt, active }) {
  const empty = h("p", { class: "note" }, "Train first. Then show it something new here.");
  const opener = /** @type {HTMLButtonElement} */ (
    h("button", { type: "button", class: "single", "aria-expanded": "false" }, "Camera")
  );
  const drawer = h("button", { type: "button", class: "single" }, "Draw…");
  const image = /** @type {HTMLImageElement} */ (
    h("img", { class: "tried", alt: "The picture that you tried", hidden: true })
  );
  const bars = h("ol", { class: "chances", "aria-label": "Probability of each class" });
  const spoken = h("p", { class: "hidden", role: "status" });
  const trouble = h("p", { class: "refusals", role: "alert" });
  const why = /** @type {HTMLButtonElement} */ (
    h("button", { type: "button", class: "single go", hidden: true }, "Open the glass box")
  );
  const whyNote = h(
    "p",
    { class: "note", hidden: true },
    "It shows every number of the network, on the picture that you tried.",
  );
  /** @type {Blob | null} */ let tried = null;
  let turn = 0;

  const view = camera.sight("What the camera sees", (open) => {
    opener.setAttribute("aria-expanded", String(open));
    turn += 1;
    if (open) void live(turn);
    else if (tried) picture(tried); // the last one, which the bars are about
  });
  opener.addEventListener("click", () => void (view.isOpen ? view.close() : (active(), view.open())));
  drawer.addEventListener("click", () => draw(3, one, { verb: "Try", title: "Draw a picture to try" }));

  /** @param {number} mine */
  async function live(mine) {
    image.hidden = true;
    while (mine === turn) {
      const frame = await view.take();
      if (frame && mine === turn) {
        try {
          show(await server.post("/answer", {}, frame));
          tried = frame;
          trouble.textContent = "";
        } catch (error) {
          if (!(error instanceof Gone)) trouble.textContent = /** @type {Error} */ (error).message;
          await new Promise((go) => setTimeout(go, 1000));
        }
      }
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  }

  /** @param {Blob} file */
  function picture(file) {
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(file);
    image.hidden = false;
  }

  /** @param {Blob} file */
  async function one(file) {
    if (view.isOpen) view.close();
    trouble.textContent = "";
    try {
      /** @type {Answer} */
      const answer = await server.post("/answer", {}, file);
      show(answer);
      tried = file;
      picture(file);
      const [, share] = answer.probabilities.find(([name]) => name === answer.label) ?? ["", NaN];
      spoken.textContent = `${answer.label}, ${percent(share)}.`;
    } catch (error) {
      trouble.textContent = /** @type {Error} */ (error).message;
    }
    return true;
  }

  /** @param {Answer} answer */
  function show({ label, probabilities }) {
    if (bars.children.length !== probabilities.length) bars.replaceChildren();
    probabilities.forEach(([name, share], at) => {
      const row = bars.children[at] ?? bars.appendChild(h("li", {}, h("span", {}), h("i", {}, h("i", {})), h("b", {})));
      const [called, bar, amount] = /** @type {HTMLElement[]} */ ([...row.children]);
      row.classList.toggle("first", name === label);
      called.textContent = name;
      amount.textContent = percent(share);
      /** @type {HTMLElement} */ (bar.firstElementChild).style.setProperty("width", `${100 * share}%`);
    });
  }

  async function openGlass() {
    const tab = window.open("", "_blank"); // a browser allows it only now
    if (tab) tab.document.title = "Opening the glass box…";
    why.setAttribute("aria-disabled", "true");
    why.textContent = "Opening the glass box…";
    try {
      await server.post("/open", {}, tried ?? undefined);
      const address = new URL("./", window.location.href).href;
      if (tab) tab.location.href = address;
      else window.location.href = address;
    } catch (error) {
      tab?.close();
      throw error;
    } finally {
      why.removeAttribute("aria-disabled");
      why.textContent = "Open the glass box";
    }
  }
  why.addEventListener("click", () => {
    if (why.getAttribute("aria-disabled") !== "true") void attempt(openGlass);
  });

  const addFiles = (/** @type {File[]} */ files) => {
    active();
    if (files[0]) void one(files[0]);
  };
  const ways = h(
    "div",
    { class: "buttons" },
    opener,
    drawer,
    ...chooseFiles("File…", "Choose a picture to try", addFiles, false),
  );
  const node = h(
    "section",
    { class: "panel", "aria-labelledby": "try" },
    h("h2", { id: "try" }, h("span", {}, "3"), "Try"),
    empty,
    ways,
    view.node,
    image,
    trouble,
    bars,
    spoken,
    why,
    whyNote,
  );
  node.addEventListener("focusin", active);
  dropsOn(node, (files) => void (ways.hidden ? null : addFiles(files)));
  let of = "";
  return {
    node,
    addFiles,
    /** @param {import("./server.js").State} state */
    update({ model }) {
      empty.hidden = model !== null;
      for (const each of [ways, why, whyNote, bars]) each.hidden = model === null;
      if (!model) view.isOpen && view.close();
      else if (model.name !== of && tried && !view.isOpen && of) void one(tried); // the new network's answer
      of = model?.name ?? "";
    },
  };
}
