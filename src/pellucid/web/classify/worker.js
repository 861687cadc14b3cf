/**
 * Decodes, resizes and computes, beside the page's own thread, so the page always answers. The page sends a Task and gets
 * Replies with the same number.
 */

import { unzip } from "../unzip.js";
import { decoded, Unusable } from "./decode.js";
import { formed } from "./resize.js";
import { occluded } from "./occlusion.js";

/** @typedef {import("./about.js").About} About */
/**
 * @typedef {{number: number, task: "start", about: About, model: string, program: string, loader: string}
 *   | {number: number, task: "classify", file: Blob}
 *   | {number: number, task: "explain", file: Blob, target: number}
 *   | {number: number, task: "stop"}} Task The last three are packed. "stop" ends the task of this number.
 */
/**
 * @typedef {{number: number, doing: string, share: number}
 *   | {number: number, done: any}
 *   | {number: number, trouble: string}} Reply `share`: 0 to 1, of the task's work
 */
/** @typedef {import("./about.js").Network} Network */

/** @type {{about: About, network: Network} | null} */
let ready = null;
/** @type {Set<number>} */
const stopped = new Set();

/** @param {Reply} reply */
const send = (reply) => self.postMessage(reply);

self.addEventListener("message", (/** @type {MessageEvent<Task>} */ event) => {
  const task = event.data;
  if (task.task === "stop") {
    stopped.add(task.number);
    return;
  }
  worked(task).then(
    (done) => send({ number: task.number, done }),
    (error) => send({ number: task.number, trouble: sentence(error, task.task) }),
  );
});

/**
 * @param {unknown} error
 * @param {"start" | "classify" | "explain"} task
 */
function sentence(error, task) {
  if (error instanceof Unusable) return error.message;
  const reason = error instanceof Error ? error.message : String(error);
  if (task === "start") return `The network could not be started in this browser: ${reason}`;
  return `The page could not classify this picture: ${reason}. Choose a smaller one, or reload the page.`;
}

/** @param {Exclude<Task, {task: "stop"}>} task */
async function worked(task) {
  const tell = (/** @type {string} */ doing, /** @type {number} */ share) =>
    send({ number: task.number, doing, share });
  if (task.task === "start") {
    ready = { about: task.about, network: await started(task, tell) };
    return null;
  }
  if (!ready) throw new Error("the network has not started");
  const { about, network } = ready;
  const image = await decoded(task.file, about);
  const prepared = formed(image, about.form);
  if (task.task === "explain") {
    const stop = () => stopped.has(task.number);
    return occluded(prepared, about, task.target, network, (share) => tell("", share), stop);
  }
  const { logits, probabilities } = await network(prepared, 1);
  const { width, height } = image;
  return { width, height, prepared, logits: Array.from(logits), probabilities: Array.from(probabilities) };
}

/**
 * @param {Extract<Task, {task: "start"}>} task
 * @param {(doing: string, share: number) => void} tell
 * @returns {Promise<Network>}
 */
async function started({ about, model, program, loader }, tell) {
  tell("Unpacking the runtime", 0.1);
  const wasmBinary = await unzip(program);
  tell("Unpacking the network", 0.4);
  const graph = await unzip(model);
  tell("Starting the network", 0.6);
  const module = URL.createObjectURL(new Blob([await unzip(loader)], { type: "text/javascript" }));
  const { env, InferenceSession, Tensor } = await import(module);
  env.wasm.wasmBinary = wasmBinary.buffer;
  env.wasm.numThreads = 1; // more would need a server that sends certain headers
  env.logLevel = "error";
  const session = await InferenceSession.create(graph, { executionProviders: ["wasm"] });
  const { height, width, channels } = about.form;
  return async (images, count) => {
    const input = new Tensor("uint8", images, [count, height, width, channels]);
    const { logits, probabilities } = await session.run({ images: input });
    return { logits: logits.data, probabilities: probabilities.data };
  };
}
