/** The worker, from the page's side: one task after the other. */

/** @typedef {import("./about.js").About} About */
/** @typedef {import("./worker.js").Reply} Reply */
/** @typedef {import("./occlusion.js").Heat} Heat */
/**
 * @typedef {object} Answer
 * @property {number} width of the picture
 * @property {number} height
 * @property {Uint8Array} prepared what the network sees: height x width x channels
 * @property {number[]} logits
 * @property {number[]} probabilities
 */
/**
 * @typedef {object} Engine Its promises fail with an Error whose message is a sentence for the reader.
 * @property {(tell: (doing: string, share: number) => void) => Promise<void>} start
 * @property {(file: Blob) => Promise<Answer>} classify
 * @property {(file: Blob, target: number, tell: (share: number) => void) =>
 *   {heat: Promise<Heat | null>, stop: () => void}} explain `heat`: null if it was stopped
 */

/**
 * @param {Document} page
 * @param {About} about
 * @returns {Engine}
 */
export function engine(page, about) {
  const read = (/** @type {string} */ id) => JSON.parse(page.getElementById(id)?.textContent ?? "");
  const worker = new Worker(URL.createObjectURL(new Blob([`(${boot})()`], { type: "text/javascript" })));
  /** @type {Map<number, {done: (result: any) => void, failed: (error: Error) => void, tell: (doing: string, share: number) => void}>} */
  const waiting = new Map();
  let count = 0;
  worker.addEventListener("message", (/** @type {MessageEvent<Reply>} */ { data }) => {
    const task = waiting.get(data.number);
    if (!task) return;
    if ("doing" in data) return task.tell(data.doing, data.share);
    waiting.delete(data.number);
    if ("trouble" in data) task.failed(new Error(data.trouble));
    else task.done(data.done);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    const reason = event.message || "the browser refused it";
    for (const { failed } of waiting.values()) failed(new Error(`The page's own program did not run: ${reason}.`));
    waiting.clear();
  });
  /**
   * @param {Record<string, any>} task
   * @param {(doing: string, share: number) => void} [tell]
   * @returns {{number: number, result: Promise<any>}}
   */
  function send(task, tell = () => {}) {
    const number = ++count;
    const begin = () =>
      new Promise((done, failed) => {
        waiting.set(number, { done, failed, tell });
        worker.postMessage({ ...task, number });
      });
    const result = last.then(begin);
    last = result.catch(() => {});
    return { number, result };
  }
  /** @type {Promise<unknown>} */
  let last = new Promise((done, failed) => {
    waiting.set(0, { done, failed, tell: () => {} });
    worker.postMessage({ modules: read("worker") });
  });
  return {
    start(tell) {
      const parts = { model: read("model"), program: read("program"), loader: read("loader") };
      return send({ task: "start", about, ...parts }, tell).result;
    },
    classify: (file) => send({ task: "classify", file }).result,
    explain(file, target, tell) {
      const { number, result } = send({ task: "explain", file, target }, (_, share) => tell(share));
      return { heat: result, stop: () => worker.postMessage({ task: "stop", number }) };
    },
  };
}

/**
 * The worker's first code. It makes addresses of the modules and imports the last of them. It must stand alone. From a
 * file, Chromium starts no worker that is a module, and a worker may import only what it made itself.
 */
function boot() {
  self.onmessage = ({ data: { modules } }) => {
    self.onmessage = null;
    /** @type {[string, string][]} */
    const addresses = [];
    for (const [name, code] of Object.entries(modules)) {
      let text = code; // each module comes after those that it imports
      for (const [known, address] of addresses) text = text.replaceAll(`"pellucid/${known}"`, `"${address}"`);
      addresses.push([name, URL.createObjectURL(new Blob([text], { type: "text/javascript" }))]);
    }
    import(addresses[addresses.length - 1][1]).then(
      () => self.postMessage({ number: 0, done: null }),
      (error) => self.postMessage({ number: 0, trouble: `The page's own program did not run: ${error}` }),
    );
  };
}
