/** The self-check: the page classifies its own made pictures and compares the answers with the model's. */

import { BOUND } from "./about.js";

/**
 * @param {import("./engine.js").Engine} worker
 * @param {import("./about.js").About} about
 * @returns {Promise<{agrees: boolean, sentence: string}>}
 */
export async function selfCheck(worker, { checks }) {
  let worst = 0;
  try {
    for (const { png, logits, probabilities } of checks) {
      const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
      const answer = await worker.classify(new Blob([bytes], { type: "image/png" }));
      const scale = Math.max(1, ...logits.map(Math.abs));
      logits.forEach((logit, at) => {
        const off = Math.abs(answer.logits[at] - logit) / scale;
        const apart = Math.abs(answer.probabilities[at] - probabilities[at]);
        worst = Math.max(worst, Number.isFinite(off + apart) ? Math.max(off, apart) : Infinity);
      });
    }
  } catch (error) {
    return { agrees: false, sentence: warning(/** @type {Error} */ (error).message) };
  }
  const far = worst === 0 ? "0" : worst.toPrecision(1);
  if (worst > BOUND || checks.length === 0) {
    return {
      agrees: false,
      sentence: warning(`its numbers differ from the model's by ${far}, and ${BOUND} is allowed.`),
    };
  }
  const pictures = checks.length === 1 ? "1 made picture" : `${checks.length} made pictures`;
  return {
    agrees: true,
    sentence: `Self-check passed: on ${pictures} the answers differ from the model's by at most ${far}.`,
  };
}

/** @param {string} reason */
function warning(reason) {
  return (
    `Self-check failed, do not trust the answers: ${reason} Either this file was changed, or this browser changes the ` +
    "pixels of pictures to protect you from being recognised. Get the file again, or allow it to read its canvas."
  );
}
