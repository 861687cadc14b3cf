/**
 * What mattered: a window of mid-colour covers one part of the picture after the other, and the network looks again. Where
 * the score of a class falls, the covered part spoke for it (Zeiler, Fergus 2014, section 4.2). The windows are those of
 * Pellucid's own map by occlusion (glassbox/why/attribution.py).
 */

/** @typedef {import("./about.js").About} About */
/**
 * @typedef {object} Heat
 * @property {number} height
 * @property {number} width
 * @property {Float32Array} fall of the class's logit, at each pixel the mean over the windows that cover it
 * @property {number} passes through the network
 */

const BATCH = 4; // pictures that are computed at once; between two batches the reader may stop

/**
 * @param {Uint8Array} prepared height x width x channels
 * @param {About} about
 * @param {number} target the class's number
 * @param {import("./about.js").Network} network
 * @param {(share: number) => void} tell
 * @param {() => boolean} stopped
 * @returns {Promise<Heat | null>} null if it was stopped
 */
export async function occluded(prepared, about, target, network, tell, stopped) {
  const { height, width, channels } = about.form;
  const classes = about.classes.length;
  const cover = about.mean.map((mean) => Math.round(255 * mean));
  const rows = windows(height);
  const places = rows.flatMap((down) => windows(width).map((across) => ({ down, across })));
  const fall = new Float32Array(height * width);
  const covered = new Float32Array(height * width);
  const whole = (await network(prepared, 1)).logits[target];
  for (let done = 0; done < places.length; done += BATCH) {
    // lets the message that stops it come in
    await new Promise((resume) => setTimeout(resume));
    if (stopped()) return null;
    tell(done / places.length);
    const some = places.slice(done, done + BATCH);
    const images = new Uint8Array(some.length * prepared.length);
    some.forEach(({ down, across }, number) => {
      images.set(prepared, number * prepared.length);
      for (let row = down[0]; row < down[1]; row++) {
        for (let column = across[0]; column < across[1]; column++) {
          images.set(cover, number * prepared.length + (row * width + column) * channels);
        }
      }
    });
    const { logits } = await network(images, some.length);
    some.forEach(({ down, across }, number) => {
      for (let row = down[0]; row < down[1]; row++) {
        for (let column = across[0]; column < across[1]; column++) {
          fall[row * width + column] += whole - logits[number * classes + target];
          covered[row * width + column] += 1;
        }
      }
    });
  }
  for (let at = 0; at < fall.length; at++) fall[at] /= covered[at] || 1;
  return { height, width, fall, passes: places.length };
}

/**
 * Windows of an eighth of a side, half a window apart: the first and the last place of each, the last one excluded.
 * @param {number} side
 * @returns {[number, number][]}
 */
function windows(side) {
  const size = Math.max(1, Math.round(side / 8));
  const step = Math.max(1, Math.floor(size / 2));
  const count = Math.ceil((side - size) / step) + 1;
  return Array.from({ length: count }, (_, at) => [at * step, Math.min(side, at * step + size)]);
}
