"""The display of the article's lessons: at 80 columns, in a file, in colour."""

import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from pellucid.app.lessons import show
from pellucid.lessons.walk import NAMES, lessons

PHOTO = np.random.default_rng(5).integers(0, 256, (36, 36, 3)).astype(np.uint8)

SIX_BY_SIX = """\
picture                          filter      output
 [18] [54] [51] 239  244  188    [1][0][1]   [429] 505  686  856
 [55][121] [75]  78   95   88    [0][1][0]    261  792  412  640
 [35] [24][204] 113  109  221    [1][0][1]    633  653  851  751
   3  154  104  235   25  130                 608  913  713  657
  15  253  225  159   78  233
  68   85  180  214  245    0

output[y, x] = sum over ky, kx of picture[y + ky, x + kx] * filter[ky, kx]
                                           term   sum so far
  picture[0, 0] * filter[0, 0]   18 * 1      18           18
  picture[0, 1] * filter[0, 1]   54 * 0       0           18
  picture[0, 2] * filter[0, 2]   51 * 1      51           69
  picture[1, 0] * filter[1, 0]   55 * 0       0           69
  picture[1, 1] * filter[1, 1]   121 * 1    121          190
  picture[1, 2] * filter[1, 2]   75 * 0       0          190
  picture[2, 0] * filter[2, 0]   35 * 1      35          225
  picture[2, 1] * filter[2, 1]   24 * 0       0          225
  picture[2, 2] * filter[2, 2]   204 * 1    204          429
  output[0, 0] = 429
"""


def printed(only: str | None = None, width: int = 80, **settings: object) -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    show(lessons(PHOTO, only=only), Console(file=stream, width=width, highlight=False, **settings))  # type: ignore[arg-type]
    stream.flush()
    return stream.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_a_lesson_as_it_is_printed() -> None:
    text = printed("six-by-six")
    assert text.splitlines()[0] == f"6x6 with a 3x3 filter{'six-by-six':>59}"
    assert SIX_BY_SIX in text


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text = printed(width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    for name in NAMES:
        assert f" {name}\n" in text
    assert "219,801" in text
    assert "1 * (0.75 + log(1.41686) - (-0.125)) = 1.22344" in text


def test_in_a_file_there_is_no_escape() -> None:
    assert "\x1b" not in printed()


def test_a_photograph_in_a_terminal_is_shades_of_grey() -> None:
    colour = {"force_terminal": True, "color_system": "truecolor"}
    assert printed("edges-and-blur", **colour).count("▀") == 6 * 36 * 18
    assert "▀" not in printed("edges-and-blur", **colour, no_color=True)
    assert "▀" not in printed("edges-and-blur")


def test_a_long_sum_shows_its_first_and_last_terms() -> None:
    text = printed("depth")
    assert "… 68 more" in text
    assert "bias[1]" in text
    assert text.count("picture[") == 7 + 1  # the lines of the table and the rule


def test_sums_on_one_line() -> None:
    text = printed("training-backward")
    assert "gradient of conv1[0, 0, 0] = 0 * (1.5 > 0) = 0\n" in text
    assert "largest of 1.5, 3, 0.5, 1.5 = 3\n" in printed("training-forward")
