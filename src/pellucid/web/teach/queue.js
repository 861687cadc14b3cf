/** Pictures on their way to the server, one after the other. While it does not answer they wait here and are not lost. */

import { Gone, Refusal } from "./server.js";

const AGAIN = 1000; // milliseconds until a request is sent again

/**
 * @typedef {object} Parcel
 * @property {() => string} to the class, by its name when the picture is sent
 * @property {"camera" | "drawing" | "file"} kind
 * @property {string} called what it is called in a message
 * @property {Blob} picture
 * @property {(reply: any) => void} arrived
 * @property {(sentence: string) => void} refused
 */

/**
 * @param {import("./server.js").Server} server
 * @param {(waiting: number) => void} stuck is called with the number of pictures that wait for a server, 0 once it answers
 */
export function createQueue(server, stuck) {
  /** @type {Parcel[]} */
  const waiting = [];
  let sending = false;

  async function send() {
    if (sending) return;
    sending = true;
    let was = false;
    while (waiting.length) {
      const { to, kind, called, picture, arrived, refused } = waiting[0];
      try {
        arrived(await server.post("/picture", { class: to(), kind }, picture));
        if (was) stuck(0);
        was = false;
      } catch (error) {
        if (error instanceof Gone) {
          was = true;
          stuck(waiting.length);
          await new Promise((go) => setTimeout(go, AGAIN));
          continue;
        }
        if (!(error instanceof Refusal)) throw error;
        refused(`${called}: ${error.message}`);
      }
      waiting.shift();
    }
    sending = false;
  }

  window.addEventListener("beforeunload", (event) => {
    if (waiting.length) event.preventDefault(); // the browser asks before it drops them
  });
  return {
    /** @param {Parcel} parcel */
    add: (parcel) => {
      waiting.push(parcel);
      void send();
    },
    get length() {
      return waiting.length;
    },
  };
}

/** @typedef {ReturnType<typeof createQueue>} Queue */
