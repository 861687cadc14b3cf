"""A classifier: network, weights, class names, preprocessing and calibration, and every question it answers.

predict/ classifies pictures; the methods here explain the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import class_names
from pellucid.classifier.predict.backend import GROUP
from pellucid.classifier.predict.describe import described
from pellucid.classifier.predict.pictures import Source, is_one
from pellucid.classifier.predict.prediction import Described, Prediction
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.predict.with_torch import TorchBackend
from pellucid.errors import PictureError, RecipeError, TraceError, none_usable
from pellucid.glassbox.arithmetic.loss import CROSS_ENTROPY, Loss
from pellucid.glassbox.trace import exporting, frozen_copy, recording
from pellucid.glassbox.trace.graph import Graph
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.whatif import suggest
from pellucid.glassbox.whatif.change import Change, Setting, Weight, changed, latest, stored
from pellucid.glassbox.why import attribution, exemplars, mechanism
from pellucid.glassbox.why.attribution import Attribution, Method
from pellucid.glassbox.why.exemplars import LayerExemplars
from pellucid.glassbox.why.mechanism import Mechanism
from pellucid.network.network import Network
from pellucid.network.own.program import Program, in_plain_order
from pellucid.network.scores import Thresholds
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import ALONE, PIXEL_LIMIT, Form, Ranges
from pellucid.runtime.memory import keep_memory
from pellucid.steps import result_of

if TYPE_CHECKING:
    import torch

    from pellucid.classifier.backbone import Backbone

Strings = Sequence[str]


@dataclass(frozen=True)
class Learning:
    """How a classifier was trained: enough to work out the step that training would make next."""

    loss: Loss
    optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer]
    """Makes the optimizer over the module's parameters, with its state from when the weights were saved."""


