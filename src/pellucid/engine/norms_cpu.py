"""Batch norm and the ReLU behind it in two passes over the maps, compiled by Numba; and two passes on the way back.

Maps are rows of channels (channels-last), float32 or bfloat16, and come as addresses. A row is `vectors` times LANES
numbers; channels that do not fill vectors come as several places in one row. Each job takes some rows and writes its
own sums, so the number of threads changes no bit. Numbers are computed in float32.

Every kernel gets the address of NUMBERS int64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import register_jitable
from numba.np.numpy_support import carray

from pellucid.runtime.compiled import for_team
from pellucid.runtime.team import next_job, voidptr
from pellucid.runtime.vectors import FLOATS, LANES, WORDS, all_lanes, loop, multiply_add, rounded, written_out

DEEP = 4  # rows that are added up before their sum goes to memory
HALVES = ir.VectorType(ir.IntType(16), LANES)
WORD = ir.IntType(64)


# What the numbers of a kernel's argument are. In the plural: the address of the first of many.
NEXT = 0  # job, of the team
JOBS = 1
EACH = 2  # rows of a job; the last one may have fewer
ROWS = 3
VECTORS = 4  # of a row
CHANNELS = 5
MAPS = 6  # the input
GRADS = 7  # of the output
RESULTS = 8  # what is written: the output, or the input's gradient
FIRST_SUMS = 9  # float32 (jobs, row)
SECOND_SUMS = 10
SCALES = 11  # output = input * scale + offset, a float32 for each number of a row
OFFSETS = 12
MEANS = 13
INVERSES = 14  # 1 / sqrt(variance + eps)
CONSTANTS = 15  # input's gradient = output's gradient * scale + input * slope + constant
SLOPES = 16
WEIGHTS = 17  # float32 (channels), as are those that follow
BIASES = 18
RUNNING_MEANS = 19  # 0 where there are none
RUNNING_VARIANCES = 20
BY_BATCH = 21  # 1 where the batch's own mean and variance count, else 0
MOMENTUM = 22  # the bits of a float64: of the running ones
EPS = 23  # likewise
WEIGHT_GRADS = 24
BIAS_GRADS = 25
NUMBERS = 26

NONE, RELU, RELU6 = range(3)
"""What follows the batch norm."""


class Kernels(NamedTuple):
    """Addresses of compiled functions."""

    moments: int
    """Of each job: the means of its rows, and the sums of squared differences from them."""
    fit: int
    """All that `normalise` reads, from the moments. Moves the running mean and variance. Called once, not by a team."""
    normalise: int
    sums_back: int
    """Of each job: the sums of the output's gradient, and of it times (input - mean)."""
    fit_back: int
    """The gradients of weight and bias, and what `back` reads. Called once."""
    back: int


@lru_cache
def kernels(bits: int, kind: int) -> Kernels:
    """For numbers of 32 or 16 bits, and one of NONE, RELU, RELU6."""
    made = _moments(bits), _fit(), _normalise(bits, kind), _sums_back(bits, kind), _fit_back(), _back(bits, kind)
    return Kernels(*(kernel.address for kernel in made))


@lru_cache
def _moments(bits: int) -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        vectors, maps = job[VECTORS], job[MAPS]
        width = vectors * LANES
        number = next_job(job.ctypes.data)
        while number < job[JOBS]:
            first = number * job[EACH]
            count = min(job[EACH], job[ROWS] - first)
            whole, at = count // DEEP, first * width
            rest = at + whole * DEEP * width
            mean_at = job[FIRST_SUMS] + 4 * number * width
            square_at = job[SECOND_SUMS] + 4 * number * width
            means, squares = _floats(mean_at, width), _floats(square_at, width)
            means[:] = 0
            squares[:] = 0
            if whole:
                _add_up(maps, at, whole, vectors, mean_at, mean_at, bits, DEEP, 0)
            if count > whole * DEEP:
                _add_up(maps, rest, count - whole * DEEP, vectors, mean_at, mean_at, bits, 1, 0)
            share = np.float32(1) / np.float32(count)
            for i in range(width):
                means[i] *= share
            # these rows are in the cache still
            if whole:
                _add_up(maps, at, whole, vectors, mean_at, square_at, bits, DEEP, 1)
            if count > whole * DEEP:
                _add_up(maps, rest, count - whole * DEEP, vectors, mean_at, square_at, bits, 1, 1)
            number = next_job(job.ctypes.data)

    return kernel


