"""A classifier: network, weights, class names, preprocessing and calibration, and what can be asked of it.

What it says of a picture is in predict/; here it says why.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import meant
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
from pellucid.glassbox.whatif import change as whatif
from pellucid.glassbox.whatif import suggest
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
    """How a classifier was trained, as far as the step that training would make next follows from it."""

    loss: Loss
    optimizer: Callable[[torch.nn.Module], torch.optim.Optimizer]
    """Over the module's parameters, with what it remembered of each when the weights were saved."""


@dataclass(frozen=True)
class Classifier:
    """A trained network ready to be asked. `module` is an ordinary torch.nn.Module in evaluation mode."""

    network: Network | None
    """None: a module of the user's that our text cannot write."""
    module: torch.nn.Module
    classes: tuple[str, ...]
    form: Form
    standardise: Standardise
    temperature: float
    pixel_limit: int = PIXEL_LIMIT
    """A picture of more pixels is refused by its header, before memory is taken for it."""
    ranges: Ranges = ALONE
    """Which values are black and white in files of more than 8 bits a sample, as in training."""
    thresholds: Thresholds = None
    learning: Learning | None = None
    called: Mapping[str, str] = field(default_factory=dict)
    """A layer's name in the network's text -> its name in the module, where the two differ: see `changed`."""
    original: Classifier | None = field(default=None, repr=False)
    """What this one was changed from, by `changes`."""
    changes: tuple[whatif.Change, ...] = ()
    program: Program | None = field(default=None, repr=False)
    """What stands for the module in a model folder, where there is no network."""

    @property
    def device(self) -> str:
        """Where the weights are: "cpu", "cuda:0", ..."""
        return self.backend.device

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of what the network takes."""
        return self.predictor.input_shape

    def on(self, device: str) -> Classifier:
        """The same on a device, its filters in channels-last order where the module takes that."""
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
        """Classify one picture, or several, in order. One that cannot be used is a Prediction with an error.

        >>> classifier.predict("cat.jpg").label  # doctest: +SKIP
        'cat'
        """
        return self.predictor.predict(pictures)

    def stream(self, pictures: Iterable[Source], batch: int = 32) -> Iterator[Prediction]:
        """Classify pictures one after the other as they are asked for, in order, in constant memory.

        At most `batch` pictures go through the network at once; it changes the speed, and probabilities by no more
        than rounding. Every core takes pictures of its own; how many cores changes nothing. Raises RecipeError where
        it is below 1.
        """
        return self.predictor.stream(pictures, batch)

    def prepared(self, picture: Source) -> NDArray[np.uint8]:
        """The picture as the network gets it before standardising: uint8 (H, W, C). Raises PictureError."""
        return self.predictor.prepared(picture)

    def standardised(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """Prepared images uint8 (n, H, W, C) as the module gets them, float32 (n, C, H, W), where its weights are."""
        return self.backend.standardised(images)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The network's raw outputs, float32 (n, classes), for prepared images uint8 (n, H, W, C) of `form`'s size."""
        return self.predictor.logits(images)

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Calibrated, float64 (n, classes): softmax(logits / temperature), or of several labels sigmoid."""
        return self.predictor.probabilities(logits)

    def explain(self, picture: Source, label: str | Sequence[str] | None = None) -> Trace:
        """Follow one picture through the network: every value, every gradient, and the step that training would make.

        `label`: the class that the loss is measured against; by default the one that is predicted. Where a picture may
        have several labels, any number of them. The loss and the optimizer are those that the classifier was trained
        with, or else cross-entropy (of several labels binary) and plain gradient descent.

        >>> trace = classifier.explain("cat.jpg", "cat")   # doctest: +SKIP
        >>> trace.unit("conv1[3, 10, 12]").total           # doctest: +SKIP

        Raises PictureError, and TraceError where the label is no class or the network cannot be followed.
        """
        several = self.thresholds is not None
        usual = Loss("binary_cross_entropy") if several else CROSS_ENTROPY
        loss = self.learning.loss if self.learning is not None else usual
        optimizer = self.learning.optimizer if self.learning is not None else None
        return self._record(
            *self.predictor.named(picture), None if label is None else self._target(label), loss, optimizer
        )

    def changed(self, changes: Sequence[whatif.Change]) -> Classifier:
        """What if: another classifier, with these changes of weights, strides, paddings and poolings; this one stays.

        What the optimizer remembers of a weight stays too. One that is changed can be changed further; of two changes
        of the same, the later counts.

        >>> from pellucid.whatif import Pooling, Weight                              # doctest: +SKIP
        >>> other = classifier.changed([Weight("conv1.weight", (3, 0, 2, 2), 0.5)])  # doctest: +SKIP
        >>> other.explain("cat.jpg").probabilities                                   # doctest: +SKIP

        Raises TraceError for what there is not to change, and NetworkError where weights would not fit the new sizes.
        """
        first = self.original or self
        given, every = self.input_shape, whatif.latest((*self.changes, *changes))
        found = whatif.changed(first.network, first.module, given, len(self.classes), every)
        other = replace(self, **found._asdict(), original=first, changes=every)
        if all(isinstance(change, whatif.Weight) for change in changes):
            vars(other)["_graph"] = self._graph  # it holds no weights, and takes longer than a run
        return other

    def stored(self, change: whatif.Change) -> float | tuple[int, int] | str:
        """What a change of this classifier would replace. Raises TraceError where there is nothing of the kind."""
        return whatif.stored(self.network, self.module, len(self.classes), change)

    def instead(self, changes: Sequence[whatif.Change]) -> tuple[whatif.Setting, ...]:
        """The fewest further strides and paddings with which changes fit that do not; () where none was found."""
        settings = [change for change in changes if not isinstance(change, whatif.Weight)]
        if self.network is None:
            return ()
        return suggest.instead(self.network, self.input_shape, len(self.classes), settings)

    def difference(self, picture: Source, label: str, against: str | None = None) -> Mechanism:
        """Which units and pixels made the difference between the logits of two classes, the parts adding up to it.

        `against`: by default the predicted class, or the next most probable where `label` is the predicted one.
        Raises PictureError, TraceError.
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

        Raises PictureError, and TraceError where the label is no class or the layer is not there.
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
        input = self.standardised(image[None])
        target = int(self.logits(image[None])[0].argmax()) if label is None else self._class(label)
        several = self.thresholds is not None
        faster = frozen.faster(self.module, self.device) if self.network is not None else None
        about = method, layer, self.temperature, several, faster
        return (yield from attribution.attributing(self.module, input, target, *about))

    def expect(self, labels: Strings, against: str | None, units: Strings, weights: Strings, layer: str | None) -> None:
        """Raises TraceError for what is not there, before a picture is followed: see `explain`, `difference`, a trace's
        `unit` and `update`, and `attribute`. An index is checked where the network's text gives its layer's shape."""
        from pellucid.glassbox.trace import beforehand

        if labels:
            self._target(labels)
        if against is not None:
            self._class(against)
        if units or weights:
            shapes = beforehand.shapes(self.network, self.input_shape, len(self.classes), self.called)
            given = self._preparation(self._blank).arrays
            beforehand.check(self.module, shapes, lambda: beforehand.names(self._graph, given), units, weights)
        if layer is not None:
            attribution.grad_cam_layer(self.module, self.standardised(self._blank[None]), layer)

    def exemplars(
        self, pictures: Iterable[Source], count: int = 9, layers: Sequence[str] | None = None
    ) -> Generator[int, None, tuple[dict[str, LayerExemplars], tuple[tuple[str, str], ...]]]:
        """For each filter of each convolution the `count` pictures that excite it most, and where in them.

        Yields the number of pictures seen. Returns (layer -> its filters' exemplars, (picture, reason) of those that
        could not be used). Raises TraceError where a layer is not there, or no picture can be used.
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

        found = yield from exemplars.find(self.module, usable(), count, layers)
        return found, tuple(unusable)

    def features(self, pictures: Source | Sequence[Source], batch: int = 32) -> NDArray[np.float32]:
        """What the last dense layer gets of each picture, float32 (n, F): times its weight, plus bias, the logits.

        >>> classifier.features(["cat.jpg", "dog.jpg"]).shape  # doctest: +SKIP
        (2, 512)

        Raises PictureError for the first picture that cannot be used (`described` goes on), and NetworkError where the
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

        Raises RecipeError where `batch` is below 1, and NetworkError where the network does not end in a dense layer.
        """
        if batch < 1:
            raise RecipeError(f"batch is {batch}; it must be 1 or more.")
        return described(self.predictor, self.backbone, pictures, min(batch, GROUP), self.device == "cpu")

    @cached_property
    def backbone(self) -> Backbone:
        """Where the features come from. Raises NetworkError where the network does not end in a dense layer."""
        from pellucid.classifier import backbone

        return backbone.of(self)

    @cached_property
    def predictor(self) -> Predictor:
        """What classifies pictures with this module."""
        about = self.classes, self.form, self.temperature, self.pixel_limit, self.ranges, self.thresholds
        return Predictor(*about, self.backend)

    @cached_property
    def backend(self) -> TorchBackend:
        """What computes this module for `predictor`."""
        return TorchBackend(self.module, self.standardise, self.program is not None and self.program.plain)

    @cached_property
    def _graph(self) -> Graph:
        """Of the module in evaluation mode; weights may change afterwards."""
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
            module = deepcopy(self.module)  # recording uses it alone, and others may predict meanwhile
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
        found = recording.standardising(image, self.standardise)
        return replace(found, apply=lambda pixels: in_plain_order(found.apply(pixels))) if self.backend.plain else found

    def _target(self, label: str | Sequence[str]) -> int | tuple[int, ...]:
        return meant.target(label, self.classes, several=self.thresholds is not None)

    def _class(self, label: str) -> int:
        return meant.number(label, self.classes)
