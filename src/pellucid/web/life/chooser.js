/** The choice of a weight whose life is shown. */

import { lostIndex } from "../astray/astray.js";
import { h } from "../element.js";
import { size } from "../format.js";
import { say, STILL } from "../say.js";
import { lifeState } from "./place.js";
import { inside } from "./stored.js";

const TITLE = "A weight’s life";

/**
 * @param {import("../context.js").StageContext} context
 * @param {string} wrong with the address; "" for nothing
 * @returns {Promise<Node[]>}
 */
export async function chooser({ trace, store, served }, wrong) {
  const all = trace.about.parameters.map((/** @type {any} */ { name, shape }) => [name, shape]);
  /** @type {[string, number[]][]} */
  const weights = served || !trace.lives ? all : await inside(trace.lives());
  const select = /** @type {HTMLSelectElement} */ (
    h(
      "select",
      { id: "life-array", key: "life/array" },
      ...weights.map(([name, shape]) => h("option", { value: name }, `${name}, ${size(shape)}`)),
    )
  );
  const index = /** @type {HTMLInputElement} */ (
    h("input", { id: "life-index", key: "life/index", type: "text", autocomplete: "off", size: "12" })
  );
  const first = () =>
    (index.value = trace
      .shape(select.value)
      .map(() => 0)
      .join(", "));
  first();
  select.addEventListener("change", first);
  const trouble = h("p", { role: "alert" }, wrong);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const text = index.value
      .split(/[\s,]+/)
      .filter(Boolean)
      .join(",");
    const lost = lostIndex(select.value, trace.shape(select.value), text);
    index.setAttribute("aria-invalid", String(!!lost));
    trouble.textContent = lost;
    if (!lost) void store.set(lifeState({ name: select.value, index: text.split(",").map(Number) }));
  };
  const about = served
    ? "The training is made again, step by step, with the same bits: every value of one weight, and the pictures that pushed it."
    : "This file has every value of these weights, and the pictures of their largest steps. “pellucid open MODEL” makes the training " +
      "again and shows any weight.";
  return [
    say(TITLE, [about, "From any weight’s number, W leads to its life."], STILL),
    h(
      "section",
      { class: "stage life", "aria-label": TITLE },
      wrong ? trouble : "",
      h(
        "form",
        { class: "row choosing", on: { submit } },
        h("label", { for: select.id }, "Weights"),
        select,
        h("label", { for: index.id }, "at"),
        index,
        h("button", { type: "submit", class: "single", key: "life/go" }, "Show its life"),
      ),
      wrong ? "" : trouble,
    ),
  ];
}