@lru_cache
def _fit() -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        channels, width, rows = job[CHANNELS], job[VECTORS] * LANES, job[ROWS]
        weights, biases = _floats(job[WEIGHTS], channels), _floats(job[BIASES], channels)
        settings = carray(address, NUMBERS, np.float64)
        momentum, eps = settings[MOMENTUM], settings[EPS]
        places = rows * (width // channels)
        mean, square = np.zeros(channels, np.float64), np.zeros(channels, np.float64)
        if job[BY_BATCH]:
            # from those of the jobs: Chan, Golub, LeVeque 1979, "Updating formulae ...", eq. 2.1
            firsts, seconds = _floats(job[FIRST_SUMS], job[JOBS] * width), _floats(job[SECOND_SUMS], job[JOBS] * width)
            for number in range(job[JOBS]):
                count = np.float64(min(job[EACH], rows - number * job[EACH]))
                for begin in range(number * width, (number + 1) * width, channels):
                    for c in range(channels):
                        mean[c] += count * firsts[begin + c]
            for c in range(channels):
                mean[c] /= places
            for number in range(job[JOBS]):
                count = np.float64(min(job[EACH], rows - number * job[EACH]))
                for begin in range(number * width, (number + 1) * width, channels):
                    for c in range(channels):
                        away = firsts[begin + c] - mean[c]
                        square[c] += seconds[begin + c] + count * away * away
        if job[RUNNING_MEANS]:
            means, variances = _floats(job[RUNNING_MEANS], channels), _floats(job[RUNNING_VARIANCES], channels)
            for c in range(channels):
                if job[BY_BATCH]:
                    means[c] = (1 - momentum) * means[c] + momentum * mean[c]
                    variances[c] = (1 - momentum) * variances[c] + momentum * square[c] / max(1, places - 1)
                else:
                    mean[c], square[c] = means[c], variances[c] * places
        for begin in range(0, width, channels):
            scales, offsets = _floats(job[SCALES] + 4 * begin, channels), _floats(job[OFFSETS] + 4 * begin, channels)
            middles, inverses = _floats(job[MEANS] + 4 * begin, channels), _floats(job[INVERSES] + 4 * begin, channels)
            for c in range(channels):
                inverse = 1 / np.sqrt(square[c] / places + eps)
                scales[c] = weights[c] * inverse
                offsets[c] = biases[c] - mean[c] * np.float64(scales[c])
                middles[c], inverses[c] = mean[c], inverse

    return kernel


@lru_cache
def _fit_back() -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        channels, width = job[CHANNELS], job[VECTORS] * LANES
        places = job[ROWS] * (width // channels)
        firsts, seconds = _floats(job[FIRST_SUMS], job[JOBS] * width), _floats(job[SECOND_SUMS], job[JOBS] * width)
        scales, means = _floats(job[SCALES], channels), _floats(job[MEANS], channels)
        inverses = _floats(job[INVERSES], channels)
        sums, products = np.zeros(channels, np.float64), np.zeros(channels, np.float64)
        for begin in range(0, job[JOBS] * width, channels):
            for c in range(channels):
                sums[c] += firsts[begin + c]
                products[c] += seconds[begin + c]
        weight_grads, bias_grads = _floats(job[WEIGHT_GRADS], channels), _floats(job[BIAS_GRADS], channels)
        share = np.float64(job[BY_BATCH]) / places
        for c in range(channels):
            products[c] *= inverses[c]
            weight_grads[c], bias_grads[c] = products[c], sums[c]
        # Ioffe & Szegedy 2015, section 3
        for begin in range(0, width, channels):
            constants = _floats(job[CONSTANTS] + 4 * begin, channels)
            slopes = _floats(job[SLOPES] + 4 * begin, channels)
            for c in range(channels):
                slope = -np.float64(scales[c]) * inverses[c] * products[c] * share
                slopes[c] = slope
                constants[c] = -np.float64(scales[c]) * sums[c] * share - slope * means[c]

    return kernel


def _normalise(bits: int, kind: int) -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        vectors = job[VECTORS]
        number = next_job(job.ctypes.data)
        while number < job[JOBS]:
            first = number * job[EACH]
            count = min(job[EACH], job[ROWS] - first)
            _write(
                job[MAPS], job[RESULTS], first * vectors * LANES, count, vectors,
                job[SCALES], job[OFFSETS], bits, kind,
            )  # fmt: skip
            number = next_job(job.ctypes.data)

    return kernel


def _sums_back(bits: int, kind: int) -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        vectors, maps, grads = job[VECTORS], job[MAPS], job[GRADS]
        scales, offsets, means = job[SCALES], job[OFFSETS], job[MEANS]
        width = vectors * LANES
        number = next_job(job.ctypes.data)
        while number < job[JOBS]:
            first = number * job[EACH]
            count = min(job[EACH], job[ROWS] - first)
            whole, at = count // DEEP, first * width
            rest = at + whole * DEEP * width
            sum_at = job[FIRST_SUMS] + 4 * number * width
            product_at = job[SECOND_SUMS] + 4 * number * width
            _floats(sum_at, width)[:] = 0
            _floats(product_at, width)[:] = 0
            if whole:
                _add_up_back(
                    maps, grads, at, whole, vectors, scales, offsets, means, sum_at, product_at, bits, DEEP, kind
                )
            if count > whole * DEEP:
                _add_up_back(
                    maps, grads, rest, count - whole * DEEP, vectors, scales, offsets, means, sum_at, product_at,
                    bits, 1, kind,
                )  # fmt: skip
            number = next_job(job.ctypes.data)

    return kernel


def _back(bits: int, kind: int) -> Any:
    @for_team
    def kernel(address: Any) -> None:
        job = carray(address, NUMBERS, np.int64)
        vectors = job[VECTORS]
        number = next_job(job.ctypes.data)
        while number < job[JOBS]:
            first = number * job[EACH]
            count = min(job[EACH], job[ROWS] - first)
            _write_back(
                job[MAPS], job[GRADS], job[RESULTS], first * vectors * LANES, count,
                vectors, job[SCALES], job[OFFSETS], job[CONSTANTS],
                job[SLOPES], bits, kind,
            )  # fmt: skip
            number = next_job(job.ctypes.data)

    return kernel


@written_out
def _add_up(
    typing: Any, maps: Any, at: Any, turns: Any, vectors: Any, means: Any, sums: Any, bits: Any, deep: Any, squares: Any
) -> Any:  # fmt: skip
    """Add `turns` times `deep` rows to `sums`, from number `at` on; with `squares`, (number - mean) squared."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        maps, at, turns, vectors, means, sums, *_ = arguments

        def add(places: list[Any], column: Any) -> None:
            numbers = [_load(build, maps, place, bits.literal_value) for place in places]
            if squares.literal_value:
                mean = _load(build, means, column, 32)
                numbers = [build.fsub(number, mean) for number in numbers]
                numbers = [build.fmul(number, number) for number in numbers]
            while len(numbers) > 1:
                numbers = [build.fadd(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
            _store(build, build.fadd(_load(build, sums, column, 32), numbers[0]), sums, column, 32)

        _over_rows(build, at, turns, deep.literal_value, vectors, add)

    return types.void(*[types.int64] * 6, bits, deep, squares), generate


@written_out
def _write(
    typing: Any, maps: Any, results: Any, at: Any, rows: Any, vectors: Any, scales: Any, offsets: Any, bits: Any,
    kind: Any,
) -> Any:  # fmt: skip
    """ReLU(number * scale + offset) of each number of so many rows, from number `at` on."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        maps, results, at, rows, vectors, scales, offsets, *_ = arguments

        def write(places: list[Any], column: Any) -> None:
            number = _load(build, maps, places[0], bits.literal_value)
            number = multiply_add(build, number, _load(build, scales, column, 32), _load(build, offsets, column, 32))
            if kind.literal_value != NONE:  # a NaN stays one
                number = build.select(build.fcmp_ordered("<", number, _all(0.0)), _all(0.0), number)
            if kind.literal_value == RELU6:
                number = build.select(build.fcmp_ordered(">", number, _all(6.0)), _all(6.0), number)
            _store(build, number, results, places[0], bits.literal_value)

        _over_rows(build, at, rows, 1, vectors, write)

    return types.void(*[types.int64] * 7, bits, kind), generate


@written_out
def _add_up_back(
    typing: Any, maps: Any, grads: Any, at: Any, turns: Any, vectors: Any, scales: Any, offsets: Any, means: Any,
    sums: Any, products: Any, bits: Any, deep: Any, kind: Any,
) -> Any:  # fmt: skip
    """Add the gradients that pass the ReLU to `sums`, and them times (number - mean) to `products`."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        maps, grads, at, turns, vectors, scales, offsets, means, sums, products, *_ = arguments

        def add(places: list[Any], column: Any) -> None:
            scale, offset, mean = (_load(build, each, column, 32) for each in (scales, offsets, means))
            total, product = (_load(build, each, column, 32) for each in (sums, products))
            for place in places:
                number = _load(build, maps, place, bits.literal_value)
                grad = _load(build, grads, place, bits.literal_value)
                grad = _passing(build, grad, number, scale, offset, kind.literal_value)
                total = build.fadd(total, grad)
                product = multiply_add(build, grad, build.fsub(number, mean), product)
            _store(build, total, sums, column, 32)
            _store(build, product, products, column, 32)

        _over_rows(build, at, turns, deep.literal_value, vectors, add)

    return types.void(*[types.int64] * 10, bits, deep, kind), generate


@written_out
def _write_back(
    typing: Any, maps: Any, grads: Any, results: Any, at: Any, rows: Any, vectors: Any, scales: Any, offsets: Any,
    constants: Any, slopes: Any, bits: Any, kind: Any,
) -> Any:  # fmt: skip
    """The input's gradient: that which passes the ReLU * scale + number * slope + constant."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        maps, grads, results, at, rows, vectors, scales, offsets, constants, slopes, *_ = arguments

        def write(places: list[Any], column: Any) -> None:
            number, grad = (_load(build, each, places[0], bits.literal_value) for each in (maps, grads))
            scale, offset, constant, slope = (
                _load(build, each, column, 32) for each in (scales, offsets, constants, slopes)
            )
            grad = _passing(build, grad, number, scale, offset, kind.literal_value)
            result = multiply_add(build, grad, scale, multiply_add(build, number, slope, constant))
            _store(build, result, results, places[0], bits.literal_value)

        _over_rows(build, at, rows, 1, vectors, write)

    return types.void(*[types.int64] * 10, bits, kind), generate


def _passing(build: ir.IRBuilder, grad: Any, number: Any, scale: Any, offset: Any, kind: int) -> Any:
    """The gradient where the ReLU let the number through, else 0."""
    if kind == NONE:
        return grad
    output = multiply_add(build, number, scale, offset)
    grad = build.select(build.fcmp_ordered("<=", output, _all(0.0)), _all(0.0), grad)
    return grad if kind == RELU else build.select(build.fcmp_ordered(">=", output, _all(6.0)), _all(0.0), grad)


def _over_rows(
    build: ir.IRBuilder, at: Any, turns: Any, deep: int, vectors: Any, work: Callable[[list[Any], Any], None]
) -> None:
    """`work` of each vector of `deep` rows at a time: the places of its first numbers, and that in a row."""
    width = build.mul(vectors, WORD(LANES))

    def turn(i: Any, _: list[Any]) -> list[Any]:
        first = build.add(at, build.mul(i, build.mul(width, WORD(deep))))

        def vector(j: Any, _: list[Any]) -> list[Any]:
            column = build.mul(j, WORD(LANES))
            place = build.add(first, column)
            work([build.add(place, build.mul(width, WORD(row))) for row in range(deep)], column)
            return []

        loop(build, vectors, [], vector)
        return []

    loop(build, turns, [], turn)


def _load(build: ir.IRBuilder, address: Any, at: Any, bits: int) -> Any:
    """LANES numbers from number `at` on, as float32."""
    place = build.add(address, build.mul(at, WORD(bits // 8)))
    if bits == 32:
        return build.load(build.inttoptr(place, FLOATS.as_pointer()), align=4)
    halves = build.load(build.inttoptr(place, HALVES.as_pointer()), align=2)
    return build.bitcast(build.shl(build.zext(halves, WORDS), all_lanes(16)), FLOATS)


def _store(build: ir.IRBuilder, numbers: Any, address: Any, at: Any, bits: int) -> None:
    place = build.add(address, build.mul(at, WORD(bits // 8)))
    if bits == 32:
        build.store(numbers, build.inttoptr(place, FLOATS.as_pointer()), align=4)
    else:
        halves = build.trunc(rounded(build, numbers), HALVES)
        build.store(halves, build.inttoptr(place, HALVES.as_pointer()), align=2)


def _all(value: float) -> Any:
    return ir.Constant(FLOATS, [value] * LANES)


@register_jitable
def _floats(address: Any, count: Any) -> Any:
    return carray(voidptr(address), count, np.float32)
