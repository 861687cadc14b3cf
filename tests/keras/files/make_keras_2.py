"""Writes models_keras_2.zip and predictions_keras_2.npz beside it: `python make_keras_2.py`, never in a test.

The stored files came from tf_keras 2.21.0, which is Keras 2 as it lives on, on TensorFlow 2.21.0 (Python 3.11.7,
Linux), run once. `.h5` is what Keras 2 wrote by default, `.keras` the zip that it wrote in its last years. Layout and
names are as in make.py: the networks are small, their weights are drawn, and one of them is trained for a step.
"""

import os
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tf_keras as keras
from tf_keras import layers

HERE = Path(__file__).parent
PICTURES = 3


def cats_dogs() -> keras.Model:
    """A classifier of cats and dogs as the articles of 2017 to 2020 built it; it was fed bytes / 255."""
    return keras.Sequential(
        [
            layers.Conv2D(4, (3, 3), activation="relu", input_shape=(24, 24, 3)),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(6, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(8, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def mobile() -> keras.Model:
    """A functional chain as in MobileNet: no biases, batch norm, depthwise convolutions, ReLU6 by two layers."""
    image = keras.Input((20, 18, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9)(x)
    x = layers.ReLU(max_value=6)(x)
    x = layers.Conv2D(6, 1, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu6")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2)(x)
    x = layers.LeakyReLU(alpha=0.2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(3)(x)
    return keras.Model(image, layers.Activation("softmax")(x))


def scaled() -> keras.Model:
    """As TensorFlow's tutorials had it: augmentation and scaling inside, scores out."""
    return keras.Sequential(
        [
            keras.Sequential([layers.RandomFlip("horizontal", input_shape=(18, 18, 3)), layers.RandomRotation(0.1)]),
            layers.Rescaling(1.0 / 255),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(6, activation="relu"),
            layers.Dense(3, name="outputs"),
        ]
    )


def transfer() -> keras.Model:
    """As transfer learning was written: a model inside a model, arithmetic on pixels, one score."""
    inside = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inside)
    x = layers.BatchNormalization()(x)
    x = before = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.Add()([before, x])
    backbone = keras.Model(inside, layers.BatchNormalization()(x), name="backbone")
    backbone.trainable = False
    image = keras.Input((20, 20, 3))
    x = layers.RandomFlip("horizontal")(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = backbone(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(image, layers.Dense(1)(x))


MODELS = {"cats_dogs": (cats_dogs, 255), "mobile": (mobile, 255), "scaled": (scaled, 1), "transfer": (transfer, 1)}


def main() -> None:
    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    stored: dict[str, np.ndarray] = {}
    with (
        TemporaryDirectory() as folder,
        zipfile.ZipFile(HERE / "models_keras_2.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as pack,
    ):
        for name, (build, divide) in MODELS.items():
            model = build()
            draw(model, random)
            pictures = random.integers(0, 256, (PICTURES, *model.input_shape[1:]), dtype=np.uint8)
            if name == "cats_dogs":  # one step of training: the file holds the optimizer, too
                model.compile("rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
                model.fit(pictures.astype(np.float32) / divide, np.array([0, 1, 1]), verbose=0)
            stored[f"{name}.pictures"] = pictures
            stored[f"{name}.divide"] = np.array(divide, np.float32)
            stored[f"{name}.predictions"] = model.predict(pictures.astype(np.float32) / divide, verbose=0)
            for kind in (".h5", ".keras"):
                path = Path(folder) / f"{name}{kind}"
                model.save(path)
                pack.write(path, path.name)
            print(name, stored[f"{name}.predictions"], model.count_params())
    np.savez_compressed(HERE / "predictions_keras_2.npz", **stored)


def draw(model: keras.Model, random: np.random.Generator) -> None:
    """Larger weights, biases, which Keras starts at 0, and statistics of batch norm, which would pass everything on."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()])
        elif isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and not layer.use_bias:
            layer.set_weights([layer.get_weights()[0] * 2])
        elif isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * 2, random.normal(0, 0.1, bias.shape)])


if __name__ == "__main__":
    main()
