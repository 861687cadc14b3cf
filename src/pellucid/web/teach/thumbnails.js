/** The pictures of a class, small, the newest first. Each can be taken out of the set. */

import { h } from "../element.js";
import { rove, stopAt } from "../rove.js";

/** @typedef {import("./server.js").Picture} Picture */

/**
 * @param {(what: string, query: Record<string, string>) => string} source
 * @param {(name: string) => Promise<void>} remove
 */
export function thumbnails(source, remove) {
  const list = h("ul", { class: "thumbnails", role: "list" });
  /** @type {Map<string, HTMLElement>} */
  const items = new Map();
  let of = "";
  rove(list);
  list.addEventListener("keydown", (event) => {
    if (event.key !== "Delete" && event.key !== "Backspace") return;
    event.preventDefault();
    /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button"))?.click();
  });

  /** @param {Picture} picture */
  function item({ name }) {
    const node = h("li", {});
    const click = async () => {
      const beside = /** @type {HTMLElement | null} */ (node.nextElementSibling ?? node.previousElementSibling);
      const had = node.contains(document.activeElement);
      await remove(name);
      if (had) beside?.querySelector("button")?.focus();
    };
    const image = h("img", { src: source("/thumbnail", { class: of, name }), alt: "", loading: "lazy" });
    image.addEventListener("error", () => node.classList.add("broken"));
    node.append(image, h("button", { type: "button", title: "Remove", on: { click: () => void click() } }, "×"));
    return node;
  }

  return {
    node: list,
    /**
     * @param {string} called the class
     * @param {Picture[]} pictures
     */
    show(called, pictures) {
      if (called !== of) {
        items.forEach((node) => node.remove());
        items.clear();
        of = called;
        list.setAttribute("aria-label", `Pictures of ${called}`);
      }
      const there = new Set(pictures.map(({ name }) => name));
      for (const [name, node] of items) {
        if (there.has(name)) continue;
        node.remove();
        items.delete(name);
      }
      pictures.forEach((picture, at) => {
        const node = items.get(picture.name) ?? item(picture);
        const words = `Remove picture ${at + 1} of ${called}${picture.recording ? `, recording ${picture.recording}` : ""}`;
        node.querySelector("button")?.setAttribute("aria-label", words);
        if (!items.has(picture.name)) list.prepend(node);
        items.set(picture.name, node);
      });
      list.hidden = !pictures.length;
      const focused = document.activeElement?.closest("button");
      stopAt(list, focused && list.contains(focused) ? focused : null);
    },
  };
}
