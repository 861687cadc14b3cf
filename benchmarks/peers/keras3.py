"""Keras 3 in the style of its guides, on the backend named by KERAS_BACKEND. Prints one line of JSON.

python keras3.py VERB JSON-OF-ARGUMENTS
"""

import csv
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

# without TensorFlow, its guides read folders through Grain
FORMAT = "tf" if keras.backend.backend() == "tensorflow" else "grain"


def network(name: str, side: int, augmented: bool = False) -> keras.Model:
    varied = [layers.RandomShear(0.2, 0.0), layers.RandomZoom(0.2), layers.RandomFlip("horizontal")]
    body = {"article": article, "small": small, "tiny": tiny}[name]()
    return keras.Sequential(
        [keras.Input((side, side, 3)), layers.Rescaling(1 / 255), *(varied if augmented else []), *body]
    )


def article() -> list[layers.Layer]:
    return [layers.Conv2D(10, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), answer()]


def small() -> list[layers.Layer]:
    body = []
    for filters in (32, 32, 64):
        body += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    return [*body, layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dropout(0.5), answer()]


def tiny() -> list[layers.Layer]:
    return [layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), answer()]


def answer() -> layers.Layer:
    return layers.Dense(2, activation="softmax")


def compiled(name: str, side: int, optimizer: str = "adam", augmented: bool = False) -> keras.Model:
    model = network(name, side, augmented)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    return model


def folder(path: str, side: int, batch: int, shuffle: bool = True, labels: str | None = "inferred") -> Any:
    data = keras.utils.image_dataset_from_directory(
        path,
        labels=labels,
        shuffle=shuffle,
        seed=0,
        image_size=(side, side),
        batch_size=batch,
        format=FORMAT,
        verbose=False,
    )
    return data.prefetch(-1) if FORMAT == "tf" else data  # -1: TensorFlow chooses


def train(pictures: str, network: str, side: int, batch: int, epochs: int, out: str) -> dict[str, Any]:
    """Files to a saved model; checked on the validation pictures after every epoch."""
    training, validation = folder(f"{pictures}/train", side, batch), folder(f"{pictures}/val", side, batch, False)
    model = compiled(network, side)
    history = model.fit(training, validation_data=validation, epochs=epochs, verbose=0).history
    model.save(f"{out}.keras")
    count = sum(1 for path in Path(pictures, "train").rglob("*") if path.is_file())
    return {"train": count, "accuracy": history["val_accuracy"][-1], "precision": "float32"}


def arrays(path: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, side, side, 3) and labels (N,), from a folder with one folder per class."""
    files = [(each, label) for label, one in enumerate(sorted(Path(path).iterdir())) for each in sorted(one.iterdir())]
    images = [
        keras.utils.img_to_array(keras.utils.load_img(each, target_size=(side, side)), dtype="uint8")
        for each, _ in files
    ]
    return np.stack(images), np.array([label for _, label in files])


def rate(pictures: str, network: str, side: int, batch: int, seconds: float) -> dict[str, Any]:
    """`fit` on decoded pictures in memory; the first steps do not count."""
    images, labels = arrays(pictures, side)
    model = compiled(network, side)

    def fit(count: int, epochs: int) -> float:
        start = time.perf_counter()
        model.fit(images[:count], labels[:count], batch_size=batch, epochs=epochs, verbose=0)
        return (time.perf_counter() - start) / (count // batch * epochs)

    fit(batch, 1)  # compiles
    step = fit(batch, 1)
    count = min(len(images) // batch, max(2, math.ceil(seconds / step))) * batch
    epochs = max(1, round(seconds / (step * count / batch)))
    return {"images_per_second": batch / fit(count, epochs), "precision": "float32"}


def predict(model: str, pictures: str, network: str, side: int, batch: int, out: str) -> dict[str, Any]:
    """Write the probabilities of a picture, or of a folder of pictures, as CSV."""
    trained = keras.saving.load_model(f"{model}.keras")
    if Path(pictures).is_dir():
        names = sorted(path.name for path in Path(pictures).iterdir())
        answers = trained.predict(folder(pictures, side, batch, False, None), verbose=0)
    else:
        names = [Path(pictures).name]
        image = keras.utils.load_img(pictures, target_size=(side, side))
        answers = trained.predict(keras.utils.img_to_array(image)[None], verbose=0)
    with open(out, "w", newline="") as file:
        csv.writer(file).writerows([name, *row] for name, row in zip(names, answers.tolist(), strict=True))
    return {"pictures": len(answers)}


class Until(keras.callbacks.Callback):
    """Ends the training when the time is over."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self.end = end

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if time.time() >= self.end:
            self.model.stop_training = True


def timed(pictures: str, network: str, side: int, batch: int, minutes: float, began: float, out: str) -> dict[str, Any]:
    """The blog's network with its augmentation, for `minutes` minutes from `began` (seconds, time.time())."""
    keras.utils.set_random_seed(0)
    images, labels = arrays(f"{pictures}/train", side)
    tested, truth = arrays(f"{pictures}/test", side)
    model = compiled(network, side, optimizer="rmsprop", augmented=True)
    end = began + 60 * minutes
    history = model.fit(images, labels, batch_size=batch, epochs=10**6, verbose=0, callbacks=[Until(end)])
    correct = int((model.predict(tested, verbose=0).argmax(1) == truth).sum())
    model.save(f"{out}.keras")
    epochs = len(history.epoch)
    return {"train": len(images), "test": len(truth), "correct": correct, "epochs": epochs, "precision": "float32"}


if __name__ == "__main__":
    verb, settings = sys.argv[1:]
    verbs = {"train": train, "rate": rate, "predict": predict, "minutes": timed}
    print(json.dumps(verbs[verb](**json.loads(settings))))
