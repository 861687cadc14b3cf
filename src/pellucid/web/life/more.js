/** The pictures of a step that is not among the largest: made again up to it, where there is a server. */

import { h } from "../element.js";
import { progress, remaining } from "../job.js";
import { placeOf } from "./place.js";
import { named } from "./source.js";

/** @typedef {import("./data.js").Step} Step */

/**
 * @param {object} about
 * @param {import("../context.js").Served | null} about.served
 * @param {import("./place.js").Weight} about.weight
 * @param {import("./data.js").Life} about.life
 * @param {number} about.step
 * @param {(step: Step) => void} about.arrived
 * @param {() => void} about.redraw
 */
export function more({ served, weight, life, step, arrived, redraw }) {
  const box = h("div", { class: "life-more" });
  if (!served) {
    box.append(
      h(
        "p",
        { class: "note" },
        "Its pictures are not inside this file. “pellucid open” makes the training again up to any step.",
      ),
    );
    return box;
  }
  const path = `api/life/step?${named(placeOf(weight))}&step=${step}`;
  const fetched = async () => {
    const answer = await (await served.ask(path)).json();
    if (answer.state === "done") arrived(answer);
    else if (answer.state === "idle") redraw();
  };
  const start = async () => {
    const answer = await (await served.ask(path, { method: "POST" })).json();
    if (answer.state === "done") return arrived(answer);
    const stop = () => void served.ask(`api/life/step/stop?${named(placeOf(weight))}&step=${step}`, { method: "POST" });
    box.replaceChildren(
      progress({
        ask: served.ask,
        path,
        answer,
        doing: `Making the training again up to step ${step}`,
        finished: () => void fetched(),
        method: "GET",
        counts: "steps",
        stop,
      }),
    );
  };
  const seconds = (life.seconds ?? 0) * (step / life.steps);
  const takes = seconds >= 2 ? ` (${remaining(seconds).replace(/^, | left$/g, "")})` : "";
  box.append(
    h("p", { class: "note" }, "This step is not among the largest, so its pictures were not collected."),
    h(
      "button",
      { type: "button", class: "single", key: "life/more", on: { click: () => void start() } },
      `Show its pictures${takes}`,
    ),
  );
  return box;
}
