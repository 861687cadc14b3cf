/** Lines from the numbers of a sum into the cell of their result. */

import { h } from "../element.js";

const NS = "http://www.w3.org/2000/svg";

/**
 * @param {HTMLElement} line with the chips
 * @param {HTMLElement[]} own the grid with the cell; empty for a number without a map
 */
export function joined(line, own) {
  if (!own.length) return h("div", { class: "adds" }, line);
  const drawing = document.createElementNS(NS, "svg");
  drawing.setAttribute("class", "joins");
  drawing.setAttribute("aria-hidden", "true");
  const around = h("div", { class: "adds" }, line, h("div", { class: "into equation" }, drawing, ...own));
  let due = false;
  const later = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      draw(around);
      changes.takeRecords(); // those of the drawing itself
    });
  };
  const changes = new MutationObserver(later);
  changes.observe(around, { subtree: true, childList: true, characterData: true, attributeFilter: ["class", "open"] });
  new ResizeObserver(later).observe(around);
  return around;
}

/** @param {HTMLElement} around */
function draw(around) {
  const drawing = around.querySelector(".joins");
  const cell = around.querySelector("td.on");
  if (!drawing || !cell) return;
  const origin = drawing.getBoundingClientRect();
  const to = cell.getBoundingClientRect();
  const chips = around.querySelectorAll(".addition:not(.more .addition) > .chip, .more > summary");
  drawing.replaceChildren(
    ...Array.from(chips, (chip) => {
      const from = chip.getBoundingClientRect();
      const path = document.createElementNS(NS, "path");
      const [x1, y1] = [from.left + from.width / 2 - origin.left, from.bottom - origin.top];
      const [x2, y2] = [to.left + to.width / 2 - origin.left, to.top - origin.top];
      const middle = (y1 + y2) / 2;
      path.setAttribute("d", `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`);
      if (chip.getAttribute("aria-pressed") === "true") path.setAttribute("class", "thick");
      return path;
    }),
  );
}
