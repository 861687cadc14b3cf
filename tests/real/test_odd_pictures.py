"""Every available odd file is decoded or refused with its reason. Needs the data beside the checkout."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from pellucid.errors import PictureError
from pellucid.pictures.catalog import scan
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.reading import read
from pellucid.pictures.store import build
from pellucid.steps import result_of

ODD = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "odd"
if not ODD.is_dir():
    pytest.skip(f"NOT TESTED: the odd pictures are missing, {ODD} is no folder", allow_module_level=True)

# every other file holds a picture
REFUSED = {
    "broken/broken.png": "damaged PNG: its header cannot be read",
    "broken/broken_data_stream.png": "damaged PNG: unrecognized data stream contents",
    "broken/decompression_bomb.gif": "4364.7 megapixels, over the limit of 100",
    "broken/png_decompression_dos.png": "damaged PNG: text in it that unpacks to more",
    "broken/truncated_end_chunk.png": "truncated: ",
    "broken/truncated_image.png": "truncated: ",
    "broken/truncated_jpeg.jpg": "truncated: ",
    "broken/unknown_compression_method.png": "damaged PNG: its header cannot be read",
    "broken/zero_width.gif": "zero width",
    "unusual/ultrahdr.jpg": "truncated: ",  # ends with the header of its first scan: there is no pixel in it
}
FILES = sorted(path.relative_to(ODD).as_posix() for path in ODD.rglob("*") if path.is_file())


def picture(name: str) -> np.ndarray:
    return decode(read(ODD / name))


def difference(one: str, other: str) -> float:
    """Mean absolute difference of two pictures of one size, of 255."""
    return float(abs(picture(one).astype(int) - picture(other)).mean())


@pytest.mark.parametrize("name", FILES)
def test_decoded_or_refused(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if name in REFUSED:
            with pytest.raises(PictureError) as caught:
                picture(name)
            assert caught.value.reason.startswith(REFUSED[name])
        else:
            image = picture(name)
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert image.shape[2] == 3
            assert image.size


def test_the_list_is_of_files_that_are_there() -> None:
    assert set(REFUSED) <= set(FILES)
    assert len(FILES) == 65


@pytest.mark.parametrize("number", range(9))
def test_portraits_are_upright(number: int) -> None:
    assert picture(f"exif_orientation/Portrait_{number}.jpg").shape == (1800, 1200, 3)
    assert difference(f"exif_orientation/Portrait_{number}.jpg", "exif_orientation/Portrait_1.jpg") < 10


@pytest.mark.parametrize("number", range(2, 9))
def test_hoppers_are_upright(number: int) -> None:
    assert difference(f"exif_orientation/hopper_orientation_{number}.jpg", "unusual/hopper.bmp") < 8


@pytest.mark.parametrize("name", ["hopper.tif", "hopper.gif", "hopper.webp", "hopper.Lab.tif"])
def test_one_picture_in_many_formats(name: str) -> None:
    assert difference(f"unusual/{name}", "unusual/hopper.bmp") < 8


def test_modes() -> None:
    assert difference("unusual/pil_sample_cmyk.jpg", "unusual/tiff_strip_cmyk_jpeg.tif") < 2
    assert difference("unusual/transparent.png", "unusual/transparent.webp") < 3
    assert difference("unusual/transparent.png", "unusual/transparent.gif") < 12
    assert picture("unusual/transparent.png")[0, 0].tolist() == [255, 255, 255]  # a clear corner
    assert picture("unusual/tRNS_null_1x1.png").tolist() == [[[255, 255, 255]]]
    # up to 285, and the file states 77 for black and 837 for white: (285 - 77) / 760 * 255 = 69.8
    assert picture("unusual/16_bit_noise.tif").max() == 70
    assert picture("unusual/multipage.tiff")[0, 0].tolist() == [0, 128, 0]  # its first page is green
    assert picture("unusual/xmp_tags_orientation.png").shape == (268, 326, 3)


def test_the_store_has_all_of_them(tmp_path: Path) -> None:
    store = result_of(build(scan(ODD), Form(32, 32), tmp_path))
    assert {bad.path for bad in store.catalog.quarantine} == set(REFUSED)
    assert len(store) == len(FILES) - len(REFUSED)
