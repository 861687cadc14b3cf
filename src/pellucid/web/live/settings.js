/** The settings that the reader changes, each with the server's answer beside it. */

import { h } from "../element.js";
import { Trouble } from "../host.js";

/** @typedef {import("./numbers.js").Settings} Settings */
/** @typedef {"model" | "learning_rate" | "batch" | "optimizer" | "momentum"} Name */

/** @type {[Name, string, string][]} name, label, what the numbers may be */
const NUMBERS = [
  ["learning_rate", "Learning rate", "decimal"],
  ["batch", "Batch", "numeric"],
  ["momentum", "Momentum", "decimal"],
];
const OPTIMIZERS = ["sgd", "adam", "adamw", "rmsprop"];
const REST = 400; // milliseconds without a key, before a text is checked

/**
 * @param {object} means
 * @param {(change: Partial<Settings>) => Promise<void>} means.edit throws Trouble if the server refuses
 * @param {(change: Partial<Settings>) => Promise<string>} means.check why the server would refuse; "" if it would not
 */
export function createSettings({ edit, check }) {
  /** @type {Partial<Record<Name, {input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement, note: HTMLElement}>>} */
  const fields = {};
  /** @type {Settings | null} */ let known = null;
  let turn = 0;

  /**
   * @param {Name} name
   * @param {string} label
   * @param {HTMLElement} input
   */
  function field(name, label, input) {
    const note = h("p", { class: "field-error", id: `live-${name}-error`, role: "alert" });
    input.setAttribute("aria-describedby", note.id);
    fields[name] = { input: /** @type {HTMLInputElement} */ (input), note };
    return h("div", { class: `field of-${name}` }, h("label", { for: input.id }, label), input, note);
  }

  /**
   * @param {Name} name
   * @param {string} why
   */
  function complain(name, why) {
    const { input, note } = /** @type {NonNullable<typeof fields[Name]>} */ (fields[name]);
    if (note.textContent !== why) note.textContent = why;
    if (why) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  /** @param {Name} name */
  async function use(name) {
    const { input } = /** @type {NonNullable<typeof fields[Name]>} */ (fields[name]);
    const written = input.value.trim();
    const value = name === "model" || name === "optimizer" || written === "" || Number.isNaN(Number(written));
    turn += 1;
    try {
      await edit({ [name]: value ? written : Number(written) });
      complain(name, "");
      if (known) input.value = String(known[name]); // as the server writes it
      pending();
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      complain(name, error.message);
    }
  }

  const text = /** @type {HTMLTextAreaElement} */ (
    h("textarea", { id: "live-model", key: "live/model", rows: "2", spellcheck: "false", autocapitalize: "off" })
  );
  const apply = h(
    "button",
    { type: "button", class: "single", key: "live/apply", on: { click: () => void use("model") } },
    "Use this network",
  );
  const pending = () => (apply.hidden = text.value.trim() === known?.model);
  let waiting = 0;
  text.addEventListener("input", () => {
    pending();
    window.clearTimeout(waiting);
    waiting = window.setTimeout(async () => {
      const mine = ++turn;
      const why = text.value.trim() === known?.model ? "" : await check({ model: text.value });
      if (mine === turn) complain("model", why);
    }, REST);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey)
      (event.preventDefault(), window.clearTimeout(waiting), void use("model"));
    else if (event.key === "Escape" && known) {
      event.stopPropagation();
      text.value = known.model;
      complain("model", "");
      pending();
    }
  });
  const inputs = NUMBERS.map(([name, label, mode]) => {
    const input = /** @type {HTMLInputElement} */ (
      h("input", { id: `live-${name}`, key: `live/${name}`, type: "text", inputmode: mode, autocomplete: "off" })
    );
    input.addEventListener("change", () => void use(name));
    return field(name, label, input);
  });
  const select = /** @type {HTMLSelectElement} */ (
    h("select", { id: "live-optimizer", key: "live/optimizer" }, ...OPTIMIZERS.map((each) => h("option", {}, each)))
  );
  select.addEventListener("change", () => void use("optimizer"));
  const optimizer = field("optimizer", "Optimizer", select);
  const network = field("model", "Network", text);
  network.append(apply);
  const node = h(
    "form",
    { class: "live-settings", "aria-label": "Settings", on: { submit: (event) => event.preventDefault() } },
    network,
    inputs[0],
    inputs[1],
    optimizer,
    inputs[2],
  );
  return {
    node,
    /**
     * What the server uses now. A field in which the reader has begun something else keeps it.
     * @param {Settings} now
     */
    show(now) {
      for (const name of /** @type {Name[]} */ (Object.keys(fields))) {
        const { input } = /** @type {NonNullable<typeof fields[Name]>} */ (fields[name]);
        const value = String(now[name]);
        if (known && String(known[name]) === value && input.value !== "") continue;
        input.value = value;
        complain(name, "");
      }
      known = now;
      pending();
    },
  };
}
