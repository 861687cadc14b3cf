/** What the view of a training says beside its figures. */

export const NONE_HERE =
  "This file holds pictures' runs and no training. Open the model's folder with “pellucid open”.";

export const GONE =
  "Pellucid does not answer any more: the training was ended. The terminal says how; " +
  "“pellucid train” with the same folder, --out and --resume goes on from the last checkpoint.";

export const WITHOUT =
  "This model was trained without --replay, so that only the figures of its epochs are known. With it, each moment can " +
  "be looked at: filters, maps, gradients and predictions.";

export const ROUNDED =
  "Filters, maps and gradients are kept rounded, to 1/127 of the largest number in each filter or map; large maps are " +
  "averaged over areas. A gradient says how the picture's loss would change with that number. Probabilities are before " +
  "calibration.";