@dataclass(frozen=True)
class Classifier:
    """A trained network, ready to use. `module` is an ordinary torch.nn.Module in evaluation mode."""

    network: Network | None
    """None for a user's own module that our text cannot write."""
    module: torch.nn.Module
    classes: tuple[str, ...]
    form: Form
    standardise: Standardise
    temperature: float
    pixel_limit: int = PIXEL_LIMIT
    """A picture with more pixels is refused by its header, before memory is allocated for it."""
    ranges: Ranges = ALONE
    """Which values are black and white in files with more than 8 bits a sample, as in training."""
    thresholds: Thresholds = None
    learning: Learning | None = None
    called: Mapping[str, str] = field(default_factory=dict)
    """A layer's name in the network's text -> its name in the module, if the two differ: see `changed`."""
    original: Classifier | None = field(default=None, repr=False)
    """The classifier from which `changes` made this one."""
    changes: tuple[Change, ...] = ()
    program: Program | None = field(default=None, repr=False)
    """The stored form of the module in a model folder, if there is no network."""

    @property
    def device(self) -> str:
        """The device of the weights: "cpu", "cuda:0", ..."""
        return self.backend.device

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the network's input."""
        return self.predictor.input_shape

    def on(self, device: str) -> Classifier:
        """The same classifier on a device, its filters in channels-last order if the module accepts that."""
        import torch

        order = torch.contiguous_format if self.backend.plain else torch.channels_last
        if device == "cpu":
            keep_memory()
        module = self.module.to(device=device, memory_format=order)  # type: ignore[call-overload]
        return replace(self, module=module)

    @overload
    def predict(self, pictures: Source) -> Prediction: ...
    @overload
    def predict(self, pictures: Sequence[Source]) -> list[Prediction]: ...
    def predict(self, pictures: Source | Sequence[Source]) -> Prediction | list[Prediction]:
        """Classify one picture, or several, in order. An unusable picture gives a Prediction with an error.

        >>> classifier.predict("cat.jpg").label  # doctest: +SKIP
        'cat'
        """
        return self.predictor.predict(pictures)

    def stream(self, pictures: Iterable[Source], batch: int = 32) -> Iterator[Prediction]:
        """Classify pictures in order, as you iterate, in constant memory.

        At most `batch` pictures go through the network at once; it changes the speed, and probabilities by no more than
        rounding. Each core works on its own pictures; the number of cores does not change the result. Raises
        RecipeError if `batch` is below 1.
        """
        return self.predictor.stream(pictures, batch)

    def prepared(self, picture: Source) -> NDArray[np.uint8]:
        """The picture as the network's input before standardising: uint8 (H, W, C). Raises PictureError."""
        return self.predictor.prepared(picture)

    def standardised(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """Prepared images uint8 (n, H, W, C) -> the module's input, float32 (n, C, H, W), on the weights' device."""
        return self.backend.standardised(images)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's raw outputs, float32 (n, classes), for prepared images uint8 (n, H, W, C) of `form`'s size."""
        return self.predictor.logits(images)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated, float64 (n, classes): softmax(logits / temperature), or sigmoid for several labels."""
        return self.predictor.probabilities(logits)

    def explain(self, picture: Source, label: str | Sequence[str] | None = None) -> Trace:
        """Follow one picture through the network: every value, every gradient, and the step that training would make.

        `label`: the class that the loss is measured against; by default the predicted one. A classifier of several
        labels takes any number of them. The loss and the optimizer are those of the training, or else cross-entropy
        (binary for several labels) and plain gradient descent. A picture in a folder with a class's name is of that
        class: `Trace.truth`. A folder cannot name several labels.

        >>> trace = classifier.explain("cat.jpg", "cat")   # doctest: +SKIP
        >>> trace.unit("conv1[3, 10, 12]").total           # doctest: +SKIP

        Raises PictureError, and TraceError if the label is not a class or the network cannot be traced.
        """
        several = self.thresholds is not None
        usual = Loss("binary_cross_entropy") if several else CROSS_ENTROPY
        loss = self.learning.loss if self.learning is not None else usual
        optimizer = self.learning.optimizer if self.learning is not None else None
        target = None if label is None else self._target(label)
        name, image, size = self.predictor.sized(picture)
        trace = replace(self._record(name, image, target, loss, optimizer), size=size)
        if several or not isinstance(picture, str | Path):
            return trace
        truth = class_names.of_folder(Path(picture), self.classes)
        return trace if truth is None else replace(trace, truth=(truth,))

    def changed(self, changes: Sequence[Change]) -> Classifier:
        """Make another classifier with changed weights, strides, paddings or poolings. This one does not change.

        The optimizer's state of a weight stays too. A changed classifier can be changed again; of two changes to the
        same thing, the later wins.

        >>> from pellucid.whatif import Pooling, Weight                              # doctest: +SKIP
        >>> other = classifier.changed([Weight("conv1.weight", (3, 0, 2, 2), 0.5)])  # doctest: +SKIP
        >>> other.explain("cat.jpg").probabilities                                   # doctest: +SKIP

        Raises TraceError if the thing to change does not exist, and NetworkError if weights do not fit the new sizes.
        """
        first = self.original or self
        shape, every = self.input_shape, latest((*self.changes, *changes))
        altered = changed(first.network, first.module, shape, len(self.classes), every)
        other = replace(self, **altered._asdict(), original=first, changes=every)
        if all(isinstance(change, Weight) for change in changes):
            vars(other)["_graph"] = self._graph  # the graph holds no weights, and capturing it takes longer than a run
        return other

    def stored(self, change: Change) -> float | tuple[int, int] | str:
        """The value that a change would replace. Raises TraceError if there is no such thing."""
        return stored(self.network, self.module, len(self.classes), change)

    def instead(self, changes: Sequence[Change]) -> tuple[Setting, ...]:
        """The fewest further strides and paddings that make unfitting changes fit; () if the search finds none."""
        settings = [change for change in changes if not isinstance(change, Weight)]
        if self.network is None:
            return ()
        return suggest.instead(self.network, self.input_shape, len(self.classes), settings)

    def difference(self, picture: Source, label: str, against: str | None = None) -> Mechanism:
        """The units and pixels behind the difference between two classes' logits. Their parts add up to it.

        `against`: by default the predicted class, or the next most probable if `label` is the predicted one. Raises
        PictureError, TraceError.
        """
        return result_of(self.differing(picture, label, against))

    def differing(
        self, picture: Source, label: str, against: str | None = None
    ) -> Generator[tuple[int, int], None, Mechanism]:
        """As `difference`. Once the picture is followed, yields how many layers are taken apart, and of how many."""
        first = self._class(label)
        name, image = self.predictor.named(picture)
        order = np.argsort(-self.logits(image[None])[0], kind="stable")
        second = self._class(against) if against is not None else int(next(each for each in order if each != first))
        if first == second:
            raise TraceError(f"{label!r} cannot be compared with itself; name two classes.")
        trace = self._record(name, image, first, Loss("difference", against=second), None)
        return (yield from mechanism.taking_apart(self._graph, trace, first, second))

    def attribute(
        self, picture: Source, label: str | None = None, method: Method = "grad_cam", layer: str | None = None
    ) -> Attribution:
        """Where the network looked for a class, by default the predicted one, and how far to trust the map.

        Raises PictureError, and TraceError if the label is not a class or the layer does not exist.
        """
        return result_of(self.attributing(picture, label, method, layer))

    def attributing(
        self, picture: Source, label: str | None = None, method: Method = "grad_cam", layer: str | None = None
    ) -> Generator[tuple[int, int], None, Attribution]:
        """As `attribute`.

        Yields how far the score is: pictures with pixels removed that are looked at, and of how many.
        """
        from pellucid.engine import frozen

        image = self.prepared(picture)
        sample = self.standardised(image[None])
        target = int(self.logits(image[None])[0].argmax()) if label is None else self._class(label)
        several = self.thresholds is not None
        faster = frozen.faster(self.module, self.device) if self.network is not None else None
        about = method, layer, self.temperature, several, faster
        return (yield from attribution.attributing(self.module, sample, target, *about))

    def expect(self, labels: Strings, against: str | None, units: Strings, weights: Strings, layer: str | None) -> None:
        """Check the names for `explain`, `difference`, `attribute` and a trace's `unit` and `update`, before a trace.

        Raises TraceError for a name that does not exist. An index is checked if the network's text gives its layer's
        shape.
        """
        from pellucid.glassbox.trace import beforehand

        if labels:
            self._target(labels)
        if against is not None:
            self._class(against)
        if units or weights:
            shapes = beforehand.shapes(self.network, self.input_shape, len(self.classes), self.called)
            arrays = self._preparation(self._blank).arrays
            beforehand.check(self.module, shapes, lambda: beforehand.names(self._graph, arrays), units, weights)
        if layer is not None:
            attribution.grad_cam_layer(self.module, self.standardised(self._blank[None]), layer)

    def exemplars(
        self, pictures: Iterable[Source], count: int = 9, layers: Sequence[str] | None = None
    ) -> Generator[int, None, tuple[dict[str, LayerExemplars], tuple[tuple[str, str], ...]]]:
        """For each filter of each convolution, the `count` pictures that excite it most, and where in them.

        Yields the number of pictures seen. Returns (layer -> its filters' exemplars, (picture, reason) of the unusable
        ones). Raises TraceError if a layer does not exist or no picture can be used.
        """
        unusable: list[tuple[str, str]] = []

        def usable() -> Iterator[tuple[str, torch.Tensor]]:
            some = False
            for name, image, error in self.predictor.items(pictures):
                if image is None:
                    unusable.append((name, error or "cannot be read"))
                else:
                    some = True
                    yield name, self.standardised(image[None])
            if unusable and not some:
                name, reason = unusable[0]
                raise TraceError(none_usable(len(unusable), name, reason))

        result = yield from exemplars.find(self.module, usable(), count, layers)
        return result, tuple(unusable)

    def features(self, pictures: Source | Sequence[Source], batch: int = 32) -> NDArray[np.float32]:
        """The last dense layer's input for each picture, float32 (n, F): times its weight, plus bias, the logits.

        >>> classifier.features(["cat.jpg", "dog.jpg"]).shape  # doctest: +SKIP
        (2, 512)

        Raises PictureError for the first unusable picture (`described` continues instead), and NetworkError if the
        network does not end in a dense layer.
        """
        several = [pictures] if is_one(pictures) else pictures
        rows = []
        for each in self.described(several, batch):
            if each.features is None:
                raise PictureError(f"{each.prediction.source}: {each.prediction.error}")
            rows.append(each.features)
        return np.stack(rows) if rows else np.empty((0, self.backbone.width), np.float32)

    def described(self, pictures: Iterable[Source], batch: int = 32) -> Iterator[Described]:
        """As `stream`, with the features of each picture.

        Raises RecipeError if `batch` is below 1, and NetworkError if the network does not end in a dense layer.
        """
        if batch < 1:
            raise RecipeError(f"batch is {batch}; it must be 1 or more.")
        return described(self.predictor, self.backbone, pictures, min(batch, GROUP), self.device == "cpu")

    @cached_property
    def backbone(self) -> Backbone:
        """The part that computes the features. Raises NetworkError if the network does not end in a dense layer."""
        from pellucid.classifier import backbone

        return backbone.of(self)

    @cached_property
    def predictor(self) -> Predictor:
        """Classifies pictures with this module."""
        about = self.classes, self.form, self.temperature, self.pixel_limit, self.ranges, self.thresholds
        return Predictor(*about, self.backend)

    @cached_property
    def backend(self) -> TorchBackend:
        """Computes this module for `predictor`."""
        return TorchBackend(self.module, self.standardise, self.program is not None and self.program.plain)

    @cached_property
    def _graph(self) -> Graph:
        """The graph of the module in evaluation mode; weights may change afterwards."""
        self.module.eval()
        return exporting.capture(deepcopy(self.module), self.standardised(self._blank[None]))  # others may predict now

    @property
    def _blank(self) -> NDArray[np.uint8]:
        return np.zeros((self.form.height, self.form.width, self.form.channels), np.uint8)

    def _record(
        self,
        name: str,
        image: NDArray[np.uint8],
        label: int | Sequence[int] | None,
        loss: Loss,
        optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer] | None,
    ) -> Trace:
        self.module.eval()
        with frozen_copy.gradients():
            module = deepcopy(self.module)  # a copy: recording needs a module alone, and others may be predicting
            trace = recording.record(
                module,
                self._graph,
                self.standardised(image[None]),
                label,
                classes=self.classes,
                loss=loss,
                temperature=self.temperature,
                thresholds=self.thresholds,
                optimizer=optimizer(module) if optimizer is not None else None,
                preparation=self._preparation(image),
                source=name,
                network=self.network,
            )
        return replace(trace, called=self.called)

    def _preparation(self, image: NDArray[np.uint8]) -> recording.Preparation:
        preparation = recording.standardising(image, self.standardise)
        return (
            replace(preparation, apply=lambda pixels: in_plain_order(preparation.apply(pixels)))
            if self.backend.plain
            else preparation
        )

    def _target(self, label: str | Sequence[str]) -> int | tuple[int, ...]:
        return class_names.target(label, self.classes, several=self.thresholds is not None)

    def _class(self, label: str) -> int:
        return class_names.number(label, self.classes)
