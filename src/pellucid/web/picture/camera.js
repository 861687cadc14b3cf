/** Takes a picture with the camera. The picture stays on this machine; closing the window turns the camera off. */

import { h } from "../element.js";

/** @type {Record<string, string>} */
const TROUBLES = {
  NotAllowedError: "The browser does not allow the camera here. Allow it next to the address, then open this again.",
  NotFoundError: "No camera was found. Connect one, or choose a picture file.",
  NotReadableError: "Another program is using the camera. Close that program, then open this again.",
};
const OTHERWISE = "This browser cannot use the camera. Choose a picture file.";

/**
 * What to do about a camera that cannot be used, in two sentences.
 * @param {unknown} error
 */
export function troubleWith(error) {
  return TROUBLES[error instanceof DOMException ? error.name : ""] ?? OTHERWISE;
}

/** @param {(picture: Blob) => Promise<boolean>} choose */
export function photograph(choose) {
  const video = /** @type {HTMLVideoElement} */ (
    h("video", { playsinline: true, "aria-label": "What the camera sees" })
  );
  video.muted = true;
  const note = h("p", { class: "note", "aria-live": "polite" }, "Waiting for the camera…");
  const take = /** @type {HTMLButtonElement} */ (
    h("button", { type: "button", class: "next", disabled: true }, "Take the picture")
  );
  const close = h("button", { type: "button" }, "Close");
  const others = h("div", { class: "cameras" });
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "camera", "aria-label": "Take a picture" },
      h("h2", {}, "Take a picture"),
      h("div", { class: "sight" }, video),
      note,
      others,
      h("div", { class: "buttons" }, close, take),
    )
  );
  /** @type {MediaStream | null} */
  let stream = null;
  const stop = () => stream?.getTracks().forEach((track) => track.stop());
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page's own keys rest meanwhile
  dialog.addEventListener("close", () => {
    stop();
    dialog.remove();
  });
  take.addEventListener("click", () => void taken(video).then((picture) => (dialog.close(), choose(picture))));
  document.body.append(dialog);
  dialog.showModal();
  const look = (/** @type {string | undefined} */ device = undefined) =>
    seen(1280, device).then(
      async (camera) => {
        stream = camera;
        if (!dialog.isConnected) return stop();
        note.textContent = (await play(video, camera)) ? "The preview is mirrored. The picture is not." : "";
        await offer(others, camera, (other) => (stop(), void look(other)));
        take.disabled = false;
        if (!others.contains(document.activeElement)) take.focus();
      },
      (error) => (note.textContent = troubleWith(error)),
    );
  void look();
}

/**
 * Shows a camera.
 * @param {HTMLVideoElement} video
 * @param {MediaStream} camera
 * @returns {Promise<boolean>} whether it is shown as in a mirror, which people expect of a camera that faces them
 */
export async function play(video, camera) {
  const mirrored = camera.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
  video.classList.toggle("mirrored", mirrored);
  video.srcObject = camera;
  await video.play().catch((/** @type {DOMException} */ error) => {
    if (error.name !== "AbortError") throw error; // the view was closed meanwhile
  });
  return mirrored;
}

/**
 * Fills `box` with a choice among this machine's cameras; with nothing if there is only one.
 * @param {HTMLElement} box
 * @param {MediaStream} camera that is seen now; only then does a browser tell the names of all
 * @param {(device: string) => void} choose
 */
export async function offer(box, camera, choose) {
  const all = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  const now = camera.getVideoTracks()[0]?.getSettings().deviceId;
  if (box.querySelector("select")) return; // it has the focus of the reader who has just chosen
  if (all.length < 2) return;
  const options = all.map(({ deviceId, label }, at) =>
    h("option", { value: deviceId, selected: deviceId === now }, label || `camera ${at + 1}`),
  );
  const select = /** @type {HTMLSelectElement} */ (h("select", { "aria-label": "Which camera" }, ...options));
  select.addEventListener("change", () => choose(select.value));
  box.replaceChildren(select);
}

/**
 * The camera's stream; the caller stops its tracks. Throws what the browser throws: see `troubleWith`.
 * @param {number} width of the wanted picture, in pixels
 * @param {string} [device] one of several cameras
 * @returns {Promise<MediaStream>}
 */
export async function seen(width, device) {
  const which = device ? { deviceId: { exact: device } } : {};
  return navigator.mediaDevices.getUserMedia({ video: { width: { ideal: width }, ...which }, audio: false });
}

/**
 * The camera's current image, as a PNG.
 * @param {HTMLVideoElement} video
 * @returns {Promise<Blob>}
 */
async function taken(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).drawImage(video, 0, 0);
  return new Promise((done, failed) =>
    canvas.toBlob((picture) => (picture ? done(picture) : failed(new Error("no picture"))), "image/png"),
  );
}
