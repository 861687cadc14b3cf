"""The type of a file that holds no readable picture, from its content, and what to do about it."""

from __future__ import annotations

import re
import zlib
from typing import Any

from PIL import features

from pellucid import texts
from pellucid.pictures import tiff_tags as tag

HEIC = "a HEIC picture, which needs an extra: pip install 'pellucid[heic]', or convert it to JPEG"
_CONVERT = "which Pellucid does not read: convert it to JPEG or PNG"
_RAW = "a camera RAW file ({}), which holds no finished picture: export it as JPEG or PNG"
_PAGES = "which holds pages and no picture: export them as JPEG or PNG"
_VIDEO = "a video ({}), which Pellucid does not read: export its frames as JPEG or PNG"
_ARCHIVE = "an archive ({}): unpack it first"
_NUMBERS = "an array ({}), which Pellucid does not read: export its slices as PNG or TIFF"

_COMMON = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")  # pictures; nothing below begins like these
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", f"a JPEG XL picture, {_CONVERT}"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", f"a JPEG XL picture, {_CONVERT}"),
    (b"II\xbc\x01", f"a JPEG XR picture, {_CONVERT}"),
    (b"BPG\xfb", f"a BPG picture, {_CONVERT}"),
    (b"FLIF", f"a FLIF picture, {_CONVERT}"),
    (b"\x8aMNG", f"a MNG animation, {_CONVERT}"),
    (b"v/1\x01", f"an OpenEXR picture, {_CONVERT}"),
    (b"#?RADIANCE", f"a Radiance HDR picture, {_CONVERT}"),
    (b"#?RGBE", f"a Radiance HDR picture, {_CONVERT}"),
    (b"gimp xcf", f"a GIMP project, {_CONVERT}"),
    (b"AT&TFORM", f"a DjVu document, {_PAGES}"),
    (b"%PDF", f"a PDF document, {_PAGES}"),
    (b"%!PS", "a PostScript file (EPS), which is a program: convert it to PNG"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file (EPS), which is a program: convert it to PNG"),
    (b"\xd7\xcd\xc6\x9a", f"a Windows metafile, {_CONVERT}"),
    (b"FUJIFILMCCD-RAW", _RAW.format("RAF")),
    (b"IIRO", _RAW.format("ORF")),
    (b"IIRS", _RAW.format("ORF")),
    (b"MMOR", _RAW.format("ORF")),
    (b"IIU\0", _RAW.format("RW2")),
    (b"FOVb", _RAW.format("X3F")),
    (b"\0MRM", _RAW.format("MRW")),
    (b"HEAPCCDR", _RAW.format("CRW")),
    (b"\x1aE\xdf\xa3", _VIDEO.format("Matroska or WebM")),
    (b"\0\0\x01\xba", _VIDEO.format("MPEG")),
    (b"\0\0\x01\xb3", _VIDEO.format("MPEG")),
    (b"FLV\x01", _VIDEO.format("FLV")),
    (b"0&\xb2u\x8ef\xcf\x11", _VIDEO.format("WMV")),
    (b"OggS", _VIDEO.format("Ogg")),
    (b"ID3", "a sound file"),
    (b"fLaC", "a sound file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", f"an Office file, {_PAGES}"),
    (b"{\\rtf", f"an RTF document, {_PAGES}"),
    (b"Rar!\x1a\x07", _ARCHIVE.format("RAR")),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE.format("7z")),
    (b"\xfd7zXZ\0", _ARCHIVE.format("xz")),
    (b"BZh", _ARCHIVE.format("bzip2")),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE.format("Zstandard")),
    (b"\x93NUMPY", _NUMBERS.format("NumPy")),
    (b"\x89HDF", _NUMBERS.format("HDF5")),
    (b"CDF\x01", _NUMBERS.format("NetCDF")),
    (b"CDF\x02", _NUMBERS.format("NetCDF")),
    (b"MATLAB 5.0", _NUMBERS.format("MATLAB")),
    (b"GRIB", _NUMBERS.format("GRIB")),
    (b"BUFR", _NUMBERS.format("BUFR")),
    (b"NRRD000", _NUMBERS.format("NRRD")),
    (b"PAR1", _NUMBERS.format("Parquet")),
    (b"version https://git-lfs", "a Git LFS pointer instead of the file: fetch it with `git lfs pull`"),
)
_MEDIA = {b"WAVE": "a sound file", b"AVI ": _VIDEO.format("AVI")}  # in RIFF
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEIF_BRANDS = {b"mif1", b"msf1", b"mif2"}  # these may hold HEVC or AV1
_AVIF_BRANDS = {b"avif", b"avis"}
_IN_ZIP = {b"word/": "a Word document", b"ppt/": "a PowerPoint document", b"xl/": "an Excel document"}
_OFFICE, _OPEN = b"[Content_Types].xml", b"mimetypeapplication/vnd.oasis.opendocument"  # how such a ZIP begins
_CONTENTS = 1 << 16  # bytes at the end of a ZIP, where its directory is
# without a preamble: the first element is of group 2, the file's own, or of group 8, known by its type or its length
_DICOM_WITHOUT_PREAMBLE = re.compile(
    rb"\x02\0[\0-\x03]\0(UL|OB|UI)|\x08\0[\0\x01\x05\x08\x12-\x18]\0([A-Z][A-Z]|[\x02-\x80]\0\0\0)", re.DOTALL
)
# maker, as TIFF's tag 271 begins -> the suffix of its RAW files
_MAKERS = {b"NIKON": "NEF", b"SONY": "ARW", b"PENTAX": "PEF", b"RICOH": "PEF", b"SAMSUNG": "SRW", b"CANON": "CR2"}
_SENSOR = {32803, 34892}  # photometric interpretations: a colour filter's mosaic, and the same after linearisation
_HEAD = 1024  # bytes at the start of a text that reveal its type


