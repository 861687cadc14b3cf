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
  const dialog = /** @type {HTMLDialogElement} */ (
    h(
      "dialog",
      { class: "camera", "aria-label": "Take a picture" },
      h("h2", {}, "Take a picture"),
      h("div", { class: "sight" }, video),
      note,
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
  seen().then(
    async (camera) => {
      stream = camera;
      if (!dialog.isConnected) return stop();
      // people expect a mirror from a camera that faces them; the picture is not mirrored
      const mirrored = camera.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
      video.classList.toggle("mirrored", mirrored);
      video.srcObject = camera;
      await video.play();
      note.textContent = mirrored ? "The preview is mirrored. The picture is not." : "";
      take.disabled = false;
      take.focus();
    },
    (error) => (note.textContent = troubleWith(error)),
  );
}

/**
 * The camera's stream; the caller stops its tracks. Throws what the browser throws: see `troubleWith`.
 * @param {number} width of the wanted picture, in pixels
 * @returns {Promise<MediaStream>}
 */
export async function seen(width = 1280) {
  return navigator.mediaDevices.getUserMedia({ video: { width: { ideal: width } }, audio: false });
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
