"""The Keras blog's network (2016) in Keras itself, on the split that a Pellucid run wrote. Prints one line of JSON.

accuracy.py runs it with the Python of an environment that has Keras, TensorFlow and Pillow:
    python keras_blog.py PICTURES SPLIT.csv
"""

import csv
import json
import math
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image

SIZE, BATCH, EPOCHS = 150, 32, 50


def read(root: Path, rows: list[dict[str, str]], classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    images = [np.asarray(Image.open(root / row["path"]).convert("RGB").resize((SIZE, SIZE))) for row in rows]
    return np.stack(images), np.array([classes.index(row["class"]) for row in rows])


def interval(correct: int, total: int) -> list[float]:
    z, share = 1.959963984540054, correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return [centre - half, centre + half]


root, split = Path(sys.argv[1]), Path(sys.argv[2])
with split.open() as file:
    listed = list(csv.DictReader(file))
classes = sorted({row["class"] for row in listed})
train = read(root, [row for row in listed if row["side"] == "train"], classes)
test = read(root, [row for row in listed if row["side"] == "test"], classes)

keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((SIZE, SIZE, 3)),
        layers.Rescaling(1 / 255),
        layers.RandomShear(0.2, 0.0),
        layers.RandomZoom(0.2),
        layers.RandomFlip("horizontal"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
start = time.perf_counter()
model.fit(*train, epochs=EPOCHS, batch_size=BATCH, verbose=0)
seconds = time.perf_counter() - start
correct = int(((model.predict(test[0], verbose=0)[:, 0] > 0.5) == test[1]).sum())
print(
    json.dumps(
        {
            "test": len(test[1]),
            "correct": correct,
            "accuracy": correct / len(test[1]),
            "interval": interval(correct, len(test[1])),
            "epochs": EPOCHS,
            "images_per_second": EPOCHS * len(train[1]) / seconds,
        }
    )
)
