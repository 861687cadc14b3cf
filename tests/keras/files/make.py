"""Writes the models beside it, and what Keras predicted with them: `python make.py` with Keras, never in a test.

The stored files came from Keras 3.15.1 on TensorFlow 2.21.0 (Python 3.11, Linux), run once. Each network is small, its
weights are drawn and not trained, and batch norm has drawn statistics. `.keras` is Keras 3's own format; `.h5` is the
layout of Keras 2, which Keras 3 writes too. predictions.npz holds, for each model, `<name>.pictures` uint8 (n, H, W, C)
and `<name>.predictions` float32 (n, units), of the pictures as the model wants them: `<name>.divide` is what each byte
was divided by first.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
PICTURES = 4


def article() -> keras.Model:
    """The network of the article of 2017, for smaller pictures; bytes go in as they are."""
    return keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(10, (5, 5), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )


def blog() -> keras.Model:
    """The network of the Keras blog (2016), its pictures and filters fewer; it was fed bytes / 255."""
    return keras.Sequential(
        [
            layers.Input((22, 22, 3)),
            layers.Conv2D(4, (3, 3)),
            layers.Activation("relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(4, (3, 3)),
            layers.Activation("relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(8, (3, 3)),
            layers.Activation("relu"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Flatten(),
            layers.Dense(8),
            layers.Activation("relu"),
            layers.Dropout(0.5),
            layers.Dense(1),
            layers.Activation("sigmoid"),
        ]
    )


def tutorial() -> keras.Model:
    """As Keras's tutorial builds them: augmentation and scaling inside, scores out."""
    return keras.Sequential(
        [
            layers.Input((17, 19, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 2, padding="same", strides=2, activation="relu"),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(5, activation="elu"),
            layers.Dense(3),
        ]
    )


def residual() -> keras.Model:
    """A functional model with branches, separable and depthwise convolutions, batch norm, asymmetric zeros."""
    image = keras.Input((24, 20, 1))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(scale=False)(x)
    x = before = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.SeparableConv2D(4, 3, padding="same")(x)
    x = layers.BatchNormalization(center=False, epsilon=1e-2)(x)
    x = before = layers.Add()([x, before])
    x = layers.Activation("silu")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", dilation_rate=2)(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="tanh", groups=2)(x)
    x = layers.add([layers.Conv2D(6, 1, strides=2, padding="same")(before), x])
    x = layers.ReLU()(x)
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(x)
    x = layers.Conv2D(5, 3, activation="gelu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(4)(x)
    return keras.Model(image, layers.Softmax()(x))


MODELS = {"article": (article, 1), "blog": (blog, 255), "tutorial": (tutorial, 1), "residual": (residual, 1)}
LEGACY = ("article", "blog", "residual")


def main() -> None:
    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    stored: dict[str, np.ndarray] = {}
    for name, (build, divide) in MODELS.items():
        model = build()
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                drawn = [random.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()]
                layer.set_weights(drawn)
            elif layer.weights and layer.get_weights()[-1].ndim == 1:  # a bias, which Keras starts at 0
                kernel, bias = layer.get_weights()[:-1], layer.get_weights()[-1]
                layer.set_weights([*kernel, random.normal(0, 0.1, bias.shape)])
        pictures = random.integers(0, 256, (PICTURES, *model.input_shape[1:]), dtype=np.uint8)
        stored[f"{name}.pictures"] = pictures
        stored[f"{name}.divide"] = np.array(divide, np.float32)
        stored[f"{name}.predictions"] = model.predict(pictures.astype(np.float32) / divide, verbose=0)
        model.save(HERE / f"{name}.keras")
        if name in LEGACY:
            model.save(HERE / f"{name}.h5", include_optimizer=False)
        print(name, stored[f"{name}.predictions"], model.count_params())
    np.savez_compressed(HERE / "predictions.npz", **stored)


if __name__ == "__main__":
    main()
