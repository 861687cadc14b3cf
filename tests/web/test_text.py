"""The notation of numbers, and the way from a place to an address and back."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from pellucid.glassbox.arithmetic.precision import limited


def evaluated(page: Page, module: str, code: str, argument: Any = None) -> Any:
    return page.evaluate(f"async (argument) => {{ const m = await import('./{module}'); return {code}; }}", argument)


def test_at_most_seven_digits_or_every_one(modules: Page) -> None:
    numbers = [0.1, 1 / 3, float(np.float32(1 / 3)), -1234.56789, 1e-9, 0, 12345678]
    assert evaluated(modules, "format.js", "argument.map((value) => m.number(value))", numbers) == [
        *("0.1", "0.3333333", "0.3333333", "−1234.568", "1e−9", "0", "12345680")
    ]
    assert evaluated(modules, "format.js", "argument.map((value) => m.exact(value))", numbers) == [
        *("0.1", "0.3333333333333333", "0.33333334", "−1234.56789", "1e−9", "0", "12345678")
    ]


def test_every_float32_reads_back(modules: Page) -> None:
    drawn = np.random.default_rng(3).standard_normal(300) * 10.0 ** np.arange(-30, 30).repeat(5)
    numbers = drawn.astype(np.float32)
    texts = evaluated(modules, "format.js", "argument.map((value) => m.exact(value))", numbers.tolist())
    assert np.array_equal(np.array([text.replace("−", "-") for text in texts], np.float32), numbers)
    assert max(map(len, texts)) < 17


def test_what_is_not_shown_is_told(modules: Page) -> None:
    # 0.14 + 0.14 = 0.28 is shown as 0.1 + 0.1 = 0.3
    assert evaluated(modules, "format.js", "m.leftOut([0.14, 0.14], 0.28, 1)") == pytest.approx(0.1)
    assert evaluated(modules, "format.js", "m.decimals([12.5, 0.001], 4)") == 2


def test_an_error_function_as_good_as_pythons(modules: Page) -> None:
    from math import erf

    numbers = np.linspace(-7, 7, 141).tolist()
    result = evaluated(modules, "arithmetic/expression.js", "argument.map(m.erf)", numbers)
    assert result == pytest.approx([erf(number) for number in numbers], rel=1e-14, abs=0)


@pytest.mark.parametrize("precision", ["", "float32", "float16", "bfloat16"])
def test_the_range_of_a_dtype_as_in_python(modules: Page, precision: str) -> None:
    random = np.random.default_rng(7)
    numbers = np.concatenate([random.standard_normal(2000) * 2.0 ** random.uniform(-160, 140, 2000), [0, 65519, 65520]])
    result = evaluated(
        modules, "arithmetic/precision.js", f"argument.map((n) => m.limited(n, '{precision}'))", numbers.tolist()
    )
    expected = limited(numbers, precision)
    assert precision == "" or (expected != numbers).any()
    assert np.array_equal(np.array(result, np.float64), expected)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"name": "residual2.body.conv1", "index": [3, 10, 12], "direction": "backward", "exact": True},
        {"name": "loss", "index": []},
        {"name": "conv1", "cursor": [1, 2, 3], "scale": "network", "open": ["residual1", "residual2"]},
        {"name": "a/b?c#d", "index": [0], "page": 3, "channel": 2, "sorted": "size"},
    ],
)
def test_an_address_says_the_whole_state(modules: Page, state: dict[str, Any]) -> None:
    result = evaluated(
        modules, "store.js", "[{...m.START, ...argument}, m.read(m.address({...m.START, ...argument}))]", state
    )
    assert result[1].pop("given").startswith("#/")  # the address itself, until the reader moves
    assert result[0].pop("given") == ""
    assert result[0] == result[1]
