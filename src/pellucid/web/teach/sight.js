/** The camera's view inside the page. One view at a time has the camera; closing it turns the camera off. */

import { h } from "../element.js";
import { offer, play, seen, troubleWith } from "../picture/camera.js";

const WIDEST = 640; // pixels of a picture: more than any of the networks sees
const QUALITY = 0.95;

export function createCamera() {
  /** @type {(() => void) | null} */
  let leave = null;
  /** @type {string | undefined} */
  let chosen; // one of several cameras, for all views

  /**
   * A view of the camera, closed at first.
   * @param {string} label
   * @param {(open: boolean) => void} changed
   */
  function sight(label, changed) {
    const video = /** @type {HTMLVideoElement} */ (h("video", { playsinline: true, "aria-label": label }));
    video.muted = true;
    const note = h("p", { class: "note", role: "status" });
    const others = h("div", { class: "cameras" });
    const node = h("div", { class: "sight-of", hidden: true }, h("div", { class: "sight" }, video), note, others);
    /** @type {MediaStream | null} */ let stream = null;
    let wanted = false;

    function close() {
      wanted = false;
      stream?.getTracks().forEach((track) => track.stop());
      stream = video.srcObject = null;
      others.replaceChildren();
      node.hidden = true;
      if (leave === close) leave = null;
      changed(false);
    }

    /** @returns {Promise<boolean>} whether it is open */
    async function open() {
      if (leave !== close) leave?.();
      leave = close;
      wanted = true;
      node.hidden = false;
      note.textContent = "Waiting for the camera…";
      try {
        const camera = await seen(WIDEST, chosen);
        if (!wanted) camera.getTracks().forEach((track) => track.stop());
        if (!wanted || stream) return false;
        stream = camera;
      } catch (error) {
        note.textContent = troubleWith(error);
        chosen = undefined; // it may have been unplugged
        return false;
      }
      await showing(stream);
      changed(true);
      return true;
    }

    /** @param {MediaStream} camera */
    async function showing(camera) {
      note.textContent = (await play(video, camera)) ? "The preview is mirrored. The pictures are not." : "";
      if (stream !== camera) return;
      await offer(others, camera, (other) => {
        chosen = other;
        void change();
      });
    }

    /** Another camera, while the view is open. */
    async function change() {
      stream?.getTracks().forEach((track) => track.stop());
      try {
        stream = await seen(WIDEST, chosen);
      } catch (error) {
        note.textContent = troubleWith(error);
        chosen = undefined;
        return;
      }
      if (wanted) await showing(stream);
      else close();
    }

    /**
     * What the camera sees now, as JPEG; null while it is closed.
     * @returns {Promise<Blob | null>}
     */
    async function take() {
      const { videoWidth, videoHeight } = video;
      if (!stream || !videoWidth) return null;
      const scale = Math.min(1, WIDEST / Math.max(videoWidth, videoHeight));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(videoWidth * scale);
      canvas.height = Math.round(videoHeight * scale);
      const surface = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      surface.drawImage(video, 0, 0, canvas.width, canvas.height);
      return new Promise((done) => canvas.toBlob(done, "image/jpeg", QUALITY));
    }

    return {
      node,
      open,
      close,
      take,
      get isOpen() {
        return stream !== null;
      },
    };
  }
  return {
    sight,
    /** Turns the camera off, wherever it is open. */
    close: () => leave?.(),
  };
}

/** @typedef {ReturnType<typeof createCamera>} Camera */
