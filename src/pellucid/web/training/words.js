/** The text of the training view beside its figures. */

export const NONE_HERE = "This file does not hold a training. Open the model folder with “pellucid open” to see it.";

export const GONE =
  "Pellucid no longer answers: the training was ended. The terminal says why. To continue from the last checkpoint, run " +
  "“pellucid train” with the same folder, the same --out and --resume.";

export const WITHOUT =
  "This model was trained without --replay, so only the figures of its epochs are known. With --replay, you can look at " +
  "each moment: filters, maps, gradients and predictions.";

export const ROUNDED =
  "Filters, maps and gradients are stored rounded, to 1/127 of the largest number in each filter or map. Large maps are " +
  "averaged over areas. A gradient says how the picture's loss would change with that number. Probabilities are before " +
  "calibration.";