def named(data: bytes) -> str | None:
    """The reason why a file is unusable if it is intact but not a picture, or of an unsupported format.

    None for a possible picture. JPEG 2000, AVIF and HEIC are named only if their readers are not installed.
    """
    if data.startswith(_COMMON):
        return None
    for beginning, reason in _BEGINNINGS:
        if data.startswith(beginning):
            return reason
    if data[4:8] == b"ftyp":
        return _boxed(data)
    if data.startswith(b"RIFF"):
        return _MEDIA.get(data[8:12])
    if data.startswith(b"8BPS"):
        return _photoshop(data)
    if data.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")) and not features.check("jpg_2000"):
        return "a JPEG 2000 picture, which this build of Pillow cannot read: convert it to PNG"
    if data[128:132] == b"DICM" or _DICOM_WITHOUT_PREAMBLE.match(data):
        return f"a DICOM file, {_CONVERT}"
    if data.startswith(b"PK\x03\x04"):
        names = data[:4096] + data[-_CONTENTS:]
        inside = "an OpenDocument file" if _OPEN in names else None
        if _OFFICE in names:
            inside = next((what for folder, what in _IN_ZIP.items() if folder in names), "an Office document")
        return f"{inside}, {_PAGES}" if inside else _ARCHIVE.format("ZIP")
    if data.startswith(b"\x1f\x8b"):
        return _packed(data)
    if _is_nifti(data):
        return _NUMBERS.format("NIfTI")
    if data[257:262] == b"ustar":
        return _ARCHIVE.format("tar")
    if data[:4] == b"\x01\0\0\0" and data[40:44] == b" EMF":
        return f"a Windows metafile, {_CONVERT}"
    return _text(data)


def camera_raw(data: bytes, tags: dict[int, Any]) -> str | None:
    """The reason why a TIFF with these tags is unusable if it is a camera's RAW file; None for any other.

    Its first page is a small preview, which would pass for the picture.
    """
    if data[8:10] == b"CR":
        return _RAW.format("CR2")
    maker = tags.get(tag.MAKER, b"")
    maker = maker.strip(b"\0 ").upper() if isinstance(maker, bytes) else b""
    photometric = tags.get(tag.PHOTOMETRIC, (None,))[0]
    preview = bool(tags.get(tag.SUBFILE, (0,))[0] & 1) and tag.SUBDIRECTORIES in tags
    suffix = next((suffix for name, suffix in _MAKERS.items() if maker.startswith(name)), None)
    if tag.DNG_VERSION in tags or photometric in _SENSOR:
        return _RAW.format("DNG" if tag.DNG_VERSION in tags or suffix is None else suffix)
    return _RAW.format(suffix or "TIFF with a preview") if preview and maker else None


