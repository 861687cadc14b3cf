/**
 * The source of the numbers: the page's server, or the page's own file. Arrays are fetched, or unpacked, on demand, and
 * cached.
 */

import { rebuilt } from "./arithmetic/rebuild.js";
import { unzip } from "./unzip.js";

/** @typedef {{shape: number[], data: Float32Array | Float64Array}} Numbers */
/**
 * The document's description of an array.
 * @typedef {object} Described
 * @property {number[]} shape
 * @property {string} [dtype]
 * @property {string} [same_as]
 * @property {"value" | "gradient" | "update"} [rebuilt]
 * @property {boolean} [shared] the numbers are the first picture's
 */
/** @typedef {{document: () => Promise<any>, array: (name: string) => Promise<Numbers>}} Lives the weights' lives in a file */
/**
 * @typedef {object} Host
 * @property {boolean} served
 * @property {() => Promise<any>} document
 * @property {(name: string) => Promise<Numbers>} array
 * @property {(name: string, channel: number) => Promise<Float32Array | Float64Array>} channel
 * @property {((path: string, request?: RequestInit) => Promise<Response>) | null} ask only with a server
 * @property {(path: string) => string} source the address of an image of this server, and of no other start of it
 * @property {() => void} forget the cache of a document that is no longer shown
 * @property {(number: number) => Host} picture the host of a picture, counted from 0; the first if it does not exist
 * @property {() => Promise<{id: string, title: string}[]>} choices the models to compare this picture's run with
 * @property {(id: string) => Host} beside the same picture in such a model; its document has the "comparison"
 * @property {(() => Lives) | null} lives null in a file that does not have them; of a server, if the document says so
 */

export const VERSION = 1;
const WHOLE = 1 << 16; // numbers of an array that is fetched whole even where one of its channels is wanted

/** An error, in a sentence that says what to do. */
export class Trouble extends Error {}

/** Another window has changed what the server shows. */
export class Outdated extends Trouble {}

const SERVER = "X-Pellucid-Server"; // names one start of the server
const OUTDATED = "X-Pellucid-Outdated";
/** In the history's state: the page was loaded again because the server had been started again. */
export const RESTARTED = "restarted";

const GONE = "Pellucid no longer answers. Start it again with “pellucid open”, then reload this page.";
const CUT = "This file is not complete: it was cut off during the transfer. Copy it again, or save it again.";

/**
 * The host of this page.
 * @param {Document} page
 * @returns {Host}
 */
export function findHost(page) {
  const inside = page.getElementById("document");
  if (inside || page.location.protocol === "file:") return fromFile(page);
  return fromServer();
}

/** @returns {Host} */
function fromServer() {
  /** @param {string} path */
  const loads = (path) => async (/** @type {string} */ name, /** @type {number | null} */ channel) => {
    const { run } = await host.document();
    const part = (channel === null ? "" : `&channel=${channel}`) + (run === undefined ? "" : `&run=${run}`);
    const answer = await ask(`${path}name=${encodeURIComponent(name)}${part}`);
    const data = numbers(await answer.arrayBuffer(), answer.headers.get("X-Dtype") ?? "float32");
    return /** @type {Float32Array | Float64Array} */ (data);
  };
  const host = lazily(async () => (await ask("api/document")).json(), loads("api/array?"));
  const second = (/** @type {string} */ id) => {
    const named = `with=${encodeURIComponent(id)}`;
    const start = async () => {
      const { run } = await host.document();
      return (await ask(`api/beside?${named}&run=${run}`, { method: "POST" })).json();
    };
    return lazily(start, loads(`api/beside/array?${named}&`));
  };
  /** @type {Lives | null} */
  let known = null;
  const lives = () => {
    /** @type {Promise<any> | null} */
    let coming = null;
    const element = () => (coming ??= ask("api/lives").then((answer) => answer.json()));
    known ??= ofPicture(
      async () => inflated((await element()).document),
      async () => (await element()).arrays,
      null,
    );
    return known;
  };
  /** @type {Map<string, ReturnType<typeof lazily>>} */
  const seconds = new Map();
  /** @type {Host} */
  const whole = {
    ...host,
    served: true,
    ask,
    source,
    picture: () => whole,
    lives,
    choices: async () => (await (await ask("api/beside")).json()).compared,
    beside: (id) => {
      const there = seconds.get(id) ?? second(id);
      seconds.set(id, there);
      return { ...whole, ...there };
    },
    forget: () => (seconds.clear(), host.forget()),
  };
  return whole;
}

