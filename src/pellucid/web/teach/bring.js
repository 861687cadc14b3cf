/** Pictures that somebody drops, pastes or chooses: their files, those in dropped folders too. */

import { h } from "../element.js";

/**
 * A button that opens the file chooser.
 * @param {string} text
 * @param {string} label
 * @param {(files: File[]) => void} add
 * @param {boolean} multiple
 */
export function chooseFiles(text, label, add, multiple = true) {
  const input = /** @type {HTMLInputElement} */ (
    h("input", { type: "file", accept: "image/*", multiple, tabindex: "-1", class: "hidden", "aria-label": label })
  );
  input.addEventListener("change", () => {
    add([...(input.files ?? [])]);
    input.value = ""; // the same file may be chosen again
  });
  const click = () => input.click();
  return [input, h("button", { type: "button", class: "single", "aria-label": label, on: { click } }, text)];
}

/**
 * Accepts what is dropped onto an element, and marks it while something is above it.
 * @param {HTMLElement} node
 * @param {(files: File[]) => void} add
 */
export function dropsOn(node, add) {
  node.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.stopPropagation();
    node.classList.add("above");
  });
  node.addEventListener("dragleave", (event) => {
    if (!node.contains(/** @type {Node | null} */ (event.relatedTarget))) node.classList.remove("above");
  });
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    node.classList.remove("above");
    if (event.dataTransfer) void dropped(event.dataTransfer).then(add);
  });
}

/**
 * @param {DataTransfer} data
 * @returns {Promise<File[]>}
 */
async function dropped(data) {
  // both lists are empty once this function has waited
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  const files = [...data.files];
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const inside = await Promise.all(entries.map((entry) => (entry ? within(entry) : [])));
  return inside.flat();
}

/**
 * @param {FileSystemEntry} entry
 * @returns {Promise<File[]>}
 */
async function within(entry) {
  if (entry.isFile) {
    return [await new Promise((done, failed) => /** @type {FileSystemFileEntry} */ (entry).file(done, failed))];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  /** @type {File[]} */
  const files = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // at most a hundred
    if (!some.length) return files;
    for (const each of some.filter(({ name }) => !name.startsWith("."))) files.push(...(await within(each)));
  }
}
