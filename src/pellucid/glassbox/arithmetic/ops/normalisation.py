"""Normalisation, by learned statistics (batch norm at inference) or by statistics of the input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from types import MappingProxyType

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, names, sqrt

INPUT, WEIGHT, BIAS, MEAN, VARIANCE = names("input", "weight", "bias", "mean", "variance")
RUNNING_MEAN, RUNNING_VAR = names("running_mean", "running_var")
SPACING = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
"""Distance between 1 and the next number."""


def batch_norm(
    input: Shape,
    weight: Shape | None = None,
    bias: Shape | None = None,
    running_mean: Shape | None = None,
    running_var: Shape | None = None,
    training: bool = False,
    eps: float = 1e-5,
) -> Op:
    """(input - mean) / sqrt(variance + eps) * weight + bias, by channel: Ioffe & Szegedy 2015, algorithms 1 and 2.

    At inference it uses the running mean and variance, in training those of the batch, through which the gradient
    passes too. input (B, C, ...), the others (C,).
    """
    axes = ["b", "c", *(f"d{axis}" for axis in range(2, len(input)))]
    ranges = dict(zip(axes, input, strict=True))
    whole, channel = at(*axes), at("c")
    learned = {name: shape for name, shape in (("weight", weight), ("bias", bias)) if shape is not None}
    maps = {OUT: whole, "input": whole, **dict.fromkeys(learned, channel)}
    shapes = {"input": input, **learned, OUT: input}
    if training or running_mean is None or running_var is None:
        stages = _statistics(ranges, {"input": whole}, channel, prod(input) // input[1])
        shapes |= {"mean": (input[1],), "variance": (input[1],)}
        final = Stage(OUT, ranges, maps | {"mean": channel, "variance": channel}, _normal(MEAN, VARIANCE, eps, learned))
        return Op("batch norm, in training", shapes, ("input", *learned), (*stages, final))
    running = {"running_mean": running_mean, "running_var": running_var}
    formula = _normal(RUNNING_MEAN, RUNNING_VAR, eps, learned)
    final = Stage(OUT, ranges, maps | dict.fromkeys(running, channel), formula)
    return Op("batch norm", shapes | running, ("input", *learned, *running), (final,))


def standardise(picture: Shape) -> Op:
    """From pixels 0..255 to the network's input: (picture / 255 - mean) / deviation, by channel."""
    pixels, deviation = names("picture", "deviation")
    axes = ["b", "c", "y", "x"]
    maps = {OUT: at(*axes), "picture": at(*axes), "mean": at("c"), "deviation": at("c")}
    stage = Stage(OUT, dict(zip(axes, picture, strict=True)), maps, (pixels / 255 - MEAN) / deviation)
    shapes = {"picture": picture, "mean": (picture[1],), "deviation": (picture[1],), OUT: picture}
    return Op("standardisation", shapes, ("picture", "mean", "deviation"), (stage,))


def layer_norm(
    input: Shape,
    normalized_shape: Sequence[int],
    weight: Shape | None = None,
    bias: Shape | None = None,
    eps: float = 1e-5,
) -> Op:
    """As `batch_norm`, over the last axes of each picture: Ba et al. 2016, "Layer normalization", eq. 4."""
    axes = [f"d{axis}" for axis in range(len(input))]
    lead, own = axes[: -len(normalized_shape)], axes[-len(normalized_shape) :]
    learned = {name: shape for name, shape in (("weight", weight), ("bias", bias)) if shape is not None}
    ranges, whole = dict(zip(axes, input, strict=True)), at(*axes)
    maps = {OUT: whole, "input": whole, **{name: at(*own) for name in learned}}
    shape = input[: len(lead)]
    stages = _statistics(ranges, {"input": whole}, at(*lead), prod(normalized_shape))
    final = Stage(OUT, ranges, maps | {"mean": at(*lead), "variance": at(*lead)}, _normal(MEAN, VARIANCE, eps, learned))
    shapes = {"input": input, **learned, "mean": shape, "variance": shape, OUT: input}
    return Op("layer norm", shapes, ("input", *learned), (*stages, final))