let server = ""; // that this page's numbers come from; random for each start

/** @param {string} path */
function source(path) {
  return `${path}${path.includes("?") ? "&" : "?"}server=${server}`;
}

/**
 * @param {string} path
 * @param {RequestInit} [request]
 * @returns {Promise<Response>}
 */
async function ask(path, request) {
  const answer = await answered(path, request);
  const now = answer.headers.get(SERVER) ?? "";
  if (server && now && now !== server) {
    server = now;
    // what the reader drew or chose is for whatever server there is
    if (path.split("?")[0] === "api/picture") await answered(path, request);
    window.history.replaceState(RESTARTED, "");
    window.location.reload();
    return new Promise(() => {}); // this page ends here: its numbers come from the other server
  }
  server ||= now;
  if (answer.ok) return answer;
  const reply = await answer.json().catch(() => ({}));
  const text = reply.error ?? `Pellucid answered with error ${answer.status}. Reload this page.`;
  throw answer.headers.has(OUTDATED) ? new Outdated(text) : new Trouble(text);
}

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
    throw new Trouble(GONE);
  }
}

/**
 * A module that is loaded on demand: by then the server may have stopped.
 * @template T
 * @param {Promise<T>} module
 */
export function fetched(module) {
  return module.catch((error) => {
    throw error instanceof TypeError ? new Trouble(GONE) : error;
  });
}

/**
 * @param {Document} page
 * @returns {Host}
 */
function fromFile(page) {
  const read = (/** @type {string} */ id) => {
    try {
      return JSON.parse(page.getElementById(id)?.textContent ?? "");
    } catch {
      throw new Trouble(CUT);
    }
  };
  const first = ofPicture(
    async () => {
      const content = read("document");
      const arrays = page.getElementById("arrays")?.textContent ?? "";
      // every character of a page is one byte
      if (content.bytes !== undefined && arrays.length !== content.bytes) throw new Trouble(CUT);
      return content;
    },
    () => read("arrays"),
    null,
  );
  /** @type {Map<number, ReturnType<typeof lazily>>} */
  const others = new Map();
  const other = (/** @type {number} */ number) => {
    const element = () => read(`picture-${number}`);
    const host =
      others.get(number) ??
      ofPicture(
        async () => {
          const { pictures } = await first.document();
          return { ...(await inflated(element().document)), pictures };
        },
        () => element().arrays,
        first,
      );
    others.set(number, host);
    return host;
  };
  /** @type {Map<number, ReturnType<typeof lazily>>} */
  const seconds = new Map();
  /** @type {(number: number) => ReturnType<typeof lazily>} */
  const second = (number) => {
    const element = () => read(`beside-${number}`);
    const host =
      seconds.get(number) ??
      // the first picture in the second model shares numbers with the first model, each later one with that
      ofPicture(
        async () => inflated(element().document),
        () => element().arrays,
        number ? second(0) : first,
      );
    seconds.set(number, host);
    return host;
  };
  /** @type {Lives | null} */
  let known = null;
  const lives = () => {
    const element = () => read("lives");
    known ??= ofPicture(
      async () => inflated(element().document),
      () => element().arrays,
      null,
    );
    return known;
  };
  /** @type {(number: number) => Host} */
  const picture = (number) => {
    const there = page.getElementById(`picture-${number}`) !== null;
    const host = there ? other(number) : first;
    /** @type {Host} */
    const whole = {
      ...host,
      served: false,
      ask: null,
      source: (path) => path,
      picture,
      lives: page.getElementById("lives") ? lives : null,
      choices: async () => (await host.document()).compared ?? [],
      beside: () => ({ ...whole, ...second(there ? number : 0) }),
    };
    return whole;
  };
  return picture(0);
}

/**
 * One picture of a file.
 * @param {() => Promise<any>} document
 * @param {() => Record<string, string> | Promise<Record<string, string>>} arrays packed, by name
 * @param {ReturnType<typeof lazily> | null} first the picture that has the shared numbers
 */
