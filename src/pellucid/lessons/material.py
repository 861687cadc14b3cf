"""The article's data: its pictures and weights, its settings, and its misprints. No results.

"Architecture of Convolutional Neural Networks (CNNs) demystified" (2017). Also the few inputs of our own: filters for
photographs, a tiny network for the training cycle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _rows(text: str) -> Floats:
    return np.array([line.split() for line in text.strip().splitlines()], np.float64)


# The article's pictures: parts of pictures of a handwritten 4, brightness from 0 to 255.
PICTURE = _rows("""
     25   2   1  44
    223   7   6  60
    196   8   2 148
    249   1   3  40
     60   7   1 154
     59   1   7 213
    214   7   3 163
     89 182 219  13
     74 146 113  72
     89  18 244  85
      1   4   8  97
      3   4   2 121
      2   1   2 131
      7   6   8  47
      3   5   5 126
      7   6   8 121
      5   3   1 237
""")
PICTURE_FOR_PAIRS = _rows("""
     86   4   8 184
    252   3   8  40
     34   7   7 163
    105   2   3  69
     56   3   8 175
    126   1   2 178
    163   8   4 142
     22 222  74 180
    163 158 204 253
    245  98  85 180
      1   5   1  98
      4   2   8  90
      7   8   1 235
      2   1   3 217
      3   6   5  97
      6   5   8  79
      8   8   5 133
""")
PICTURE_6X6 = _rows("""
     18  54  51 239 244 188
     55 121  75  78  95  88
     35  24 204 113 109 221
      3 154 104 235  25 130
     15 253 225 159  78 233
     68  85 180 214 245   0
""")

# The article's weights.
ONE_WEIGHT = _rows("3")
PAIR = _rows("1 0.3")
SECOND_PAIR = _rows("0.1 5")
TWO_BY_TWO = np.concatenate([PAIR, SECOND_PAIR])  # ours: the article prints no numbers for a 2x2 weight matrix
CROSS = _rows("""
    1 0 1
    0 1 0
    1 0 1
""")

MISPRINTED = 412.0  # the article's lower right number for stride 2
MISPRINTED_AT = (1, 1)

# Examples of the output-size formula: width W of the picture, filter's width F, padding P, stride S.
SIZES_OF = ("W", "F", "P", "S", "filters", "channels")
SIZES = (
    (32, 3, 0, 1, 10, 3),
    (32, 5, 0, 1, 10, 3),
    (6, 3, 0, 1, 1, 1),
    (6, 3, 1, 1, 1, 1),
    (300, 5, 0, 1, 10, 3),
)

# The article's training.
IMAGES, VALIDATION, BATCH, EPOCHS, CLASSES = 23_000, 0.3, 128, 5, ("cat", "dog")
SIDE = 300
LOSS, OPTIMIZER, METRIC = "categorical cross-entropy", "adam", "accuracy"

# Brightness from red, green and blue: ITU-R BT.601.
GREY = np.array([0.299, 0.587, 0.114])

# Filters for photographs. Edges: Sobel & Feldman 1968, "A 3x3 isotropic gradient operator for image processing".
UPRIGHT_EDGES = _rows("""
    -1 0 1
    -2 0 2
    -1 0 1
""")
LEVEL_EDGES = UPRIGHT_EDGES.T
BOX = np.full((5, 5), 1 / 25)
BELL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256  # binomial numbers, which approach a Gaussian
SHARPEN = _rows("""
     0 -1  0
    -1  5 -1
     0 -1  0
""")

# Ten filters of 5x5x3: five patterns, each for brightness and for red against green.
PATTERNS = np.stack(
    [
        BOX,
        np.outer([1, 1, 1, 1, 1], [-1, -1, 0, 1, 1]) / 10,
        np.outer([-1, -1, 0, 1, 1], [1, 1, 1, 1, 1]) / 10,
        np.eye(5) / 5,
        BELL - BOX,
    ]
)
MIXES = np.array([[1, 1, 1], [1, -1, 0]])
DEPTH_FILTERS = (MIXES[:, None, :, None, None] * PATTERNS[:, None]).reshape(10, 3, 5, 5)
DEPTH_BIAS = np.ones(10)
DEPTH_PLACE = (14, 14)

SCORES = np.array([2.0, 1.0, 0.1])
SCORES_TRUTH = 1

# A network small enough for paper: two filters of 2x2 on a picture of 3x3, ReLU, max pooling, two classes.
TINY = "conv(2, 2) relu maxpool(2) flatten dense"
TINY_PICTURE = _rows("""
    1 2 0
    0 1 3
    2 0 1
""")
TINY_WEIGHTS = {
    "conv1.weight": np.array([[[[0.5, 0], [0, 0.5]]], [[[-0.5, 0.5], [0.5, 0]]]]),
    "conv1.bias": np.array([0.5, -0.75]),
    "dense1.weight": np.array([[0.5, -1], [-0.25, 0.5]]),
    "dense1.bias": np.array([0, 0.25]),
}
TINY_TRUTH = 1
RATE = 0.1
