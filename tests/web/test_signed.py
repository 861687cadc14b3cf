"""Signed numbers have the same colours on the page and in the pictures that Python draws: one table."""

import re

import numpy as np
import pytest
from playwright.sync_api import Page

from pellucid.glassbox.page.offline import WEB
from pellucid.glassbox.why import colormap as signed


def test_the_page_has_pythons_table(modules: Page) -> None:
    table = modules.evaluate(
        """async () => {
            const { LIGHT, MIDDLE, STEPS, STRONGEST, LUMA } = await import("./signed.js");
            return { ...LIGHT, MIDDLE, STEPS, STRONGEST, LUMA };
        }"""
    )
    sides = {"above": signed.ABOVE, "below": signed.BELOW}
    named = {name: getattr(signed, name) for name in ("MIDDLE", "STEPS", "STRONGEST")}
    expected = {"paper": list(signed.PAPER), **{name: [list(each) for each in side] for name, side in sides.items()}}
    assert table == {**expected, **named, "LUMA": list(signed.LUMA)}


@pytest.mark.parametrize("scale", [0.7, 3.0, 0.0])
def test_every_shade_is_pythons(modules: Page, scale: float) -> None:
    numbers = np.linspace(-1, 1, 2001, dtype=np.float32)
    numbers = np.concatenate([numbers, np.array([np.nan, np.inf, -np.inf, 1e-30, -1e-30], np.float32)])
    shown = modules.evaluate(
        """async ([numbers, scale]) => {
            const { signedImage } = await import("./colors.js");
            const data = Float32Array.from(numbers, Number);
            return [...signedImage(data, data.length, 1, scale).data];
        }""",
        [[str(number).replace("inf", "Infinity") for number in numbers.tolist()], scale],
    )
    pixels = np.array(shown).reshape(-1, 4)
    assert pixels[:, :3].tolist() == signed.shade(numbers[None], scale)[0].tolist()
    assert (pixels[:, 3] == 255).all()


def test_the_style_has_the_same_colours(modules: Page) -> None:
    """Everything outside a canvas: grids, bars and legends, on cards of the same paper."""
    style = (WEB / "base.css").read_text(encoding="utf-8")
    themes = modules.evaluate("import('./signed.js').then(({ LIGHT, DARK }) => [LIGHT, DARK])")
    for name, of in (("above", "above"), ("below", "below"), ("card", "paper")):
        both = re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\);", style)
        assert both is not None, name
        for theme, written in zip(themes, both.groups(), strict=True):
            color = theme[of] if of == "paper" else theme[of][0]
            digits = "".join(2 * digit for digit in written[1:]) if len(written) == 4 else written[1:]
            assert [int(digits[at : at + 2], 16) for at in (0, 2, 4)] == color, (name, written)
