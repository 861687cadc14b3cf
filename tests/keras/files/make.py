"""Write models.zip and predictions.npz beside this file: `python make.py`, with Keras, never in a test.

The stored files came from Keras 3.15.1 on TensorFlow 2.21.0 (Python 3.11.7, Linux), run once. The networks are small.
Their weights and batch norm statistics are random, not trained. `.keras` is the format of Keras 3, `.h5` the layout of
Keras 2, which Keras 3 writes too. models.zip holds the files as Keras wrote them, compressed: most of an HDF5 file of a
small network is empty.

predictions.npz holds, for each model, `<name>.pictures` uint8 (n, H, W, C), `<name>.divide`, the divisor of each byte
before the model, and `<name>.predictions`, the result of `predict`, float32 (n, units).
"""

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent
PICTURES = 3


def article() -> keras.Model:
    """The network of the 2017 article, for smaller pictures, on raw bytes."""
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
    """The network of the Keras blog (2016), with smaller pictures and fewer filters, on bytes / 255."""
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
    """As in Keras's tutorial: augmentation and scaling inside, scores as output."""
    return keras.Sequential(
        [
            layers.Input((18, 19, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(3, strides=2, padding="same"),
            layers.Conv2D(6, 2, padding="same", strides=2, activation="relu"),
            layers.AveragePooling2D(2, padding="same"),
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


def nested() -> keras.Model:
    """As in transfer learning: models inside a model, arithmetic on pixels, one unit without an activation."""
    inside = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(inside)
    x = layers.BatchNormalization()(x)
    x = before = layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Add()([before, x])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False)(x)
    backbone = keras.Model(inside, layers.BatchNormalization(epsilon=0.01)(x), name="backbone")
    image = keras.Input((20, 24, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(image)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = backbone(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(image, layers.Dense(1)(x))


def grey() -> keras.Model:
    """Pictures without an axis of channels, as in the first steps with MNIST."""
    return keras.Sequential(
        [
            layers.Input((12, 10)),
            layers.Reshape((12, 10, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu6"),
            layers.MaxPooling2D(3, strides=2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def adapted() -> keras.Model:
    """Mean and variance measured by a layer; the largest number of each channel."""
    measured = layers.Normalization()
    measured.adapt(np.random.default_rng(1).uniform(40, 200, (9, 11, 11, 3)).astype("float32"))
    return keras.Sequential(
        [
            layers.Input((11, 11, 3)),
            measured,
            layers.Conv2D(6, 3, activation=layers.LeakyReLU()),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def odds() -> keras.Model:
    """The remaining cases: zeros in odd places, kept axes, other activations, a channel's scale, a branch in a row."""
    image = keras.Input((15, 18, 3))
    x = layers.Rescaling([1 / 255, 1 / 200, 1 / 128], offset=[0, -0.5, -1])(image)
    x = layers.ZeroPadding2D(((2, 0), (0, 3)))(x)
    x = layers.Conv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu")(x)
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D(3, strides=2)(x)
    x = layers.ZeroPadding2D((1, 0))(x)
    x = layers.AveragePooling2D((2, 1), strides=1)(x)
    x = layers.Dense(5, activation="hard_silu")(x)
    x = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.SpatialDropout2D(0.3)(x)
    x = layers.SeparableConv2D(4, 3, depth_multiplier=2, activation="elu")(x)
    x = layers.Conv2D(5, 2, dilation_rate=2, padding="same", activation=keras.activations.leaky_relu)(x)
    x = layers.GlobalMaxPooling2D(keepdims=True)(x)
    x = layers.Conv2D(4, 1, use_bias=False, activation=layers.ELU())(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = before = layers.Reshape((-1,))(x)
    x = layers.Dense(4, activation="sigmoid")(x)
    x = layers.Add()([before, x])
    return keras.Model(image, layers.Dense(3, activation="softmax", use_bias=False)(x))


MODELS = {
    "article": (article, 1),
    "blog": (blog, 255),
    "tutorial": (tutorial, 1),
    "residual": (residual, 1),
    "nested": (nested, 1),
    "grey": (grey, 1),
    "adapted": (adapted, 1),
    "odds": (odds, 1),
}
LEGACY = ("article", "blog", "residual", "nested")


def main() -> None:
    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    stored: dict[str, np.ndarray] = {}
    with (
        TemporaryDirectory() as folder,
        zipfile.ZipFile(HERE / "models.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as pack,
    ):
        for name, (build, divide) in MODELS.items():
            model = build()
            draw(model, random)
            if name == "article":  # bytes make large scores, of which softmax would be 0 and 1
                kernel, bias = model.layers[0].get_weights()
                model.layers[0].set_weights([kernel / 100, bias])
            pictures = random.integers(0, 256, (PICTURES, *model.input_shape[1:]), dtype=np.uint8)
            stored[f"{name}.pictures"] = pictures
            stored[f"{name}.divide"] = np.array(divide, np.float32)
            stored[f"{name}.predictions"] = model.predict(pictures.astype(np.float32) / divide, verbose=0)
            for kind in (".keras", ".h5") if name in LEGACY else (".keras",):
                path = Path(folder) / f"{name}{kind}"
                model.save(path)
                pack.write(path, path.name)
            print(name, stored[f"{name}.predictions"], model.count_params())
    np.savez_compressed(HERE / "predictions.npz", **stored)


def draw(model: keras.Model, random: np.random.Generator) -> None:
    """Draws statistics for batch norm, which would otherwise change nothing, and biases, which Keras starts at 0."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, each.shape) for each in layer.get_weights()])
        elif isinstance(layer, layers.Dense | layers.Conv2D | layers.DepthwiseConv2D) and layer.use_bias:
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, random.normal(0, 0.1, bias.shape)])


if __name__ == "__main__":
    main()
