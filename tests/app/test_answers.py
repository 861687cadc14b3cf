"""Text and pictures on standard input, and the form of rows."""

import io
from pathlib import Path

import pytest
from PIL import Image

from pellucid import load
from pellucid.app import answers, lists
from pellucid.classifier.predict.prediction import Prediction


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "ICO", "JPEG2000"])
def test_no_picture_passes_for_text(form: str) -> None:
    for colour in ((255, 255, 255), (120, 60, 33)):
        stream = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(stream, form)
        assert not lists.is_list(stream.getvalue()[:4096])


@pytest.mark.parametrize(
    "text", [b"a.png", b"a.png\nb.png\n", b"a.png\r\nb.png", "grün.png\n".encode(), b"caf\xe9.png\n", b"P6.png\n"]
)
def test_paths_are_text(text: bytes) -> None:
    assert lists.is_list(text)


def test_wide_and_long_class_names_keep_the_columns(trained: Path) -> None:
    from dataclasses import replace

    classifier = replace(load(trained), classes=("猫", "mouse", "new\nline")).predictor
    stream = io.StringIO()
    for label in classifier.classes:
        answers._table(Prediction("x.png", label, 0.5, {label: 0.5}), classifier, 1, stream)
    answers._table(Prediction("x.png", error="bad"), classifier, 1, stream)
    # the widest is new\nline, written with a backslash: 9 cells; a Chinese letter takes two
    assert stream.getvalue().splitlines() == [
        "猫          50.0%  x.png",
        "mouse       50.0%  x.png",
        "new\\nline   50.0%  x.png",
        "–                  x.png: bad",
    ]


def test_a_class_name_beyond_all_measure_pushes_only_its_own_row(trained: Path) -> None:
    from dataclasses import replace

    classifier = replace(load(trained), classes=("a", "b" * 200)).predictor
    stream = io.StringIO()
    answers._table(Prediction("x.png", "a", 1.0, {"a": 1.0}), classifier, 1, stream)
    assert stream.getvalue() == f"a{' ' * 29}  100.0%  x.png\n"
