/** A pad to draw a picture on, by mouse, finger, pen, or with the arrow keys. */

import { choice, h } from "../element.js";

/** @typedef {"white" | "black" | "colours"} Manner white on black, black on white, colours on white */
/**
 * @typedef {{color: string, width: number, points: [number, number][]}} Stroke "" is the pen's own colour; unit: a side
 */

const SIDE = 560; // pixels of the picture that is sent
const STEP = 0.02; // of a side, for an arrow key
const PENS = ["#111111", "#d62828", "#f08c2e", "#f4c430", "#2a9d4a", "#2f6fdb", "#7b4bb3", "#7a4a2b", "#ffffff"];
const NAMES = ["black", "red", "orange", "yellow", "green", "blue", "violet", "brown", "white"];

/**
 * What becomes of a drawing.
 * @typedef {object} Purpose
 * @property {(picture: Blob) => Promise<boolean>} choose
 * @property {string} verb of the button
 * @property {string} title
 * @property {boolean} stays whether the pad stays open, empty, for the next drawing
 */

/** @type {WeakMap<HTMLDialogElement, (purpose: Purpose) => void>} */
const purposes = new WeakMap();

/**
 * Opens the pad, with the earlier drawing.
 * @param {number} channels of the network's input: digits are white on black, as in the usual data sets
 * @param {(picture: Blob) => Promise<boolean>} choose
 * @param {Partial<Purpose>} [other]
 */
export function draw(channels, choose, other = {}) {
  const before = /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog.drawing"));
  const dialog = before ?? pad(channels === 1 ? "white" : "black");
  if (!before) document.body.append(dialog);
  purposes.get(dialog)?.({ choose, verb: "Classify", title: "Draw a picture", stays: false, ...other });
  dialog.showModal();
  /** @type {HTMLElement} */ (dialog.querySelector("canvas")).focus();
}

/** @param {Manner} manner */
function pad(manner) {
  /** @type {Purpose | null} */
  let purpose = null;
  /** @type {Stroke[]} */
  const strokes = [];
  let pen = { color: PENS[0], width: 0.07 };
  /** @type {[number, number]} */
  let at = [0.5, 0.5];
  let down = false;
  const canvas = /** @type {HTMLCanvasElement} */ (
    h("canvas", {
      width: SIDE,
      height: SIDE,
      tabindex: "0",
      role: "application",
      "aria-label": "Drawing pad. Arrow keys move the pen, Space lowers and lifts it.",
    })
  );
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const mark = h("i", { class: "pen", hidden: true });
  const note = h("p", { class: "note", "aria-live": "polite" });
  const manners = h("div", {});
  const colors = h("div", { class: "colours", role: "group", "aria-label": "pen colour" });

  const paint = () => {
    const paper = manner === "white" ? "#000" : "#fff";
    surface.fillStyle = paper;
    surface.fillRect(0, 0, SIDE, SIDE);
    surface.lineCap = surface.lineJoin = "round";
    for (const { color, width, points } of strokes) {
      surface.strokeStyle = manner === "colours" ? color : manner === "white" ? "#fff" : "#000";
      surface.lineWidth = width * SIDE;
      surface.beginPath();
      for (const [x, y] of points) surface.lineTo(x * SIDE, y * SIDE);
      // a single point is a line without length, which is not drawn
      if (points.length === 1) surface.lineTo(points[0][0] * SIDE + 0.01, points[0][1] * SIDE);
      surface.stroke();
    }
    mark.style.setProperty("left", `${100 * at[0]}%`);
    mark.style.setProperty("top", `${100 * at[1]}%`);
    mark.classList.toggle("down", down);
  };
  const begin = () => strokes.push({ ...pen, points: [at] });
  const go = (/** @type {[number, number]} */ to) => {
    at = /** @type {[number, number]} */ (to.map((place) => Math.max(0, Math.min(1, place))));
    if (down) strokes[strokes.length - 1]?.points.push(at);
    paint();
  };
  const lift = () => {
    down = false;
    paint();
  };
  const under = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([(event.clientX - left) / width, (event.clientY - top) / height]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    mark.hidden = true;
    at = under(event);
    down = true;
    begin();
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) go(under(each));
    go(under(event));
  });
  for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) canvas.addEventListener(end, lift);
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    mark.hidden = false;
    if (step) go([at[0] + STEP * step[0], at[1] + STEP * step[1]]);
    else if (down) lift();
    else {
      down = true;
      begin();
      paint();
    }
    if (!step) note.textContent = down ? "The pen is down." : "The pen is up.";
  });

  const choosePen = () =>
    colors.replaceChildren(
      ...PENS.map((color, number) =>
        h("button", {
          type: "button",
          "aria-label": NAMES[number],
          "aria-pressed": String(color === pen.color),
          style: { background: color },
          on: { click: () => ((pen = { ...pen, color }), choosePen()) },
        }),
      ),
    );
  const chooseManner = () => {
    manners.replaceChildren(
      choice(
        "paper and pen",
        [
          ["white", "White on black"],
          ["black", "Black on white"],
          ["colours", "Colours"],
        ],
        manner,
        (chosen) => ((manner = chosen), chooseManner()),
      ),
    );
    colors.hidden = manner !== "colours";
    paint();
  };
  const width = /** @type {HTMLInputElement} */ (
    h("input", { type: "range", min: "1", max: "20", value: String(100 * pen.width) })
  );
  width.addEventListener("input", () => (pen = { ...pen, width: Number(width.value) / 100 }));
  const button = (/** @type {string} */ text, /** @type {() => void} */ click, kind = "") =>
    h("button", { type: "button", class: kind, on: { click } }, text);
  const classify = async () => {
    if (!strokes.length) {
      note.textContent = "Draw something first.";
      return;
    }
    lift();
    /** @type {Blob | null} */
    const picture = await new Promise((done) => canvas.toBlob(done, "image/png"));
    if (purpose?.stays) {
      strokes.length = 0;
      paint();
      note.textContent = "Added. Draw the next one, or close.";
      canvas.focus();
    } else dialog.close();
    if (picture) await purpose?.choose(picture);
  };
  const heading = h("h2", {});
  const next = button("", () => void classify(), "next");
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "drawing", "aria-label": "Draw a picture" },
      heading,
      manners,
      h("div", { class: "pad" }, canvas, mark),
      colors,
      h("label", {}, "pen width ", width),
      note,
      h(
        "div",
        { class: "buttons" },
        button("Undo", () => (strokes.pop(), lift())),
        button("Clear", () => ((strokes.length = 0), lift())),
        button("Close", () => dialog.close()),
        next,
      ),
    )
  );
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page's own keys rest meanwhile
  dialog.addEventListener("close", lift);
  purposes.set(dialog, (now) => {
    purpose = now;
    note.textContent = "";
    next.textContent = now.verb;
    heading.textContent = now.title;
    dialog.setAttribute("aria-label", now.title);
  });
  choosePen();
  chooseManner();
  return dialog;
}
