/**
 * The page's one piece of state: where the reader is and how the numbers are shown. All of it stands in the address,
 * so that a link is a place: #/conv1/3,10,12?direction=backward&exact=1, and of another view #/~mistakes/cat,dog
 */

/** @typedef {"forward" | "backward" | "update"} Direction */
/** @typedef {"unit" | "layer" | "network"} Scale */
/**
 * @typedef {object} PageState
 * @property {string} view "" is the walk through the network; views.js has the others
 * @property {string} place in that view, as it likes to write it
 * @property {string} lesson and its step, "stride.2"; "" where none is read
 * @property {number} picture of those that the file holds
 * @property {string} name of the layer or weight; "" for the network
 * @property {number[] | null} index of the number that is shown; null for the layer
 * @property {number[] | null} cursor in the layer's map, where no number is shown
 * @property {Direction} direction
 * @property {boolean} exact
 * @property {Scale} scale of colours
 * @property {string[]} open blocks that are unfolded
 * @property {number} channel of the window that is shown; -1 is the first
 * @property {number} page of a long list
 * @property {"" | "order" | "size"} sorted how a long list stands; "" is as fits the layer
 * @property {boolean} brush whether the picture is being painted over
 * @property {boolean} playing whether the window slides on by itself; not in the address: a link stands still
 */

/** @type {PageState} */
export const START = {
  view: "",
  place: "",
  lesson: "",
  picture: 0,
  name: "",
  index: null,
  cursor: null,
  direction: "forward",
  exact: false,
  scale: "layer",
  open: [],
  channel: -1,
  page: 0,
  sorted: "",
  brush: false,
  playing: false,
};

/**
 * @param {PageState} state
 * @returns {string}
 */
export function address(state) {
  const path = (state.view ? [`~${state.view}`, state.place] : [state.name, state.index?.join(",") ?? ""]).filter(
    Boolean,
  );
  const query = new URLSearchParams();
  if (!state.index && state.cursor) query.set("at", state.cursor.join(","));
  for (const key of /** @type {const} */ (["picture", "direction", "scale", "channel", "page", "sorted", "lesson"])) {
    if (state[key] !== START[key]) query.set(key, String(state[key]));
  }
  if (state.exact) query.set("exact", "1");
  if (state.brush) query.set("brush", "1");
  if (state.open.length) query.set("open", state.open.join(","));
  const search = query.toString().replaceAll("%2C", ",");
  // a single number has an index of no places, which still is a number
  const number = !state.view && state.index && !state.index.length ? "/-" : "";
  return `#/${path.map(encodeURIComponent).join("/").replaceAll("%2C", ",")}${number}${search ? `?${search}` : ""}`;
}

/**
 * What an address says. What it does not say, or says wrongly, is as at the start.
 * @param {string} hash
 * @returns {PageState}
 */
export function read(hash) {
  const [path, search = ""] = hash.replace(/^#?\/?/, "").split("?");
  const [first = "", second] = path.split("/").map(decoded);
  const view = first.startsWith("~") ? first.slice(1) : "";
  const [name, index] = view ? ["", undefined] : [first, second];
  const query = new URLSearchParams(search);
  const among = (/** @type {string} */ key, /** @type {any[]} */ allowed, /** @type {any} */ otherwise) =>
    allowed.includes(query.get(key)) ? query.get(key) : otherwise;
  const whole = (/** @type {string} */ key) => {
    const value = Number.parseInt(query.get(key) ?? "", 10);
    return Number.isNaN(value) ? START[/** @type {"page" | "channel" | "picture"} */ (key)] : value;
  };
  return {
    view,
    place: view ? (second ?? "") : "",
    lesson: query.get("lesson") ?? "",
    picture: Math.max(0, whole("picture")),
    name,
    index: index === undefined ? null : places(index),
    cursor: query.has("at") ? places(query.get("at") ?? "") : null,
    direction: among("direction", ["forward", "backward", "update"], START.direction),
    exact: query.get("exact") === "1",
    scale: among("scale", ["unit", "layer", "network"], START.scale),
    open: (query.get("open") ?? "").split(",").filter(Boolean),
    channel: whole("channel"),
    page: Math.max(0, whole("page")),
    sorted: among("sorted", ["order", "size"], START.sorted),
    brush: query.get("brush") === "1",
    playing: false,
  };
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {string} text */
function places(text) {
  return text
    .split(",")
    .map((place) => Number.parseInt(place, 10))
    .filter((place) => !Number.isNaN(place));
}

/**
 * @param {Window} window
 */
export function createStore(window) {
  /** @type {((state: PageState) => unknown)[]} */
  const watching = [];
  let state = read(window.location.hash);
  const tell = () => Promise.all(watching.map((watch) => watch(state)));
  window.addEventListener("hashchange", () => {
    if (address(state) === window.location.hash) return;
    state = read(window.location.hash);
    void tell();
  });
  return {
    get: () => state,
    /**
     * @param {Partial<PageState>} change
     * @param {boolean} [quiet] the step is not one to come back to: a cursor's, say
     * @returns {Promise<unknown>} when it has been drawn
     */
    set(change, quiet = false) {
      // whoever names a layer wants to see it
      const walks = "name" in change && !("view" in change) ? { view: "", place: "" } : {};
      state = { ...state, ...walks, ...change };
      // browsers refuse an address that changes many times a second
      if (!state.playing) go(window, address(state), quiet);
      return tell();
    },
    /** @param {(state: PageState) => unknown} watch what it returns is waited for where a change has to be drawn */
    subscribe: (watch) => void watching.push(watch),
  };
}

/**
 * @param {Window} window
 * @param {string} hash
 * @param {boolean} quiet
 */
function go({ history }, hash, quiet) {
  try {
    if (quiet) history.replaceState(null, "", hash);
    else history.pushState(null, "", hash);
  } catch (error) {
    // a notebook's frame has no address of its own; the page works without
    if (!(error instanceof DOMException)) throw error;
  }
}

/** @typedef {ReturnType<typeof createStore>} PageStore */
