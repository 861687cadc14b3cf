"""The range of a data set: measured once, saved with the store, and the same for every picture."""

from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

from pellucid.pictures import store as stores
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.measure import measure
from pellucid.pictures.ranges import FULL, Ranges
from pellucid.pictures.store import Decoding, Store, build
from pellucid.steps import result_of

Make = Callable[..., bytes]
FORM = Form(16, 16)


def blurred(seed: int, low: float, high: float) -> np.ndarray:
    """A smooth picture whose values fill part of the range."""
    random = np.random.default_rng(seed)
    steep = np.add.outer(np.linspace(0, random.random(), 24), np.linspace(0, random.random(), 24))
    return low + (high - low) * (steep + random.random((24, 24)) / 10) / 2.1


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def finished(steps: Generator[Decoding, None, Store]) -> Store:
    return result_of(steps)


@pytest.fixture
def detector(tmp_path: Path, encode: Make) -> Path:
    """Two classes of 12-bit grey in 16-bit files, which use only the values from about 800 to 1200."""
    pictures = {
        f"{name}/{number}.png": blurred(number + 10 * k, 800, 1200)
        for k, name in enumerate("ab")
        for number in range(4)
    }
    return write(
        tmp_path / "data", {name: encode(values.astype(np.uint16), "PNG") for name, values in pictures.items()}
    )


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_the_depth_that_the_values_fill(tmp_path: Path, encode: Make, bits: int) -> None:
    files = {}
    for number in range(6):
        values = blurred(number, 0, 2**bits - 1).astype(np.uint16)
        values[0, 0] = 2**bits - 1
        files[f"{'ab'[number % 2]}/{number}.png"] = encode(values, "PNG")
    measured = measure(scan(write(tmp_path, files)), 10**6)
    assert measured == Ranges(integer=(0, 2**bits - 1))
    assert measured.sentences == (
        f"pictures of more than 8 bits: 0 becomes black and {2**bits - 1:,} becomes white ({bits} bits)",
    )


def test_values_that_use_less_than_half(detector: Path) -> None:
    measured = measure(scan(detector), 10**6)
    assert measured.real is None
    assert measured.integer is not None
    assert 800 <= measured.integer[0] < 850
    assert 1000 < measured.integer[1] <= 1200
    assert "as measured over the training folder" in measured.sentences[0]


def test_a_few_odd_values_do_not_count(tmp_path: Path, tiff: Make) -> None:
    files, odd = {}, [65535, 0]
    for number in range(6):
        values = blurred(number, 1000, 1200).astype(np.uint16)
        values[:1, : number % 2] = odd[number % 2]
        files[f"{'ab'[number % 2]}/{number}.tif"] = tiff(values)
    measured = measure(scan(write(tmp_path, files)), 10**6).integer
    assert measured is not None
    assert 1000 <= measured[0] < measured[1] <= 1200


def test_floats_have_a_range_of_their_own(tmp_path: Path, tiff: Make, encode: Make) -> None:
    files = {f"a/{number}.tif": tiff(blurred(number, 0, 1).astype(np.float32) * 2) for number in range(3)}
    for number in range(3):
        values = blurred(number, 0, 4095).astype(np.int32)
        values[:3] = -9999
        files[f"b/{number}.tif"] = tiff(values, tags={42113: b"-9999\0"})
    measured = measure(scan(write(tmp_path, files)), 10**6)
    assert measured.integer is not None
    assert measured.real is not None
    assert measured.integer[0] >= 0
    assert 0 <= measured.real[0] < measured.real[1] <= 2
    assert len(measured.sentences) == 2


def test_what_all_files_state(tmp_path: Path, tiff: Make) -> None:
    files = {
        f"{'ab'[n % 2]}/{n}.tif": tiff(blurred(n, 0, 3000).astype(np.uint16), tags={341: [3000]}) for n in range(4)
    }
    assert measure(scan(write(tmp_path, files)), 10**6).integer == (0, 3000)
    other = tiff(blurred(9, 0, 3000).astype(np.uint16), tags={341: [3500]})
    assert measure(scan(write(tmp_path, {"a/9.tif": other})), 10**6).integer == (0, 4095)


def test_8_bits_are_not_measured(animals: Path, encode: Make) -> None:
    assert measure(scan(animals), 10**6) == Ranges()
    dark = (blurred(1, 0, 40).astype(np.uint16)) * 257
    assert measure(scan(write(animals, {"cat/dark.png": encode(dark, "PNG")})), 10**6).integer == FULL


def test_only_pictures_to_train_on_are_measured(tmp_path: Path, encode: Make) -> None:
    files = {}
    for side, white in (("train", 4095), ("test", 60000)):
        for number in range(3):
            for name in "ab":
                values = blurred(number + 5 * (name == "b"), 0, white).astype(np.uint16)
                values[0, 0] = white
                files[f"{side}/{name}/{number}.png"] = encode(values, "PNG")
    assert measure(scan(write(tmp_path, files)), 10**6).integer == (0, 4095)


def test_files_that_cannot_be_used_are_left_out(detector: Path, encode: Make) -> None:
    before = measure(scan(detector), 10**6)
    cut = encode(np.full((24, 24), 60000, np.uint16), "PNG")[:-30]
    write(detector, {"a/cut.png": cut, "a/text.txt": b"no picture", "a/empty.tif": b""})
    assert measure(scan(detector), 10**6) == before


# ------------------------------------------------------------------------------------------------ the store


def test_the_store_decodes_with_the_range_and_keeps_it(detector: Path, tmp_path: Path, monkeypatch) -> None:
    store = finished(build(scan(detector), FORM, tmp_path / "cache", 10**6))
    assert store.ranges == measure(scan(detector), 10**6)
    for row, picture in enumerate(store.catalog.pictures):
        data = (detector / picture.path).read_bytes()
        assert np.array_equal(store.images[row], FORM.apply(decode(data, ranges=store.ranges)))
    assert np.ptp(store.images) > 200

    def refuse(*_: object) -> Ranges:
        raise AssertionError("an unchanged store is not measured again")

    monkeypatch.setattr(stores, "measure", refuse)
    assert finished(build(scan(detector), FORM, tmp_path / "cache", 10**6)).ranges == store.ranges


def test_pixels_seen_in_another_range_are_not_taken_over(detector: Path, tmp_path: Path, encode: Make) -> None:
    first = finished(build(scan(detector), FORM, tmp_path / "cache", 10**6))
    images = first.images.copy()
    write(detector, {f"a/bright{n}.png": encode(blurred(n, 0, 60000).astype(np.uint16), "PNG") for n in range(3)})
    second = finished(build(scan(detector), FORM, tmp_path / "cache", 10**6))
    assert second.ranges != first.ranges
    for row, picture in enumerate(second.catalog.pictures):
        data = (detector / picture.path).read_bytes()
        assert np.array_equal(second.images[row], FORM.apply(decode(data, ranges=second.ranges)))
    assert not np.array_equal(second.images[0], images[0])


def test_pixels_in_the_same_range_are_taken_over(animals: Path, tmp_path: Path, photo: Make) -> None:
    finished(build(scan(animals), FORM, tmp_path / "cache", 10**6))
    write(animals, {"cat/new.png": photo(99)})
    steps = list(build(scan(animals), FORM, tmp_path / "cache", 10**6))
    assert steps[-1].reused == 6
