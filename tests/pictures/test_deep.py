"""Files with more than 8 bits a sample: the rows of the table in docs/why/decode.md, each with a file made here."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pellucid.errors import PictureError
from pellucid.pictures.decode import decode, samples_of
from pellucid.pictures.ranges import Ranges

Make = Callable[..., bytes]
RAMP = np.tile(np.arange(64), (64, 1))
NOISE = np.random.default_rng(3)


def grey(data: bytes, ranges: Ranges | None = None) -> np.ndarray:
    """The first channel; the three are equal."""
    image = decode(data) if ranges is None else decode(data, ranges=ranges)
    assert (image == image[..., :1]).all()
    return image[..., 0]


def row(values: list[float], kind: str) -> np.ndarray:
    return np.array([values], kind)


# -------------------------------------------------------------------------------- one file, judged on its own


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_bits_in_a_16_bit_file(encode: Make, tiff: Make, png: Make, bits: int) -> None:
    white = 2**bits - 1
    values = np.rint(RAMP / 63 * white).astype(np.uint16)
    expected = np.floor(values * (255 / white) + 0.5)
    files = [encode(values, form) for form in ("PNG", "TIFF", "PPM", "JPEG2000")]
    files += [tiff(values, order=">"), tiff(values.astype(np.uint32)), tiff(values.astype(np.int32), order=">")]
    files += [tiff(values.astype(kind)) for kind in (np.uint64, np.int64)]
    for data in files:
        assert np.array_equal(grey(data), expected)
    # colours and transparency have the same white; alpha is a share of 65535 in any case
    opaque = np.full_like(values, 65535)
    for channels in ([values] * 3, [values, opaque], [values] * 3 + [opaque]):
        assert np.array_equal(grey(png(np.stack(channels, -1))), expected)


def test_8_bits_written_as_16_stay_dark(encode: Make) -> None:
    dark = (RAMP % 7).astype(np.uint16)
    assert np.array_equal(grey(encode(dark * 257, "PNG")), dark)


def test_a_hot_pixel_changes_nothing_else(encode: Make) -> None:
    values = (RAMP * 60).astype(np.uint16)
    hot = values.copy()
    hot[0, 0] = 65535
    assert np.array_equal(grey(encode(hot, "PNG"))[1:], grey(encode(values, "PNG"))[1:])
    assert grey(encode(hot, "PNG"))[0, 0] == 255


def test_packed_bits(tiff: Make) -> None:
    for bits in (10, 12, 14):
        values = np.rint(RAMP[:2] / 63 * (2**bits - 1)).astype(np.uint16)
        bitwise = (values[..., None] >> np.arange(bits - 1, -1, -1) & 1).astype(np.uint8).reshape(2, -1)
        packed = np.packbits(bitwise, axis=1)
        data = tiff(packed, tags={256: [64], 258: [bits]})
        assert np.array_equal(grey(data), np.floor(values * (255 / (2**bits - 1)) + 0.5))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_are_shares_of_white_or_8_bits(tiff: Make, kind: str, order: str) -> None:
    assert grey(tiff(row([0, 0.5, 1], kind), order=order))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([0, 100, 255], kind), order=order))[0].tolist() == [0, 100, 255]
    assert grey(tiff(row([-10, 0, 10], kind), order=order))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([300, 400, 500], kind), order=order))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([-0.25, 0, 0.25], kind) / 8, order=order))[0].tolist() == [0, 128, 255]  # no overshoot


@pytest.mark.parametrize("odd", [1.02, 1.5, 300.0, -0.02, -9999.0, -3.4e38, 3.4e38, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_one_odd_float_changes_no_other(tiff: Make, odd: float, kind: str) -> None:
    plain = (RAMP / 63).astype(kind)
    values = plain.copy()
    values[0, 0] = odd
    assert np.array_equal(grey(tiff(values))[1:], grey(tiff(plain))[1:])
    assert grey(tiff(values))[0, 0] == (255 if 1 < odd < 1e30 else 0)


def test_filters_overshoot_and_nothing_jumps(tiff: Make) -> None:
    plain = (RAMP / 63).astype(np.float32)
    assert np.array_equal(grey(tiff(plain * 1.04 - 0.02)), np.floor(np.clip(plain * 1.04 - 0.02, 0, 1) * 255 + 0.5))
    # from 0 to 1.05 is a share of white, from 0 to 1.1 a measurement: the two differ by a twentieth, not by all
    assert grey(tiff(plain * 1.1))[0, 32] in (129, 130)


@pytest.mark.parametrize("marker", [-9999, -32768])
@pytest.mark.parametrize("kind", ["i2", "i4", "f4"])
def test_a_third_without_data(tiff: Make, marker: int, kind: str) -> None:
    values = (RAMP * 4).astype(kind)
    holes = values.copy()
    holes[:20] = marker
    assert np.array_equal(grey(tiff(holes))[20:], grey(tiff(values))[20:])
    assert not grey(tiff(holes))[:20].any()
    named = tiff(holes, tags={42113: f"{marker}\0".encode()})
    assert np.array_equal(grey(named), grey(tiff(holes)))


@pytest.mark.parametrize(("marker", "kind"), [(65535, "u2"), (32767, "i2"), (9999.0, "f4"), (1e20, "f8")])
def test_a_third_far_above(tiff: Make, marker: float, kind: str) -> None:
    values = (RAMP * 60 if kind == "u2" else RAMP * 4).astype(kind)
    holes = values.copy()
    holes[:20] = marker
    assert np.array_equal(grey(tiff(holes))[20:], grey(tiff(values))[20:])
    assert (grey(tiff(holes))[:20] == 255).all()


def test_a_mask_has_no_markers(tiff: Make) -> None:
    assert np.unique(grey(tiff(np.array([[0, 1, 1, 65535, 65535]] * 9, np.uint16)))).tolist() == [0, 255]
    page = np.full((64, 64), 65535, np.uint16)  # white paper, and ink in a corner
    page[:20, :20] = RAMP[:20, :20] * 30
    assert grey(tiff(page))[:20, :20].max() == 2


def test_nodata_that_only_its_tag_tells(tiff: Make) -> None:
    values = (RAMP * 16 + 1).astype(np.uint16)
    values[:20] = 65000
    image = grey(tiff(values, tags={42113: b"65000\0"}))
    assert not image[:20].any()
    assert image[20:].max() == 252  # 1009 of 1023
    assert (grey(tiff(values, tags={42113: b"none\0"}))[:20] == 255).all()  # the tag names no number


def test_signed_measurements_are_stretched(tiff: Make) -> None:
    assert grey(tiff(row([-1000, 0, 1000], "i2")))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([-100, 0, 100], "i1")))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([0, 50, 100, 127], "i1")))[0].tolist() == [0, 50, 100, 127]


def test_numbers_beyond_16_bits(tiff: Make) -> None:
    assert grey(tiff(row([0, 2**31, 2**32 - 1], "u4")))[0].tolist() == [0, 128, 255]
    assert grey(tiff(row([0, 100_000, 200_000], "u4")))[0].tolist() == [0, 128, 255]


def test_a_flat_picture_has_its_grey(tiff: Make) -> None:
    assert grey(tiff(row([7, 7], "f4")))[0].tolist() == [7, 7]
    assert grey(tiff(row([0, 0], "u2")))[0].tolist() == [0, 0]
    assert grey(tiff(row([-5, -5], "f4")))[0].tolist() == [0, 0]
    assert grey(tiff(row([np.nan, np.nan], "f4")))[0].tolist() == [0, 0]


# ------------------------------------------------------------------------------------- what a file states


def test_significant_bits(png: Make) -> None:
    twelve = (RAMP * 64).astype(np.uint16)[..., None]
    assert grey(png(twelve, (b"sBIT", b"\x0c")))[0, -1] == 251  # 4032 of 4095
    dark = (RAMP * 10).astype(np.uint16)[..., None]
    assert grey(png(dark, (b"sBIT", b"\x0c")))[0, -1] == 39  # 630 of 4095, though 10 bits would hold it
    assert grey(png(twelve * 16, (b"sBIT", b"\x0c")))[0, -1] == 251  # scaled up, as the specification wants it


@pytest.mark.parametrize("tags", [{340: [0], 341: [4000]}, {280: [0], 281: [4000]}, {281: [4000]}])
def test_range_tags(tiff: Make, tags: dict) -> None:
    values = (RAMP * 10).astype(np.uint16)
    assert grey(tiff(values, tags=tags))[0, -1] == 40  # 630 of 4000
    # values outside of what is stated: it is wrong. Values that fill it: it only counts them, as TIFF 6.0 has it
    for wrong in ({341: [100]}, {280: [0], 281: [630]}):
        assert np.array_equal(grey(tiff(values, tags=wrong)), grey(tiff(values)))
    floats = (RAMP / 63).astype(np.float32)
    assert grey(tiff(floats, tags={340: [0.0], 341: [2.0]}))[0, -1] == 128


@pytest.mark.parametrize("white", [255, 256, 1023, 4095, 65535])
def test_white_of_a_pixmap(white: int) -> None:
    size = b"# a comment\n3 1 %d\n" % white
    values = np.array([0, white // 2, white])
    kind = ">u2" if white > 255 else "u1"
    expected = np.floor(values * (255 / white) + 0.5).tolist()
    assert grey(b"P5\n" + size + values.astype(kind).tobytes())[0].tolist() == expected
    assert grey(b"P6\n" + size + np.repeat(values, 3).astype(kind).tobytes())[0].tolist() == expected
    assert abs(grey(b"P2\n" + size + b"0 %d %d" % (white // 2, white))[0] - np.array(expected)).max() <= 1


def test_pixmaps_of_one_folder_may_state_different_whites() -> None:
    ranges = Ranges(integer=(0, 65535))
    for white in (1000, 4095, 30000):
        data = b"P5 2 1 %d\n" % white + np.array([white // 4, white]).astype(">u2").tobytes()
        assert abs(grey(data, ranges)[0] - np.array([63.75, 255])).max() <= 1


def test_fits_is_calibrated() -> None:
    def card(key: str, value: str) -> bytes:
        return f"{key:8}= {value:>20}".ljust(80).encode()

    unsigned = np.array([[0, 1000, 4095]], np.uint16)
    cards = [card("SIMPLE", "T"), card("BITPIX", "16"), card("NAXIS", "2"), card("NAXIS1", "3"), card("NAXIS2", "1")]
    stored = (unsigned.astype(int) - 32768).astype(">i2").tobytes()
    end = b"END".ljust(80)
    header = b"".join([*cards, card("BZERO", "32768"), card("BSCALE", "1"), end])
    assert grey(header.ljust(2880) + stored.ljust(2880, b"\0"))[0].tolist() == [0, 62, 255]
    signed = np.array([[-1000, 0, 1000]], ">i2").tobytes()
    assert grey(b"".join([*cards, end]).ljust(2880) + signed.ljust(2880, b"\0"))[0].tolist() == [0, 128, 255]


# ------------------------------------------------------------------------------- colours and transparency


def test_white_is_zero(tiff: Make) -> None:
    for kind in ("u1", "u2", "f4"):
        white = 1 if kind == "f4" else 255
        assert grey(tiff(row([0, white], kind), 0))[0].tolist() == [255, 0]


def test_one_bit_and_chroma(tiff: Make, encode: Make) -> None:
    bits = np.array([[0b10110000]], np.uint8)
    assert grey(tiff(bits, 0, tags={256: [4], 258: [1]}))[0].tolist() == [0, 255, 0, 0]
    assert grey(tiff(bits, 1, tags={256: [4], 258: [1]}))[0].tolist() == [255, 0, 255, 255]
    chroma = Image.new("RGB", (8, 8), (200, 100, 50)).convert("YCbCr")
    assert abs(decode(encode(chroma, "TIFF"))[0, 0].astype(int) - [200, 100, 50]).max() <= 2


def test_rgb_of_every_depth(tiff: Make, png: Make) -> None:
    eight = NOISE.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    wide = eight.astype(np.uint16) * 257
    assert np.array_equal(decode(png(wide)), eight)
    for values in (wide, eight / np.float32(255), eight / np.float64(255), eight.astype(np.float32)):
        for order in "<>":
            assert np.array_equal(decode(tiff(values, 2, order)), eight)
    bands = np.dstack([wide, wide[..., :2]])  # infrared and the like behind the colours
    assert np.array_equal(decode(tiff(bands, 2, tags={338: [0, 0]})), eight)
    assert np.array_equal(decode(tiff(bands, 1, tags={338: [0, 0, 0, 0]})), eight)  # as GDAL writes it
    assert np.array_equal(decode(tiff(wide[..., :2], 1, tags={338: [0]})), np.repeat(eight[..., :1], 3, axis=2))


def test_transparency_of_16_bits(tiff: Make, png: Make) -> None:
    # 25700 = 100 * 257; at alpha 0, a fifth and 1 on white: 255, 224, 100
    alpha = np.array([[0, 13107, 65535]])
    for colours in (1, 3):
        values = np.dstack([np.full((1, 3), 25700)] * colours + [alpha]).astype(np.uint16)
        photometric = 1 if colours == 1 else 2
        assert grey(png(values))[0].tolist() == [255, 224, 100]
        assert grey(tiff(values, photometric, tags={338: [2]}))[0].tolist() == [255, 224, 100]
        multiplied = values.copy()
        multiplied[..., :-1] = values[..., :-1] * (alpha[..., None] / 65535)
        assert grey(tiff(multiplied, photometric, tags={338: [1]}))[0].tolist() == [255, 224, 100]


def test_transparency_multiplied_into_8_bits(tiff: Make) -> None:
    alpha = np.array([[0, 51, 255]])
    for colours in (1, 3):
        values = np.dstack([np.array([[0, 20, 100]])] * colours + [alpha]).astype(np.uint8)
        assert grey(tiff(values, 1 if colours == 1 else 2, tags={338: [1]}))[0].tolist() == [255, 224, 100]


def test_one_transparent_colour_of_16_bits(png: Make) -> None:
    values = np.array([[[257, 514, 771], [257, 514, 772]]], np.uint16)
    key = (b"tRNS", struct.pack(">3H", 257, 514, 771))
    assert decode(png(values, key))[0, 0].tolist() == [255, 255, 255]
    assert decode(png(values, key))[0, 1].tolist() != [255, 255, 255]


def test_cmyk_and_lab_of_16_bits(tiff: Make) -> None:
    red = np.array([[[0, 65535, 65535, 0]]], np.uint16)
    assert decode(tiff(red, 5))[0, 0].tolist() == [255, 0, 0]
    eight = (red // 257).astype(np.uint8)
    assert decode(tiff(np.dstack([eight, np.array([[255]], np.uint8)]), 5, tags={338: [1]}))[0, 0].tolist() == [
        255,
        0,
        0,
    ]
    clear = np.dstack([eight, np.array([[0]], np.uint8)])
    assert decode(tiff(clear, 5, tags={338: [2]}))[0, 0].tolist() == [255, 255, 255]
    # L* 54.29, a* 80.81, b* 69.89: sRGB's red under D50; a and b are signed, 256ths of a step
    lab = np.array([[[54.29 / 100 * 65535, 80.81 * 256, 69.89 * 256]]]).astype(np.uint16)
    assert abs(decode(tiff(lab, 8))[0, 0].astype(int) - [255, 0, 0]).max() <= 6


# ------------------------------------------------------------------------------------------ the data set's range


def test_a_given_range_does_not_depend_on_the_picture(encode: Make, tiff: Make) -> None:
    ranges = Ranges(integer=(1000, 3000), real=(-1, 3))
    one, other = row([0, 1000, 2000, 3000, 65535], "u2"), row([2000, 2000, 2000, 2000, 2000], "u2")
    assert grey(encode(one, "PNG"), ranges)[0].tolist() == [0, 0, 128, 255, 255]
    assert grey(encode(other, "PNG"), ranges)[0].tolist() == [128] * 5
    assert grey(tiff(one.astype(np.int32)), ranges)[0].tolist() == [0, 0, 128, 255, 255]
    assert grey(tiff(row([-1, 1, 3], "f4")), ranges)[0].tolist() == [0, 128, 255]
    eight = row([0, 100, 255], "u1")
    assert grey(encode(eight, "PNG"), ranges)[0].tolist() == [0, 100, 255]  # 8 bits are light


def test_a_range_that_makes_no_sense() -> None:
    for pair in ((1, 1), (2, 1), (0, np.inf), (np.nan, 1)):
        with pytest.raises(ValueError, match="needs two finite numbers"):
            Ranges(integer=pair)
    assert Ranges.from_json(Ranges((0, 4095), None).as_json()) == Ranges((0, 4095), None)


# ------------------------------------------------------------------------------------- how a TIFF may lie


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "raw"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_compressed_grey(encode: Make, compression: str, predictor: int) -> None:
    for values in (NOISE.integers(0, 65536, (33, 47)).astype(np.uint16), NOISE.random((33, 47)).astype(np.float32)):
        if (predictor == 3) != (values.dtype.kind == "f") and predictor != 1:
            continue
        info = {317: predictor} if compression in ("tiff_lzw", "tiff_adobe_deflate") else {}
        data = encode(values, "TIFF", compression=compression, tiffinfo=info)
        result = samples_of(data)
        assert result is not None
        assert np.array_equal(result.values[..., 0], values)


@pytest.mark.parametrize("kind", ["u2", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
def test_tiles_and_planes(tiff: Make, kind: str, order: str, predictor: int) -> None:
    if predictor == 2 and kind != "u2":
        predictor = 1
    values = (NOISE.random((20, 40, 3)) * 60000).astype(kind)
    tall = np.zeros((32, 48, 3), kind)
    tall[:20, :40] = values
    pieces = []
    for plane in range(3):
        for top in (0, 16):
            for left in (0, 16, 32):
                tile = tall[top : top + 16, left : left + 16, plane]
                if predictor == 2:
                    tile = np.diff(tile, axis=1, prepend=tile.dtype.type(0))
                pieces.append(zlib.compress(tile.astype(tile.dtype.newbyteorder(order)).tobytes()))
    tags = {
        259: [8],
        284: [2],
        317: [predictor],
        322: [16],
        323: [16],
        324: [0] * 18,
        325: [len(one) for one in pieces],
    }
    blank = tiff(values, 2, order, tags)
    places = np.cumsum([len(blank), *map(len, pieces)])[:-1].tolist()
    data = tiff(values, 2, order, tags | {324: places}) + b"".join(pieces)
    result = samples_of(data)
    assert result is not None
    assert np.array_equal(result.values, values)


def test_orientation_of_a_deep_tiff(tiff: Make) -> None:
    values = np.array([[0, 257, 514], [771, 1028, 1285]], np.uint16)
    assert grey(tiff(values, tags={274: [6]})).tolist() == [[3, 0], [4, 1], [5, 2]]


def test_a_large_tiff_does_not_trip_pillows_guard(tiff: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    values = np.full((10, 10, 3), 65535, np.uint16)  # read as 600 bytes: 600 pixels of grey
    assert (decode(tiff(values, 2), 100) == 255).all()
    with pytest.raises(PictureError, match="over the limit"):
        decode(tiff(values, 2), 99)


# -------------------------------------------------------------------------------------------- damaged files


def _deep(encode: Make, tiff: Make, png: Make) -> list[bytes]:
    values = NOISE.integers(0, 65536, (9, 13, 3)).astype(np.uint16)
    return [
        tiff(values, 2),
        tiff(values[..., 0].astype(np.float64), order=">"),
        encode(values[..., 0], "TIFF", compression="tiff_lzw"),
        png(values),
        b"P6 13 9 65535\n" + values.tobytes(),
    ]


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 4), place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=8))
def test_damage_raises_nothing_but_picture_error(
    encode: Make, tiff: Make, png: Make, which: int, place: float, junk: bytes
) -> None:
    data = bytearray(_deep(encode, tiff, png)[which])
    start = int(place * min(len(data), 400))
    data[start : start + len(junk)] = junk
    try:
        image = decode(bytes(data), 100_000)
    except PictureError as error:
        assert error.reason.isprintable()  # noqa: PT017
    else:
        assert image.dtype == np.uint8
        assert image.size <= 300_000


@pytest.mark.parametrize("which", range(5))
def test_what_is_cut_is_refused(encode: Make, tiff: Make, png: Make, which: int) -> None:
    data = _deep(encode, tiff, png)[which]
    for cut in (len(data) - 14, len(data) // 2):
        with pytest.raises(PictureError):
            decode(data[:cut])


def test_pixels_are_read_from_memory_only(encode: Make) -> None:
    data = encode(RAMP.astype(np.uint16), "PNG")
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "I;16"  # the mode that samples.py counts on
