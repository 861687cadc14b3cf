"""A classifier that was read from its folder and checked, before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.classifier.predict.backend import Backend
from pellucid.classifier.predict.graph import Weights
from pellucid.classifier.predict.int8 import Int8, Int8Backend
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.predict.with_onnxruntime import RuntimeBackend
from pellucid.network.network import Network
from pellucid.network.scores import Thresholds
from pellucid.network.standardise import Standardise
from pellucid.network.window import Shape
from pellucid.pictures.decode import ALONE, Form, Ranges
from pellucid.runtime import sessions
from pellucid.runtime.memory import keep_memory

if TYPE_CHECKING:
    import torch

    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.with_torch import TorchBackend


@dataclass(frozen=True, eq=False)
class Saved:
    """The result of store.read, with the fields of Classifier. It becomes a Predictor or a Classifier."""

    network: Network
    weights: dict[str, NDArray[Any]]
    """By name, in the order and the shapes of the state dict."""
    classes: tuple[str, ...]
    form: Form
    standardise: Standardise
    temperature: float
    pixel_limit: int
    ranges: Ranges = ALONE
    thresholds: Thresholds = None
    source: Weights | None = None
    """The file that the weights come from; None if there is none, and then PyTorch computes the predictions."""
    int8: Int8 | None = None
    """How to predict with 8-bit integers; None for float32."""

    @property
    def input_shape(self) -> Shape:
        """(C, H, W) of the network's input."""
        return self.form.channels, self.form.height, self.form.width

    def predictor(self, expected: int = 0) -> Predictor:
        """A predictor that does not import torch. `expected`: see RuntimeBackend.

        Its numbers equal those of `classifier()` up to rounding, in float32.
        """
        about = self.classes, self.form, self.temperature, self.pixel_limit, self.ranges, self.thresholds
        return Predictor(*about, self.backend(expected))

    def backend(self, expected: int = 0) -> Backend:
        """The backend for `predictor`: ONNX Runtime, or torch if `runtime` gives None."""
        if self.int8 is not None:
            return Int8Backend(self, self.int8, expected)
        runtime = self.runtime(expected)
        return runtime if runtime is not None else self.classifier().backend

    def runtime(self, expected: int = 0) -> RuntimeBackend | None:
        """The network for ONNX Runtime; None if that is not installed, or if the weights are not from a file."""
        if self.source is None or not sessions.installed():
            return None

        def torch() -> TorchBackend:
            return self.classifier().backend

        steps = self.network.shapes(self.input_shape, len(self.classes))
        return RuntimeBackend(steps, self.weights, self.standardise, self.source, torch, expected)

    def classifier(self, device: str = "cpu") -> Classifier:
        """The same model as a Classifier, with its torch module on `device`, in evaluation mode."""
        import torch

        from pellucid.classifier.classifier import Classifier

        if device == "cpu":
            keep_memory()
        # on the meta device a layer has shapes but no numbers, so torch's random generator keeps its state
        with torch.device("meta"):
            module = self.network.module(self.input_shape, len(self.classes))
        tensors = {name: torch.from_numpy(numbers) for name, numbers in self.weights.items()}
        module.load_state_dict(tensors, assign=True)
        arguments = self.network, _placed(module, device), self.classes, self.form, self.standardise, self.temperature
        return Classifier(*arguments, self.pixel_limit, self.ranges, self.thresholds)


def _placed(module: torch.nn.Module, device: str) -> torch.nn.Module:
    import torch

    return module.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
