/** What if the picture were different: paint on it, by mouse, finger or keys, and see the effect on the classes. */

import { blurred, colored, copied, stroke } from "./brush.js";
import { drawImage } from "../colors.js";
import { h, sharpCanvas } from "../element.js";
import { Trouble } from "../host.js";
import { mapData, mapsOf } from "../layer/maps.js";
import { shifts } from "./shift.js";
import { before, latest, pending, whatIf } from "./whatif.js";

/** @typedef {import("../trace.js").Trace} Trace */
/** @typedef {import("../store.js").PageStore} PageStore */
/** @typedef {import("../context.js").Served} Served */
/** @typedef {import("./brush.js").Image} Image */
/** @typedef {"black" | "white" | "mean" | "color" | "blur" | "original"} Kind */
/**
 * The state of painting, which survives a redraw of the page.
 * @typedef {object} Held
 * @property {Kind} kind
 * @property {string} color as #rrggbb
 * @property {number} size across, in pixels of the picture
 * @property {[number, number]} at row, column
 * @property {boolean} down
 * @property {number} dabs the number of dabs so far
 * @property {{image: Image, of: number} | null} wet paint that only the brush shows yet, and the number of its picture
 */

const PAUSE = 500; // ms after a stroke until what follows from it is worked out to the last number
const WIDEST = 0.6; // of the shorter side

/** @type {[Kind, string][]} */
const KINDS = [
  ["black", "black"],
  ["white", "white"],
  ["mean", "mean colour"],
  ["color", "a colour"],
  ["blur", "blur"],
  ["original", "as it was"],
];

/** @type {WeakMap<PageStore, Held>} */
const hands = new WeakMap();

/**
 * Whether a trace begins with a picture's pixels, on which the reader can paint.
 * @param {Trace} trace
 */
export function paintable(trace) {
  return whatIf(trace) !== null && trace.nodes[0].name === trace.role("picture");
}

/**
 * The button that opens painting, if it is possible.
 * @param {import("../context.js").Context} context
 */
export function paintButton({ trace, store, served }) {
  if (!served || !paintable(trace)) return null;
  const open = () => store.set({ brush: true });
  return h("button", { type: "button", class: "single", key: "paint/open", on: { click: open } }, "Paint over it");
}

/**
 * The picture with a brush over it.
 * @param {import("../context.js").Context & {served: Served}} context
 * @param {number} side the longer side in CSS pixels
 */
