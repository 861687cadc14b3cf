/**
 * The page's only state: the reader's place and the display of numbers. All of it is in the address, so a link is a
 * place: #/conv1/3,10,12?direction=backward&exact=1, or in another view #/~mistakes/cat,dog
 */

/** @typedef {"forward" | "backward" | "update"} Direction */
/** @typedef {"unit" | "layer" | "network"} Scale */
/** @typedef {"slow" | "normal" | "fast"} Speed */
/**
 * @typedef {object} PageState
 * @property {string} view "" for the walk through the network; the others are in views.js
 * @property {string} place in that view's own notation
 * @property {string} lesson and its step, "stride.2"; "" for none
 * @property {number} picture among the file's pictures
 * @property {string} name of the layer or weight; "" for the network
 * @property {number[] | null} index of the current number; null for the layer
 * @property {number[] | null} cursor in the layer's map, if no number is shown; the step of a weight's life
 * @property {Direction} direction
 * @property {boolean} exact
 * @property {Scale} scale of colours
 * @property {string[]} open unfolded blocks
 * @property {number} channel of the visible window; -1 for the first
 * @property {number} page of a long list
 * @property {"" | "order" | "size"} sorted the order of a long list; "" for the layer's default
 * @property {boolean} brush whether the reader is painting on the picture
 * @property {boolean} present whether the page is in presentation mode
 * @property {string} given the address that the state was read from; "" once the reader has moved
 * @property {Speed} speed of the sliding window
 * @property {boolean} playing whether the window slides automatically; not in the address, because a link does not move
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
  present: false,
  given: "",
  speed: "normal",
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
  if ((state.view || !state.index) && state.cursor) query.set("at", state.cursor.join(","));
  for (const key of /** @type {const} */ ([
    "picture",
    "direction",
    "scale",
    "channel",
    "page",
    "sorted",
    "lesson",
    "speed",
  ])) {
    if (state[key] !== START[key]) query.set(key, String(state[key]));
  }
  if (state.exact) query.set("exact", "1");
  if (state.brush) query.set("brush", "1");
  if (state.present) query.set("present", "1");
  if (state.open.length) query.set("open", state.open.join(","));
  const search = query.toString().replaceAll("%2C", ",");
  // a single number has an empty index, which still names a number
  const number = !state.view && state.index && !state.index.length ? "/-" : "";
  return `#/${path.map(encodeURIComponent).join("/").replaceAll("%2C", ",")}${number}${search ? `?${search}` : ""}`;
}

/**
 * Reads an address. Missing and invalid parts have their initial values; astray/astray.js names the invalid ones.
 * @param {string} hash
 * @returns {PageState}
 */
export function read(hash) {
  const { path, query } = split(hash);
  const [first = "", second] = path.map(decoded);
  const view = first.startsWith("~") ? first.slice(1) : "";
  const [name, index] = view ? ["", undefined] : [first, second];
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
    index: index ? places(index) : null,
    cursor: query.has("at") ? places(query.get("at") ?? "") : null,
    direction: among("direction", ["forward", "backward", "update"], START.direction),
    exact: query.get("exact") === "1",
    scale: among("scale", ["unit", "layer", "network"], START.scale),
    open: (query.get("open") ?? "").split(",").filter(Boolean),
    channel: whole("channel"),
    page: Math.max(0, whole("page")),
    sorted: among("sorted", ["order", "size"], START.sorted),
    brush: query.get("brush") === "1",
    present: presents(query),
    given: hash,
    speed: among("speed", ["slow", "normal", "fast"], START.speed),
    playing: false,
  };
}

/**
 * An address in its parts, which are not decoded.
 * @param {string} hash
 */
export function split(hash) {
  const [path, ...search] = hash.replace(/^#?\/?/, "").split("?");
  return { path: path.split("/"), query: new URLSearchParams(search.join("?")) };
}

/**
 * "?present" is enough.
 * @param {URLSearchParams} query
 */
function presents(query) {
  return query.has("present") && query.get("present") !== "0";
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

const MOVES = /** @type {const} */ (["view", "place", "lesson", "picture", "name", "index", "cursor", "direction"]);

/**
 * The state of the first address. A link may say "?present" before the "#", where links to files have it too.
 * @param {Window} window
 */
function begun(window) {
  const { location } = window;
  const state = read(location.hash);
  const query = new URLSearchParams(location.search);
  if (!presents(query)) return state;
  query.delete("present");
  const rest = query.toString();
  const present = { ...state, present: true };
  // from now on the part behind the "#" says it, so the reader can leave the mode
  go(window, location.pathname + (rest && `?${rest}`) + address(present), true);
  return present;
}

/**
 * @param {Window} window
 */
export function createStore(window) {
  /** @type {((state: PageState) => unknown)[]} */
  const watching = [];
  let state = begun(window);
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
     * @param {boolean} [quiet] no history entry, for example for a cursor's step
     * @returns {Promise<unknown>} resolves when it has been drawn
     */
    set(change, quiet = false) {
      // naming a layer means showing it
      const walks = "name" in change && !("view" in change) ? { view: "", place: "" } : {};
      const given = MOVES.some((key) => key in change) ? "" : state.given;
      state = { ...state, ...walks, ...change, given };
      // browsers reject an address that changes many times a second
      if (!state.playing) go(window, address(state), quiet);
      return tell();
    },
    /** @param {(state: PageState) => unknown} watch its result is awaited when a change must be drawn */
    subscribe: (watch) => void watching.push(watch),
  };
}

/**
 * @param {Window} window
 * @param {string} to
 * @param {boolean} quiet
 */
function go({ history }, to, quiet) {
  try {
    if (quiet) history.replaceState(null, "", to);
    else history.pushState(null, "", to);
  } catch (error) {
    // a notebook's iframe has no address of its own; the page works without
    if (!(error instanceof DOMException)) throw error;
  }
}

/** @typedef {ReturnType<typeof createStore>} PageStore */