function ofPicture(document, arrays, first) {
  /** @type {Record<string, string> | null} */
  let packed = null;
  const host = lazily(
    document,
    async (name, _channel, described) => {
      if (first && described.shared) return (await first.array(name)).data;
      const all = (packed ??= await arrays());
      if (!(name in all)) throw new Trouble(CUT);
      const { rebuilt: kind } = described;
      const data = await unpacked(all[name], kind ? "uint32" : (described.dtype ?? "float32"));
      if (!kind) return /** @type {Float32Array | Float64Array} */ (data);
      return rebuilt(await host.document(), name, kind, /** @type {Uint32Array} */ (data), host.array);
    },
    false,
  );
  return host;
}

/**
 * The common part of both hosts: a cache, and the lookup of an array that equals another.
 * @param {() => Promise<any>} document
 * @param {(name: string, channel: number | null, described: Described) => Promise<Float32Array | Float64Array>} load
 * @param {boolean} byChannel whether a channel can be loaded without its array
 */
function lazily(document, load, byChannel = true) {
  /** @type {Map<string, Promise<any>>} */
  const known = new Map();
  const once = (/** @type {string} */ key, /** @type {() => Promise<any>} */ make) => {
    const promise = known.get(key) ?? make();
    known.set(key, promise);
    promise.catch(() => known.delete(key));
    return promise;
  };
  const checked = async () => {
    const content = await document();
    if (content.version > VERSION) {
      throw new Trouble(
        `This model was recorded by ${content.made_by}, which is newer than this page. ` +
          "Upgrade with “pip install --upgrade pellucid”, then open the model again.",
      );
    }
    return content;
  };
  const whole = () => once("document", checked);
  /** @type {(name: string) => Promise<Numbers>} */
  const array = (name) =>
    once(name, async () => {
      const { arrays } = await whole();
      const described = Object.hasOwn(arrays, name) ? arrays[name] : null;
      if (!described) throw new Trouble(`There are no numbers called ${name} here. Go back with Escape.`);
      if (described.same_as) return { shape: described.shape, data: (await array(described.same_as)).data };
      const data = await load(name, null, described);
      if (data.length !== size(described.shape)) throw new Trouble(CUT);
      return { shape: described.shape, data };
    });
  const channel = async (/** @type {string} */ name, /** @type {number} */ number) => {
    const described = (await whole()).arrays[name];
    const large = described && size(described.shape) > WHOLE;
    if (byChannel && large && !described.same_as && !known.has(name)) {
      return once(`${name}/${number}`, () => load(name, number, described));
    }
    const { shape, data } = await array(name);
    const each = data.length / (shape[0] * shape[1]);
    return data.subarray(number * each, (number + 1) * each);
  };
  return { document: whole, array, channel, forget: () => known.clear() };
}

/** @param {number[]} shape */
function size(shape) {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * base64 of gzip of JSON.
 * @param {string} text
 */
async function inflated(text) {
  return JSON.parse(new TextDecoder().decode(await unzipped(text)));
}

/**
 * base64 of gzip.
 * @param {string} text
 */
async function unzipped(text) {
  try {
    return await unzip(text);
  } catch {
    throw new Trouble(CUT);
  }
}

/**
 * base64 of gzip of byte-shuffled little-endian numbers.
 * @param {string} text
 * @param {string} dtype
 */
async function unpacked(text, dtype) {
  const shuffled = await unzipped(text);
  const width = dtype === "float64" ? 8 : 4;
  const count = shuffled.length / width;
  const bytes = new Uint8Array(shuffled.length);
  for (let byte = 0; byte < width; byte++) {
    for (let at = 0; at < count; at++) bytes[at * width + byte] = shuffled[byte * count + at];
  }
  return numbers(bytes.buffer, dtype);
}

/**
 * @param {ArrayBuffer} buffer
 * @param {string} dtype
 */
function numbers(buffer, dtype) {
  const kinds = { float64: Float64Array, float32: Float32Array, uint32: Uint32Array };
  return new kinds[/** @type {keyof typeof kinds} */ (dtype)](buffer);
}