export async function painter({ trace, store, served }, side) {
  const name = trace.nodes[0].name;
  const first = await pixels(trace, name);
  const { height, width, channels } = first;
  const hand = hands.get(store) ?? {
    kind: "black",
    color: "#c2410c",
    size: Math.max(1, Math.round(Math.min(height, width) / 8)),
    at: [Math.floor(height / 2), Math.floor(width / 2)],
    down: false,
    dabs: 0,
    wet: null,
  };
  hands.set(store, hand);
  const picture = whatIf(trace)?.picture ?? 0;
  if (hand.wet?.of !== picture) hand.wet = null;
  const image = hand.wet?.image ?? first;
  const about = `picture=${picture}&shape=${height},${width},${channels}`;
  const cell = side / Math.max(height, width);
  const { canvas, surface } = sharpCanvas(cell * width, cell * height);
  canvas.setAttribute("aria-hidden", "true");
  const ring = h("i", { class: "ring" });
  const came = h("div", { class: "foreseen", role: "status" });
  const draw = () => drawImage(surface, visible(image), [0, 0, cell * width, cell * height]);
  const aim = () => {
    const across = Math.max(cell * hand.size, 6);
    const to = { left: hand.at[1], top: hand.at[0] };
    for (const [edge, at] of Object.entries(to)) ring.style.setProperty(edge, `${(at + 0.5) * cell - across / 2}px`);
    for (const edge of ["width", "height"]) ring.style.setProperty(edge, `${across}px`);
  };
  const inks = await inksOf(trace, served, image);
  const foresee = latest(async () => {
    const answer = await served.ask(`api/what-if/foresee-paint?${about}`, sent(image));
    const { probabilities } = await answer.json();
    came.replaceChildren(shifts(trace.about.model.classes, before(trace), probabilities));
  });
  const tell = (/** @type {unknown} */ error) => {
    if (!(error instanceof Trouble)) throw error;
    came.replaceChildren(h("p", { class: "refused" }, error.message));
  };
  let timer = 0;
  const settle = async () => {
    const dabs = hand.dabs;
    if (hand.down || hand.wet?.image !== image) return;
    const path = `api/what-if/paint?${about}`;
    try {
      await served.ask(path, sent(image));
    } catch (error) {
      tell(error);
      return;
    }
    // a newer stroke continues undisturbed; the effect of both is shown after it
    if (hand.down || hand.dabs !== dabs) return;
    hand.wet = null;
    pending.delete(served);
    await served.change(path, sent(image).body);
  };
  const rest = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void settle(), PAUSE);
  };
  /** @param {[number, number]} to */
  const paint = async (to) => {
    const from = hand.at;
    hand.at = to;
    aim();
    const ink = await inks(hand);
    stroke(image, hand.down ? from : to, to, hand.size, ink);
    hand.dabs++;
    hand.wet = { image, of: picture };
    pending.set(served, () => (window.clearTimeout(timer), settle()));
    draw();
    foresee(undefined).catch(tell);
  };
  const under = (/** @type {PointerEvent} */ event) => {
    const { left, top } = canvas.getBoundingClientRect();
    const at = (/** @type {number} */ px, /** @type {number} */ size) =>
      Math.max(0, Math.min(size - 1, Math.floor(px / cell)));
    return /** @type {[number, number]} */ ([at(event.clientY - top, height), at(event.clientX - left, width)]);
  };
  const easel = h(
    "div",
    {
      class: "easel",
      key: "paint",
      tabindex: "0",
      role: "application",
      "aria-label":
        `The picture, ${height} rows, ${width} columns, to paint over. Arrow keys move the brush, with Shift by its ` +
        "own width. Space or Enter paints.",
      style: { width: `${cell * width}px`, height: `${cell * height}px` },
      on: {
        pointerdown: (/** @type {PointerEvent} */ event) => {
          if (event.button !== 0) return;
          easel.setPointerCapture(event.pointerId);
          easel.focus({ preventScroll: true });
          event.preventDefault();
          void paint(under(event)).then(() => (hand.down = easel.hasPointerCapture(event.pointerId)));
        },
        pointermove: (/** @type {PointerEvent} */ event) => {
          if (hand.down) void paint(under(event));
          else {
            hand.at = under(event);
            aim();
          }
        },
        lostpointercapture: () => {
          hand.down = false;
          rest();
        },
        keydown: (/** @type {KeyboardEvent} */ event) => {
          const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
          if (!step && event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          event.stopPropagation();
          if (!step) void paint(hand.at).then(rest);
          else {
            const by = event.shiftKey ? hand.size : 1;
            const [y, x] = [hand.at[0] + by * step[0], hand.at[1] + by * step[1]];
            hand.at = [Math.max(0, Math.min(height - 1, y)), Math.max(0, Math.min(width - 1, x))];
            aim();
          }
        },
      },
    },
    canvas,
    ring,
  );
  draw();
  aim();
  const close = h(
    "button",
    { type: "button", class: "single", key: "paint/close", on: { click: () => store.set({ brush: false }) } },
    "Done",
  );
  const node = h(
    "section",
    { class: "paint", "aria-label": "Paint over the picture" },
    easel,
    tools(hand, Math.ceil(WIDEST * Math.min(height, width)), aim, close),
    h(
      "p",
      { class: "note" },
      "Paint with the mouse or a finger, or with the arrow keys and Space. With Shift, the brush moves by its own width.",
    ),
    came,
  );
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    void store.set({ brush: false });
  });
  return node;
}

