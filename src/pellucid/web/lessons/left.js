/** Where the reader left the lessons: whether a place is the step's own, and the step to return to. */

/** @typedef {import("../store.js").PageState} PageState */
/** @typedef {import("../store.js").PageStore} PageStore */

/** @type {WeakMap<PageStore, string>} */
const last = new WeakMap();

/**
 * The step that the reader was at last, "stride.2"; "" for none.
 * @param {PageStore} store
 */
export function leftFrom(store) {
  return last.get(store) ?? "";
}

/**
 * @param {PageStore} store
 * @param {string} lesson and its step
 */
export function remember(store, lesson) {
  last.set(store, lesson);
}

/**
 * After the last step there is nothing to return to.
 * @param {PageStore} store
 */
export function forget(store) {
  last.delete(store);
}

/**
 * Whether the reader is where a step is seen. A cursor, a channel or a slider may differ: the step is about them too.
 * @param {import("./route.js").LessonStep} step
 * @param {PageState} state
 */
export function atPlace({ place, way = [], ask }, state) {
  return [place, ...way, ...(ask?.then ? [ask.then] : [])].some((each) => spot(each) === spot(state));
}

/** @param {Partial<PageState>} state */
function spot({ view = "", place = "", name = "", index = null, direction = "forward" }) {
  return view ? `${view} ${place.split(":")[0]}` : JSON.stringify([name, index, direction]);
}