def group_norm(
    input: Shape, num_groups: int, weight: Shape | None = None, bias: Shape | None = None, eps: float = 1e-5
) -> Op:
    """As `batch_norm`, over groups of channels of each picture: Wu & He 2018, "Group normalization", eq. 7."""
    per = input[1] // num_groups
    axes = [f"d{axis}" for axis in range(2, len(input))]
    channel = Axis((("g", per), ("c", 1)))
    ranges = {"b": input[0], "g": num_groups, "c": per, **dict(zip(axes, input[2:], strict=True))}
    whole, group = at("b", channel, *axes), at("b", "g")
    learned = {name: shape for name, shape in (("weight", weight), ("bias", bias)) if shape is not None}
    maps = {OUT: whole, "input": whole, **{name: at(channel) for name in learned}}
    stages = _statistics(ranges, {"input": whole}, group, prod(input[1:]) // num_groups)
    final = Stage(OUT, ranges, maps | {"mean": group, "variance": group}, _normal(MEAN, VARIANCE, eps, learned))
    statistics = {"mean": (input[0], num_groups), "variance": (input[0], num_groups)}
    return Op(
        "group norm", {"input": input, **learned, **statistics, OUT: input}, ("input", *learned), (*stages, final)
    )


def instance_norm(
    input: Shape,
    weight: Shape | None = None,
    bias: Shape | None = None,
    running_mean: Shape | None = None,
    running_var: Shape | None = None,
    use_input_stats: bool = True,
    eps: float = 1e-5,
) -> Op:
    """As `batch_norm`, over each channel of each picture: Ulyanov et al. 2016, "Instance normalization", eq. 3.

    With running statistics, at inference, it equals batch norm. input (B, C, ...), the others (C,).
    """
    if use_input_stats or running_mean is None or running_var is None:
        return replace(group_norm(input, input[1], weight, bias, eps), kind="instance norm")
    op = batch_norm(input, weight, bias, running_mean, running_var, False, eps)
    return replace(op, kind="instance norm")


def rms_norm(
    input: Shape,
    normalized_shape: Sequence[int],
    weight: Shape | None = None,
    eps: float | None = None,
    types: Mapping[str, str] = MappingProxyType({}),
) -> Op:
    """input / sqrt(the mean square over the last axes + eps) * weight: Zhang & Sennrich 2019, eq. 4.

    The default `eps` is the spacing of the input's numbers at 1: 2^-23 in float32.
    """
    axes = [f"d{axis}" for axis in range(len(input))]
    lead, own = axes[: -len(normalized_shape)], axes[-len(normalized_shape) :]
    ranges, whole, each = dict(zip(axes, input, strict=True)), at(*axes), at(*lead)
    eps = SPACING[types.get("input", "float32")] if eps is None else eps
    square = names("mean_square")[0]
    formula = INPUT / sqrt(square + eps)
    maps = {OUT: whole, "input": whole, "mean_square": each}
    shapes: dict[str, Shape] = {"input": input, "mean_square": input[: len(lead)], OUT: input}
    inputs = ("input",)
    if weight is not None:
        formula, inputs = formula * WEIGHT, ("input", "weight")
        maps, shapes = maps | {"weight": at(*own)}, shapes | {"weight": weight}
    term = INPUT * INPUT * (1 / prod(normalized_shape))
    stages = (
        Stage("mean_square", ranges, {"mean_square": each, "input": whole}, term),
        Stage(OUT, ranges, maps, formula),
    )
    return Op("RMS norm", shapes, inputs, stages)


def _statistics(
    ranges: dict[str, int], source: dict[str, tuple[Axis, ...]], to: tuple[Axis, ...], count: int
) -> tuple[Stage, Stage]:
    """Mean and (biased) variance over `count` numbers."""
    mean = Stage("mean", ranges, source | {"mean": to}, INPUT * (1 / count))
    away = INPUT - MEAN
    return mean, Stage("variance", ranges, source | {"mean": to, "variance": to}, away * away * (1 / count))


def _normal(mean: Expression, variance: Expression, eps: float, learned: dict[str, Shape]) -> Expression:
    formula = (INPUT - mean) / sqrt(variance + eps)
    formula = formula * WEIGHT if "weight" in learned else formula
    return formula + BIAS if "bias" in learned else formula