/**
 * The picture's pixels as bytes.
 * @param {Trace} trace
 * @param {string} name
 * @returns {Promise<Image>}
 */
async function pixels(trace, name) {
  const maps = /** @type {import("../layer/maps.js").Maps} */ (mapsOf(trace, name, "forward"));
  const { channels, height, width } = maps;
  const planes = await Promise.all(Array.from({ length: channels }, (_, at) => mapData(trace, maps, at)));
  const data = new Uint8Array(height * width * channels);
  for (let at = 0; at < height * width; at++) {
    for (let channel = 0; channel < channels; channel++) data[at * channels + channel] = planes[channel][at];
  }
  return { data, height, width, channels };
}

/**
 * The ink of each kind of brush; the original picture is fetched when a brush needs it.
 * @param {Trace} trace
 * @param {Served} served
 * @param {Image} image
 */
async function inksOf(trace, served, { height, width, channels }) {
  const mean = Array.from((await trace.array("value/mean")).data, (each) => Math.round(255 * each));
  /** @type {Promise<Uint8Array> | null} */ let original = null;
  /** @type {Promise<Uint8Array> | null} */ let soft = null;
  const first = () =>
    (original ??= served
      .ask("api/what-if/original")
      .then((answer) => answer.arrayBuffer())
      .then((bytes) => new Uint8Array(bytes)));
  const blur = () => (soft ??= first().then((data) => blurred({ data, height, width, channels })));
  return async (/** @type {Held} */ { kind, color }) => {
    if (kind === "original") return copied(await first(), channels);
    if (kind === "blur") return copied(await blur(), channels);
    const hex = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    return colored({ black: [0], white: [255], mean, color: hex }[kind], channels);
  };
}

/**
 * @param {Held} hand
 * @param {number} widest
 * @param {() => void} aim
 * @param {HTMLElement} close
 */
function tools(hand, widest, aim, close) {
  const kinds = KINDS.map(([kind, text]) => {
    const button = h(
      "button",
      { type: "button", key: `paint/${kind}`, "aria-pressed": String(kind === hand.kind) },
      h("i", { class: `swatch ${kind}`, style: kind === "color" ? { background: hand.color } : {} }),
      text,
    );
    button.addEventListener("click", () => {
      hand.kind = kind;
      for (const each of kinds) each.setAttribute("aria-pressed", String(each === button));
      color.hidden = kind !== "color";
    });
    return button;
  });
  const color = /** @type {HTMLInputElement} */ (
    h("input", { type: "color", key: "paint/which", "aria-label": "colour of the brush" })
  );
  color.value = hand.color;
  color.hidden = hand.kind !== "color";
  color.addEventListener("input", () => {
    hand.color = color.value;
    /** @type {HTMLElement} */ (kinds[3].firstChild).style.setProperty("background", color.value);
  });
  const size = /** @type {HTMLInputElement} */ (
    h("input", {
      type: "range",
      key: "paint/size",
      min: 1,
      max: widest,
      step: 1,
      "aria-label": "width of the brush in pixels",
    })
  );
  size.value = String(hand.size);
  const sizeText = h("output", {}, `${hand.size} px`);
  size.addEventListener("input", () => {
    hand.size = Number(size.value);
    sizeText.textContent = `${hand.size} px`;
    aim();
  });
  return h(
    "div",
    { class: "tools" },
    h("div", { class: "choice", role: "group", "aria-label": "paint" }, ...kinds),
    color,
    h("label", { class: "setting" }, size, sizeText),
    close,
  );
}

/** @param {Image} image */
function visible({ data, height, width, channels }) {
  const shown = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let color = 0; color < 3; color++)
      shown.data[4 * at + color] = data[at * channels + (channels === 3 ? color : 0)];
    shown.data[4 * at + 3] = 255;
  }
  return shown;
}

/** @param {Image} image */
function sent({ data }) {
  return { method: "POST", body: new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (data)]) };
}
