/** The start of the page: the source of its numbers, the keys, and the drawer. */

import { drawer } from "./drawer.js";
import { help } from "./keys/help.js";
import { fetched, findHost, Outdated } from "./host.js";
import { onKey } from "./keys/keys.js";
import { listen } from "./picture/picture.js";
import { mode, presenting } from "./present/mode.js";
import { play } from "./number/play.js";
import { createTrace } from "./trace.js";
import { createStore } from "./store.js";
import { troubles } from "./trouble.js";

const page = /** @type {HTMLElement} */ (document.getElementById("page"));
const store = createStore(window);
mode(document, store);
const keys = help();
document.body.append(keys);

/** @type {ReturnType<Parameters<typeof troubles>[1]>} */
let ways = null;
const complain = troubles(page, () => ways);

async function start() {
  const host = findHost(document);
  let served = host.ask && serving(host, host.ask);
  /** @type {ReturnType<typeof drawer> | null} */ let draw = null;
  /** @type {import("./trace.js").Trace | null} */ let trace = null;
  let shown = 0;
  /** @type {((state: import("./store.js").PageState) => Promise<void>) | null} */ let watch = null;
  const reopen = () => (host.forget(), open());
  async function open() {
    const { picture } = store.get();
    const chosen = host.picture(picture);
    const about = await chosen.document();
    if (store.get().picture !== picture) return; // the reader has gone on to another
    if (about.training && served) {
      watch ??= (await fetched(import("./training/watching.js"))).watching({
        page,
        name: about.training,
        store,
        served,
        complain,
        reopen,
      });
      return watch(store.get());
    }
    if (about.fixed) served = null; // one trace, of which nothing can be asked
    if (about.opens && !window.location.hash) void store.set({ view: about.opens }, true);
    trace = createTrace(about, chosen);
    shown = picture;
    draw ??= drawer({ page, store, served, complain, showHelp: () => keys.showModal() });
    await draw(store.get(), trace);
  }
  /**
   * @param {import("./host.js").Host} host
   * @param {NonNullable<import("./host.js").Host["ask"]>} ask
   * @returns {import("./context.js").Served}
   */
  function serving(host, ask) {
    const change = async (/** @type {string} */ path, /** @type {BodyInit | undefined} */ body = undefined) => {
      try {
        await ask(path, { method: "POST", body });
        host.forget();
        document.querySelector(".trouble")?.remove();
        await open();
        return true;
      } catch (error) {
        complain(error);
        return false;
      }
    };
    /** @param {string} path @param {RequestInit} [request] */
    const watched = async (path, request) => {
      try {
        return await ask(path, request);
      } catch (error) {
        if (error instanceof Outdated) complain(error); // wherever it is also shown, the ways out are here
        throw error;
      }
    };
    ways = {
      show: () => reopen().catch(complain),
      back: async () => {
        const { run } = await host.document();
        await change(`api/back?run=${run}`);
      },
    };
    return {
      ask: watched,
      source: host.source,
      change,
      choose: (picture) => change("api/picture", picture),
      against: (label) => change(`api/label?class=${encodeURIComponent(label)}`),
    };
  }
  // any key stops playing, and then acts: Space and R may start it again
  play(document, store, () => trace);
  document.addEventListener("keydown", (event) => {
    if (trace && !keys.open) onKey(event, { trace, store, served, showHelp: () => keys.showModal() });
  });
  // before the first drawing, which takes the current state, there is nothing to redraw
  store.subscribe((state) => {
    if (trace && draw && state.picture === shown) return draw(state, trace);
    return trace || watch ? open().catch(complain) : undefined;
  });
  await open();
  // a presentation fits its digits to the height as well
  window.addEventListener("resize", () => {
    if (trace && draw && presenting(store.get()) && page.clientWidth === width) void draw(store.get(), trace);
  });
  let width = page.clientWidth;
  new ResizeObserver(() => {
    if (page.clientWidth === width) return; // its height changes with what is drawn
    width = page.clientWidth;
    if (trace && draw) void draw(store.get(), trace);
  }).observe(page);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => void open().catch(complain));
  if (served) listen(document, (picture) => void served?.choose(picture));
}

start().catch(complain);