def unsupported_tiff(data: bytes) -> str | None:
    """The reason for a TIFF with a readable directory but of no known kind; None for any other file."""
    tags = tag.directory(data)
    if not tags or not {tag.WIDTH, tag.HEIGHT} <= tags.keys():
        return None
    bits, channels = (tuple(tags.get(one, (1,))) for one in (tag.BITS, tag.CHANNELS))
    depth = "/".join(str(each) for each in dict.fromkeys(bits))
    kind = {1: "", 2: " signed", 3: " floating-point"}.get(int(tags.get(tag.FORMAT, (1,))[0]), " complex")
    inks, packing = (int(tags.get(one, (1,))[0]) for one in (tag.PHOTOMETRIC, tag.COMPRESSION))
    plural = "" if channels[0] == 1 else "s"
    return (
        f"a TIFF of {channels[0]} channel{plural} of {depth}{kind} bits (photometric interpretation {inks}, "
        f"compression {packing}), {_CONVERT}"
    )


def unsupported_jpeg(data: bytes) -> str | None:
    """The reason for a 12-bit or lossless JPEG, which hardly any program reads; None for any other file."""
    place = 2
    while data.startswith(b"\xff\xd8") and place + 5 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xF7 or marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF):
            return f"a lossless or hierarchical JPEG, {_CONVERT}"
        if 0xC0 <= marker <= 0xCA and marker not in (0xC4, 0xC8):
            bits = data[place + 4]
            return None if bits == 8 else f"a JPEG of {bits} bits a sample, {_CONVERT}"
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def is_heic(data: bytes) -> bool:
    """Whether this is HEIC, for which Pillow needs a plugin."""
    if data[4:8] != b"ftyp":
        return False
    brands = _brands(data)
    return brands[0] in _HEIC_BRANDS or (brands[0] in _HEIF_BRANDS and not _AVIF_BRANDS & set(brands))


def _brands(data: bytes) -> list[bytes]:
    """The major brand of an ISO base media file, and its compatible brands."""
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return [data[8:12], *(data[place : place + 4] for place in range(16, end - 3, 4))]


def _boxed(data: bytes) -> str | None:
    brands = _brands(data)
    if is_heic(data):
        return HEIC
    if _AVIF_BRANDS & set(brands):
        return None if features.check("avif") else "an AVIF picture, which this build of Pillow cannot read: convert it"
    if brands[0] == b"crx ":
        return _RAW.format("CR3")
    return _VIDEO.format("QuickTime" if brands[0] == b"qt  " else "MP4")


def _photoshop(data: bytes) -> str | None:
    version, bits = int.from_bytes(data[4:6], "big"), int.from_bytes(data[22:24], "big")
    if version == 2:
        return "a large Photoshop file (PSB), which Pellucid does not read: save it as PNG or TIFF"
    if bits > 8:
        return f"a Photoshop file of {bits} bits a channel, which Pellucid does not read: save it as PNG or TIFF"
    return None


def _packed(data: bytes) -> str:
    try:
        begin = zlib.decompressobj(31).decompress(data[: 1 << 16], _HEAD)
    except zlib.error:
        return _ARCHIVE.format("gzip")
    if _is_nifti(begin):
        return _NUMBERS.format("NIfTI")
    return f"a packed SVG drawing, {_CONVERT}" if b"<svg" in begin else _ARCHIVE.format("gzip")


def _is_nifti(data: bytes) -> bool:
    return data[344:348] in (b"n+1\0", b"ni1\0") or data[4:8] in (b"n+2\0", b"ni2\0")


def _text(data: bytes) -> str | None:
    """Text that names its own type; None for any other, which is not a picture anyway."""
    head = data[:_HEAD]
    if (encoding := texts.encoding(head)).startswith(("utf-16", "utf-32")):
        head = head.decode(encoding, "ignore").encode("utf-8", "ignore")
    begin = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head.lower() and begin.startswith(b"<"):
        return f"an SVG drawing, {_CONVERT}"
    if begin.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML) instead of a picture: the download may have failed"
    if re.match(rb"<\?xml|<error|<response", begin):
        return "an XML file"
    return "a file of zeros only: it was never written in full" if data.count(0) == len(data) > 0 else None
