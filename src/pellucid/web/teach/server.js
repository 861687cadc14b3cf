/**
 * Requests to the server of `pellucid teach`. The disk has all that the page shows, so a server that was started again
 * with the same folder goes on where it was: the page sends its request once more.
 */

/** @typedef {{name: string, recording: number}} Picture */
/** @typedef {{name: string, recordings: number, pictures: Picture[]}} Class */
/**
 * How far the training is; see app/teach/training.py.
 * @typedef {object} News
 * @property {"idle" | "preparing" | "training" | "evaluating" | "done" | "stopped" | "failed"} state
 * @property {string} message
 * @property {number} done
 * @property {number} total
 * @property {number} seconds
 * @property {number | null} left
 * @property {string} across
 * @property {number | null} whole
 * @property {[number, number, number | null][]} curve
 * @property {number | null} held
 */
/** @typedef {{label: string, predicted: string, predicted_probability: number, picture: string}} Mistake */
/**
 * The figures of a trained model; see app/teach/results.py.
 * @typedef {object} Model
 * @property {string} name
 * @property {string} path
 * @property {string[]} classes
 * @property {boolean} known
 * @property {boolean} stale
 * @property {Record<"train" | "validation" | "test", number>} sides
 * @property {"test" | "validation" | "train"} reported
 * @property {boolean} quotable
 * @property {number} pictures
 * @property {number} correct
 * @property {number} accuracy
 * @property {[number, number]} interval
 * @property {string} says
 * @property {string[]} notes
 * @property {{name: string, pictures: number, recall: number | null}[]} each
 * @property {Mistake[]} mistakes
 */
/**
 * Everything that the page shows; see app/teach/studio.py.
 * @typedef {object} State
 * @property {string} folder
 * @property {string} pictures
 * @property {string} removed
 * @property {Class[]} classes
 * @property {string[]} missing
 * @property {string[]} warnings
 * @property {News} training
 * @property {Model | null} model
 */

const SERVER = "X-Pellucid-Server"; // names one start of the server
const AT = "api/teach";
const ELSEWHERE =
  "Pellucid was started again with another folder. This page shows the earlier one: reload it, or start Pellucid with " +
  "the earlier folder.";

/** The server does not answer. */
export class Gone extends Error {}

/** The server's sentence about what was wrong. */
export class Refusal extends Error {}

/** @param {() => void} restarted is called after the server was started again with the same folder */
export function createServer(restarted) {
  let server = "";
  let folder = "";

  /**
   * @param {string} path
   * @param {RequestInit} [request]
   */
  async function answered(path, request) {
    const headers = new Headers(request?.headers);
    if (server) headers.set(SERVER, server);
    try {
      return await fetch(path, { ...request, headers });
    } catch {
      throw new Gone("Pellucid does not answer.");
    }
  }

  /**
   * @param {string} what behind api/teach
   * @param {RequestInit} [request]
   * @returns {Promise<any>} the answer's JSON
   */
  async function ask(what, request) {
    let answer = await answered(AT + what, request);
    const now = answer.headers.get(SERVER) ?? "";
    if (server && now && now !== server) {
      const before = server;
      server = now;
      const state = await (await answered(AT)).json();
      if (state.folder !== folder) {
        server = before; // nothing may go into another folder
        throw new Refusal(ELSEWHERE);
      }
      answer = await answered(AT + what, request);
      restarted();
    }
    server ||= now;
    const reply = await answer.json().catch(() => ({}));
    if (!answer.ok)
      throw new Refusal(reply.error ?? `Pellucid answered with error ${answer.status}. Reload this page.`);
    if (!folder && typeof reply.folder === "string") folder = reply.folder;
    return reply;
  }

  return {
    /** @returns {Promise<State>} */
    state: () => ask(""),
    get: (/** @type {string} */ what) => ask(what),
    /**
     * @param {string} what
     * @param {Record<string, string>} [query]
     * @param {Blob} [body]
     */
    post: (what, query = {}, body = undefined) => {
      const words = new URLSearchParams(query).toString();
      return ask(words ? `${what}?${words}` : what, { method: "POST", body });
    },
    /**
     * The address of an image or a download.
     * @param {string} what
     * @param {Record<string, string>} [query]
     */
    source: (what, query = {}) => `${AT}${what}?${new URLSearchParams(query)}`,
  };
}

/** @typedef {ReturnType<typeof createServer>} Server */
