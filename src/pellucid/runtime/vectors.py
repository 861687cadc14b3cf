"""Vector operations that Numba lacks: whole vectors of 512 bits in registers, multiplied, added and transposed.

These functions build LLVM instructions, for kernels that are mostly Python. Narrower processors take two or four
registers for each vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

LANES = 16  # numbers of 32 bits in a vector
_FEATURES = binding.get_host_cpu_features()
WHOLE = bool(_FEATURES.get("avx512f"))
"""Whether one register holds a vector."""
# of 32 registers of 512 bits, minus those read; of 16 of 256, or 32 of 128 bits, with two or four per vector
SUMS = 24 if WHOLE else 6
"""Accumulators that stay in registers."""
PAIRS = bool(_FEATURES.get("avx512bf16"))
"""Whether this processor multiplies bfloat16 in pairs."""

WORDS = ir.VectorType(ir.IntType(32), LANES)
FLOATS = ir.VectorType(ir.FloatType(), LANES)
UNALIGNED: Any = {"align": 4}

written_out: Any = intrinsic(prefer_literal=True)
"""Marks a function (typing, arguments ...) that returns its signature and its builder of instructions."""


class _BFloat(ir.Type):
    """bfloat16, which llvmlite does not name."""

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _BFloat)

    def __hash__(self) -> int:
        return hash(_BFloat)


_PAIRS = ir.VectorType(_BFloat(), 2 * LANES)


def flat(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> list[Any]:
    """The arguments, each array as the address of its first number."""
    return [
        context.make_array(kind)(context, build, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def vector_at(build: ir.IRBuilder, numbers: Any, at: Any) -> Any:
    """The address of the vector that starts at number `at`."""
    return build.bitcast(build.gep(numbers, [at]), FLOATS.as_pointer())


def spread(build: ir.IRBuilder, number: Any) -> Any:
    """A vector that repeats one number."""
    undefined = ir.Constant(FLOATS, ir.Undefined)
    index = ir.IntType(32)
    one = build.insert_element(undefined, number, index(0))
    return build.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(index, LANES), [0] * LANES))


def multiply_add(build: ir.IRBuilder, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once if the processor can."""
    contract: Any = {"flags": ("contract",)}
    return build.fadd(build.fmul(a, b, **contract), c, **contract)


def loop(build: ir.IRBuilder, count: Any, values: list[Any], body: Callable[..., list[Any]]) -> list[Any]:
    """`values` after `count` turns of `body`, which gets the previous ones; at least one turn runs."""
    before = build.basic_block
    again, done = build.append_basic_block("turn"), build.append_basic_block("done")
    build.branch(again)
    build.position_at_end(again)
    turn = build.phi(count.type)
    turn.add_incoming(count.type(0), before)
    phis = [build.phi(value.type) for value in values]
    for phi, value in zip(phis, values, strict=True):
        phi.add_incoming(value, before)
    after = body(turn, list(phis))
    following = build.add(turn, count.type(1))
    turn.add_incoming(following, build.basic_block)
    for phi, value in zip(phis, after, strict=True):
        phi.add_incoming(value, build.basic_block)
    build.cbranch(build.icmp_unsigned("<", following, count), again, done)
    build.position_at_end(done)
    return after


def multiply(build: ir.IRBuilder, total: Any, one: Any, other: Any, bits: int) -> Any:
    """total + one * other: for words that are float32, or pairs of bfloat16 whose products are both added."""
    if bits == 32:
        return multiply_add(build, build.bitcast(one, FLOATS), build.bitcast(other, FLOATS), total)
    kind = ir.FunctionType(FLOATS, [FLOATS, _PAIRS, _PAIRS])
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    function = build.module.globals.get(name) or ir.Function(build.module, kind, name)
    return build.call(function, [total, build.bitcast(one, _PAIRS), build.bitcast(other, _PAIRS)])


def all_lanes(value: int) -> Any:
    """A vector that repeats one word."""
    return ir.Constant(WORDS, [value] * LANES)


def spread_word(build: ir.IRBuilder, word: Any) -> Any:
    return build.bitcast(spread(build, build.bitcast(word, ir.FloatType())), WORDS)


def rounded(build: ir.IRBuilder, numbers: Any) -> Any:
    """float32 -> the nearest bfloat16 in the lower half of a word, ties to even."""
    words = build.bitcast(numbers, WORDS)
    odd = build.and_(build.lshr(words, all_lanes(16)), all_lanes(1))
    nearest = build.lshr(build.add(build.add(words, all_lanes(0x7FFF)), odd), all_lanes(16))
    return build.select(build.fcmp_unordered("uno", numbers, numbers), all_lanes(0x7FC0), nearest)


def word_at(build: ir.IRBuilder, numbers: Any, at: Any) -> Any:
    return build.bitcast(build.load(build.gep(numbers, [at])), ir.FloatType())


def words_at(build: ir.IRBuilder, numbers: Any, at: Any) -> Any:
    return build.load(build.bitcast(build.gep(numbers, [at]), WORDS.as_pointer()), **UNALIGNED)


def load_words(build: ir.IRBuilder, numbers: Any, at: Any, kind: Any) -> Any:
    """A vector from words of any size."""
    return build.load(build.bitcast(build.gep(numbers, [at]), ir.VectorType(kind, LANES).as_pointer()), align=1)


def store_words(build: ir.IRBuilder, numbers: Any, at: Any, values: Any) -> None:
    build.store(values, build.bitcast(build.gep(numbers, [at]), values.type.as_pointer()), align=1)


@written_out
def turn_square(
    typing: Any, numbers: Any, at: Any, columns: Any, turned: Any, to: Any, rows: Any, bits: Any
) -> Any:  # fmt: skip
    """Transpose LANES by LANES numbers of `bits` bits, from numbers[at:] to turned[to:], on flat arrays.

    `columns`: numbers to the next row of `numbers`; `rows`: to the next row of `turned`. In each of four steps, each
    two rows swap halves.
    """
    kind = ir.IntType(bits.literal_value)

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        numbers, at, columns, turned, to, rows, _ = flat(context, build, signature, arguments)
        number, index = at.type, ir.VectorType(ir.IntType(32), LANES)
        block = [load_words(build, numbers, build.add(at, build.mul(columns, number(r))), kind) for r in range(LANES)]
        for step in (1, 2, 4, 8):
            upper = ir.Constant(index, [LANES + i - step if i & step else i for i in range(LANES)])
            lower = ir.Constant(index, [LANES + i if i & step else i + step for i in range(LANES)])
            for r in range(LANES):
                if not r & step:
                    pair = block[r], block[r + step]
                    block[r], block[r + step] = (build.shuffle_vector(*pair, mask) for mask in (upper, lower))
        for r in range(LANES):
            store_words(build, turned, build.add(to, build.mul(rows, number(r))), block[r])

    return types.void(numbers, types.intp, types.intp, turned, types.intp, types.intp, bits), generate
