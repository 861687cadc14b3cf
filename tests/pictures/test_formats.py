"""Files without a readable picture are named, with what to do; none of them is called damaged."""

import gzip
import io
import struct
import sys
import zipfile
from collections.abc import Callable, Generator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import CatalogError, PictureError
from pellucid.pictures import formats
from pellucid.pictures.catalog import check, scan
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.store import Decoding, Store, build
from pellucid.steps import result_of

Make = Callable[..., bytes]
PIXELS = np.random.default_rng(5).integers(0, 256, (16, 24, 3), np.uint8)


def reason(data: bytes) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data)
    return caught.value.reason


def boxed(*brands: bytes) -> bytes:
    """An ISO base media file: its first box, and more data after it."""
    return struct.pack(">I", 12 + 4 * len(brands)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:]) + bytes(200)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def photoshop(version: int, bits: int) -> bytes:
    return b"8BPS" + struct.pack(">H6xHIIHH", version, 3, 4, 4, bits, 3) + bytes(60)


NIFTI = struct.pack("<i", 348) + bytes(340) + b"n+1\0" + bytes(80)
SVG = b'<?xml version="1.0"?>\n<!-- a drawing -->\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
CASES = {
    "JPEG XL": [b"\xff\x0a" + bytes(50), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50)],
    "JPEG XR": [b"II\xbc\x01" + bytes(50)],
    "OpenEXR": [b"v/1\x01" + bytes(50)],
    "Radiance HDR": [b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n", b"#?RGBE\n"],
    "GIMP project": [b"gimp xcf v011\0" + bytes(50)],
    "PDF document": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"],
    "PostScript": [b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xc5\xd0\xd3\xc6" + bytes(30)],
    "SVG drawing": [
        SVG,
        SVG.decode().encode("utf-16"),
        SVG.decode().encode("utf-16-le"),
        b"\xef\xbb\xbf<svg></svg>",
        gzip.compress(SVG),
    ],
    "DICOM file": [
        bytes(128) + b"DICM" + bytes(50),
        b"\x02\0\0\0UL\x04\0\xc0\0\0\0" + bytes(50),  # without a preamble
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(50),  # and without a group of the file's own
        b"\x08\0\x16\0\x1a\0\0\x001.2.840.10008.5.1.4.1.1.2\0" + bytes(50),  # its types of values left out
    ],
    "NIfTI": [NIFTI, gzip.compress(NIFTI), struct.pack("<i", 540) + b"n+2\0" + bytes(600)],
    "camera RAW file (CR3)": [boxed(b"crx ", b"crx ", b"isom")],
    "camera RAW file (CR2)": [b"II*\0\x10\0\0\0CR\2\0" + bytes(50)],
    "camera RAW file (RAF)": [b"FUJIFILMCCD-RAW 0201" + bytes(50)],
    "camera RAW file (ORF)": [b"IIRO\x08\0\0\0" + bytes(50)],
    "camera RAW file (RW2)": [b"IIU\0\x08\0\0\0" + bytes(50)],
    "video (MP4)": [boxed(b"isom", b"mp41", b"avc1"), boxed(b"mp42")],
    "video (QuickTime)": [boxed(b"qt  ", b"qt  ")],
    "video (AVI)": [b"RIFF\x40\0\0\0AVI LIST" + bytes(50)],
    "video (Matroska or WebM)": [b"\x1aE\xdf\xa3" + bytes(50)],
    "sound file": [b"RIFF\x40\0\0\0WAVEfmt " + bytes(50), b"ID3\x03" + bytes(50)],
    "Word document": [
        zipped("[Content_Types].xml", "word/document.xml"),
        zipped("[Content_Types].xml", *(f"customXml/item{number}.xml" for number in range(99)), "word/document.xml"),
    ],
    "Office document": [zipped("[Content_Types].xml", "visio/document.xml")],
    "OpenDocument file": [zipped("mimetype").replace(b"content", b"application/vnd.oasis.opendocument.text")],
    "PowerPoint document": [zipped("[Content_Types].xml", "ppt/slides/slide1.xml")],
    "Excel document": [zipped("[Content_Types].xml", "xl/workbook.xml")],
    "an Office file": [bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)],
    "archive (ZIP)": [zipped("photos/1.jpg"), zipped("sword/1.jpg")],
    "archive (gzip)": [gzip.compress(b"something")],
    "array (NumPy)": [b"\x93NUMPY\x01\0" + bytes(50)],
    "array (HDF5)": [b"\x89HDF\r\n\x1a\n" + bytes(50)],
    "16 bits a channel": [photoshop(1, 16)],
    "large Photoshop file (PSB)": [photoshop(2, 8)],
    "a web page": [b"<!DOCTYPE html>\n<html><body>404</body></html>", b"\n<html></html>"],
    "Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"],
    "a file of zeros only": [bytes(5000)],
}


@pytest.mark.parametrize("name", CASES)
def test_named_by_its_content(name: str) -> None:
    for data in CASES[name]:
        report = reason(data)
        assert name in report
        assert "damaged" not in report
        if not name.startswith(("sound", "a file of zeros")):
            assert any(todo in report for todo in ("convert", "export", "unpack", "save it", "fetch", "download"))


