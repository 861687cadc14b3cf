/** Work on the server beside the page: a bar while it runs, and a sentence if it failed. */

import { h } from "./element.js";
import { counted } from "./format.js";
import { Trouble } from "./host.js";

/**
 * @typedef {object} Progress
 * @property {"running" | "failed" | "done" | "idle"} state
 * @property {number} done
 * @property {number} total
 * @property {number} seconds since it began
 * @property {string} error
 */

const PAUSE = 500; // milliseconds between two questions
const MOST = 240; // pauses that the rest of the view may take until it is drawn

/**
 * The progress of a job, polled from the drawing of this element until it leaves the page.
 * @param {object} about
 * @param {import("./context.js").Served["ask"]} about.ask
 * @param {string} about.path its answer is a Progress
 * @param {Progress} about.answer the first one
 * @param {string} about.doing the work, in a few words
 * @param {() => void} about.finished redraws the page
 * @param {"POST" | "GET"} [about.method] POST starts the job again if it is no longer there
 * @param {string} [about.counts] what the job counts
 * @param {(() => void) | null} [about.stop] ends it
 * @returns {HTMLElement}
 */
export function progress({ ask, path, answer, doing, finished, method = "POST", counts = "pictures", stop = null }) {
  const bar = /** @type {HTMLProgressElement} */ (h("progress", { "aria-label": doing }));
  const status = h("span", {});
  const end = stop && h("button", { type: "button", class: "single", key: "stop", on: { click: stop } }, "Stop");
  const box = h("div", { class: "job" }, h("p", {}, doing), bar, status, end);
  const failed = (/** @type {string} */ sentence) => box.replaceChildren(h("p", { role: "alert" }, sentence));
  const show = (/** @type {Progress} */ now) => {
    if (now.state === "failed") failed(now.error);
    if (now.state !== "running") return;
    if (now.total) [bar.max, bar.value] = [now.total, now.done];
    const reading = !now.total || (!now.done && counts !== "pictures");
    status.textContent = reading ? "starting" : `${counted(now.done)} of ${counted(now.total)} ${counts}${left(now)}`;
  };
  let [drawn, pauses] = [false, MOST];
  const again = async () => {
    drawn ||= box.isConnected;
    if (!drawn && pauses-- > 0) return void setTimeout(again, PAUSE);
    if (!box.isConnected) return;
    try {
      const now = await (await ask(path, { method })).json();
      if (!box.isConnected) return;
      show(now);
      if (now.state === "done" || now.state === "idle") finished();
      else if (now.state === "running") setTimeout(again, PAUSE);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      failed(error.message);
    }
  };
  show(answer);
  if (answer.state === "running") setTimeout(again, PAUSE);
  return box;
}

/** @param {Progress} now */
function left({ done, total, seconds }) {
  if (done >= total) return ", nearly done";
  if (!done || seconds < 1) return "";
  return remaining(((total - done) * seconds) / done);
}

/**
 * What to say about the time that is left.
 * @param {number} seconds
 */
export function remaining(seconds) {
  const whole = Math.ceil(seconds);
  return whole < 90 ? `, about ${whole} s left` : `, about ${Math.ceil(whole / 60)} min left`;
}
