/** Makes elements, without strings of HTML and style attributes. */

/**
 * @typedef {object} Properties
 * @property {string} [class]
 * @property {string} [key] identifies the focused element when the page is redrawn
 * @property {Record<string, string>} [style] set property by property, which a strict Content-Security-Policy allows
 * @property {Record<string, (event: any) => void>} [on]
 */

/**
 * @param {string} tag
 * @param {Properties & Record<string, any>} [properties] others are attributes; false and null leave them out
 * @param {...(Node | string | number | null | undefined | false | (Node | string | null | false)[])} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "style") Object.entries(value).forEach(([key, set]) => node.style.setProperty(key, String(set)));
    else if (name === "on") listen(node, value);
    else if (name === "key") node.dataset.key = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== false) node.append(/** @type {any} */ (child));
  }
  return node;
}

/** @type {WeakMap<Node, {does: NonNullable<Properties["on"]>, heard: Set<string>}>} */
const acts = new WeakMap();

/**
 * Replaces an element's event handlers.
 * @param {Element} node
 * @param {NonNullable<Properties["on"]>} does
 */
function listen(node, does) {
  const { heard } = acts.get(node) ?? { heard: new Set() };
  acts.set(node, { does, heard });
  for (const event of Object.keys(does)) {
    if (!heard.has(event)) node.addEventListener(event, (fired) => acts.get(node)?.does[event]?.(fired));
    heard.add(event);
  }
}

/**
 * Gives an element the event handlers of another.
 * @param {Element} node
 * @param {Element} other
 */
export function actAs(node, other) {
  if (acts.has(node) || acts.has(other)) listen(node, acts.get(other)?.does ?? {});
}

/**
 * A canvas of this many CSS pixels, sharp on dense screens, with its surface scaled to CSS pixels.
 * @param {number} width
 * @param {number} height
 * @returns {{canvas: HTMLCanvasElement, surface: CanvasRenderingContext2D}}
 */
export function sharpCanvas(width, height) {
  const canvas = document.createElement("canvas");
  const dense = Math.min(2, window.devicePixelRatio || 1);
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  canvas.style.setProperty("width", `${width}px`);
  canvas.style.setProperty("height", `${height}px`);
  const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  surface.scale(dense, dense);
  return { canvas, surface };
}

/**
 * A row of buttons, one of which is pressed.
 * @param {string} label
 * @param {[string, string, string?][]} choices value, text, key
 * @param {string} chosen
 * @param {(value: any) => void} choose
 */
export function choice(label, choices, chosen, choose) {
  const buttons = choices.map(([value, text, key]) =>
    h(
      "button",
      {
        type: "button",
        key: `${label}/${value}`,
        "aria-pressed": String(value === chosen),
        "aria-keyshortcuts": key ?? null,
        on: { click: () => choose(value) },
      },
      text,
    ),
  );
  return h("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
}