def test_raw_files_that_look_like_tiffs(tiff: Make) -> None:
    # a preview as the first page, and the picture behind it, where nothing can be read of it
    pixels = np.zeros((4, 4, 3), np.uint8)
    preview = {254: [1], 330: [8]}
    assert "camera RAW file (NEF)" in reason(tiff(pixels, 2, tags=preview | {271: b"NIKON CORPORATION\0"}))
    assert "camera RAW file (ARW)" in reason(tiff(pixels, 2, tags=preview | {271: b"SONY \0\0\0"}))
    assert "camera RAW file (DNG)" in reason(tiff(pixels, 2, tags={50706: [1]}))
    assert "camera RAW" in reason(tiff(pixels[..., :1], 32803))
    # a camera's finished TIFF, and a preview of no camera
    assert decode(tiff(pixels, 2, tags={271: b"NIKON CORPORATION\0"})).shape == (4, 4, 3)
    assert decode(tiff(pixels, 2, tags=preview)).shape == (4, 4, 3)


def test_a_tiff_of_another_kind_is_described(tiff: Make) -> None:
    values = np.zeros((4, 4), np.uint32)
    assert reason(tiff(values, tags={339: [5]})) == (
        "a TIFF of 1 channel of 32 complex bits (photometric interpretation 1, compression 1), "
        "which Pellucid does not read: convert it to JPEG or PNG"
    )
    assert "compression 34887" in reason(tiff(values, tags={259: [34887]}))
    assert reason(b"II*\0\x08\0\0\0") == "damaged TIFF: its header cannot be read"


@pytest.mark.parametrize(("frame", "bits", "report"), [(0xC1, 12, "12 bits a sample"), (0xC3, 8, "lossless")])
def test_jpegs_that_hardly_anything_reads(encode: Make, frame: int, bits: int, report: str) -> None:
    data = bytearray(encode(PIXELS, "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 1], data[place + 4] = frame, bits
    assert report in reason(bytes(data))
    assert "damaged" not in reason(bytes(data))


def test_pictures_are_not_mistaken_for_anything_else(encode: Make) -> None:
    for form in ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "ICO", "PCX", "SGI", "JPEG2000", "AVIF", "JPEG"):
        data = encode(PIXELS, form, **({"sizes": [(16, 16)]} if form == "ICO" else {}))
        assert formats.named(data) is None
        assert decode(data).ndim == 3
    assert reason(b"Dear diary, today no pictures.\n" * 40) == "not a picture"


def test_what_pillow_was_built_without(encode: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    avif, jpeg2000 = encode(PIXELS, "AVIF"), encode(PIXELS, "JPEG2000")
    monkeypatch.setattr("PIL.features.check", lambda _: False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name not in ("AVIF", "JPEG2000")])
    assert reason(avif).startswith("an AVIF picture, which this build of Pillow cannot read")
    assert reason(jpeg2000).startswith("a JPEG 2000 picture, which this build of Pillow cannot read")


def test_a_plugin_of_the_users_counts_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg_xl = CASES["JPEG XL"][0]
    assert "JPEG XL" in reason(jpeg_xl)
    factory = lambda file, name: Image.new("RGB", (3, 2), "red")  # noqa: E731
    monkeypatch.setitem(Image.OPEN, "PLUGIN", (factory, lambda beginning: beginning.startswith(b"\xff\x0a")))
    monkeypatch.setattr(Image, "ID", [*Image.ID, "PLUGIN"])
    assert decode(jpeg_xl).tolist() == [[[255, 0, 0]] * 3] * 2


# --------------------------------------------------------------------------------------------------- HEIC


@pytest.fixture
def heic() -> Make:
    """heic(image, **options) -> a HEIC file's bytes."""
    if find_spec("pillow_heif") is None:
        pytest.skip("NOT TESTED: HEIC pictures; the extra heic (pillow-heif) is not installed")

    def heic(image: np.ndarray, **options: object) -> bytes:
        from pillow_heif import register_heif_opener

        register_heif_opener()
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "HEIF", **options)
        return buffer.getvalue()

    return heic


def test_heic_is_read(heic: Make, icc: Make) -> None:
    blend = np.dstack([np.tile(np.linspace(0, 255, 64), (48, 1))] * 3).astype(np.uint8)
    data = heic(blend, quality=100, chroma=444)
    assert formats.is_heic(data)
    assert abs(decode(data).astype(int) - blend).max() <= 4
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(heic(blend, quality=100, exif=exif.tobytes())).shape == (64, 48, 3)
    warm = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    assert abs(decode(heic(warm, quality=100, chroma=444, icc_profile=icc("adobe"))) - [227, 100, 42.0]).max() <= 5


def test_damaged_heic(heic: Make) -> None:
    data = heic(PIXELS)
    for cut in (len(data) // 2, len(data) - 20, 60):
        assert reason(data[:cut]).startswith(("damaged HEIC", "truncated"))


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1"])
def test_heic_without_the_extra_says_which(brand: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    assert reason(boxed(brand, b"mif1", b"heic")) == (
        "a HEIC picture, which needs an extra: pip install 'pellucid[heic]', or convert it to JPEG"
    )


def finished(steps: Generator[Decoding, None, Store]) -> Store:
    return result_of(steps)


def test_a_class_without_pictures_says_the_commonest_reason(tmp_path: Path, photo: Make, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for number in range(3):
        for name, data in (("cat", photo(number)), ("dog", boxed(b"heic", b"mif1", b"heic"))):
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / name / f"{number}.jpg").write_bytes(data)
    (tmp_path / "data" / "dog" / "notes").write_bytes(b"nothing")
    store = finished(build(scan(tmp_path / "data"), Form(4, 4), tmp_path / "cache"))
    with pytest.raises(CatalogError, match=r"dog has 0 \(4 in quarantine\)") as caught:
        check(store.catalog)
    assert "The most common reason in quarantine, 3 files: a HEIC picture, which needs an extra" in str(caught.value)
