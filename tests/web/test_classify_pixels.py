"""The exported page's own decoding and resizing beside Pellucid's: the same pixels, in a real Chromium."""

import base64
import struct
import zlib
from dataclasses import asdict
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Page

from pellucid.classifier.caveats import plain
from pellucid.pictures.decode import ALONE, Form, Ranges, decode

DECODE = """async ([data, ranges]) => {
  const { decoded } = await import("./classify/decode.js");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  try {
    const image = await decoded(new Blob([bytes]), { pixel_limit: 1e6, ranges });
    return [image.height, image.width, Array.from(image.data)];
  } catch (error) {
    return error.message;
  }
}"""
RESIZE = """async ([image, forms]) => {
  const { formed } = await import("./classify/resize.js");
  const data = Uint8Array.from(image.data);
  return forms.map((form) => Array.from(formed({ ...image, data }, form)));
}"""


def pixels(page: Page, data: bytes, ranges: Ranges = ALONE) -> np.ndarray | str:
    """uint8 (H, W, 3), or the page's sentence about the file."""
    result = page.evaluate(DECODE, [base64.b64encode(data).decode("ascii"), ranges.as_json()])
    return result if isinstance(result, str) else np.array(result[2], np.uint8).reshape(result[0], result[1], 3)


def encoded(image: Image.Image, kind: str, **settings: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(kind: int, depth: int, lines: np.ndarray, width: int, *extra: bytes) -> bytes:
    """A PNG from the bytes of its rows, uint8 (H, bytes of a row)."""
    raw = b"".join(b"\0" + line.tobytes() for line in lines)
    header = struct.pack(">IIBBBBB", width, len(lines), depth, kind, 0, 0, 0)
    parts = chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep(kind: int, values: np.ndarray, *extra: bytes) -> bytes:
    """A PNG of 16 bits a sample from (H, W, C)."""
    big = np.ascontiguousarray(values.astype(">u2"))
    return png(kind, 16, big.reshape(len(values), -1).view(np.uint8), values.shape[1], *extra)


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


def adobe() -> bytes:
    """An ICC profile with the primaries of Adobe RGB and gamma 2.2 (ICC.1:2001-04)."""
    primaries = {b"r": (0.6097, 0.3111, 0.0195), b"g": (0.2053, 0.6257, 0.0609), b"b": (0.1492, 0.0632, 0.7446)}

    def xyz(*numbers: float) -> bytes:
        return b"".join(struct.pack(">i", round(65536 * number)) for number in numbers)

    white = xyz(0.9642, 1, 0.8249)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + white,
    }
    tags |= {name + b"XYZ": b"XYZ " + bytes(4) + xyz(*of) for name, of in primaries.items()}
    tags |= {name + b"TRC": b"curv" + bytes(4) + struct.pack(">IHH", 1, 563, 0) for name in primaries}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"test", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + white + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def files() -> dict[str, bytes]:
    generator = np.random.default_rng(3)
    y, x = np.mgrid[:20, :33]
    image = Image.fromarray((np.stack([x * 7, y * 12, x * 3 + y * 5], axis=-1) % 256).astype(np.uint8))
    noise = Image.fromarray(generator.integers(0, 256, (20, 33, 3), np.uint8))
    clear = image.copy()
    clear.putalpha(Image.fromarray((x * 7).astype(np.uint8)))
    values = generator.integers(0, 65536, (11, 13, 4))
    profile, srgb = adobe(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    palette = chunk(b"PLTE", bytes(range(12))), chunk(b"tRNS", b"\x00\x80")
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    made = {f"turned {way}.{kind}": encoded(image, kind, exif=exif(way)) for way in (3, 6) for kind in ("JPEG", "PNG")}
    made |= {f"turned {way}.WEBP": encoded(image, "WEBP", exif=exif(way), lossless=True) for way in range(1, 9)}
    made |= {f"{step}.JPEG": encoded(noise, "JPEG", subsampling=step, progressive=step == 2) for step in (0, 2)}
    made |= {f"{mode}.PNG": encoded(clear.convert(mode), "PNG") for mode in ("RGB", "RGBA", "L", "LA", "P", "1")}
    made |= {
        "grey.JPEG": encoded(image.convert("L"), "JPEG"),
        "XMP.JPEG": encoded(image, "JPEG", xmp=XMP),
        "palette, transparent.PNG": encoded(image.convert("P"), "PNG", transparency=bytes(range(256))),
        "one colour transparent.PNG": encoded(image, "PNG", transparency=(0, 0, 0)),
        "animated.GIF": encoded(image, "GIF", save_all=True, append_images=[noise], duration=100),
        "animated.WEBP": encoded(image, "WEBP", save_all=True, append_images=[noise], duration=100, lossless=True),
        "lossy.WEBP": encoded(clear, "WEBP", quality=70),
        "BMP": encoded(image, "BMP"),
        "icon": encoded(clear.resize((16, 16)), "ICO", sizes=[(16, 16)]),
        "sRGB.PNG": encoded(image, "PNG", icc_profile=srgb),
        "grey of 16 bits": deep(0, values[..., :1]),
        "grey of 12 bits in 16": deep(0, values[..., :1] // 16),
        "grey, one transparent": deep(0, values[..., :1], chunk(b"tRNS", struct.pack(">H", values[0, 0, 0]))),
        "colours of 16 bits": deep(2, values[..., :3]),
        "colours of 16 bits, stated as 12": deep(2, values[..., :3] // 16, chunk(b"sBIT", b"\x0c\x0c\x0c")),
        "grey and alpha of 16 bits": deep(4, values[..., :2]),
        "colours and alpha of 16 bits": deep(6, values),
        "8 bits in 16": deep(2, values[..., :3] // 257 * 257),
        "no data": deep(0, np.where(x < 9, 65535, 1000 + y + x)[..., None]),
        "16 bits, turned": deep(2, values[..., :3], chunk(b"eXIf", exif(5).tobytes()[6:])),
        "16 bits, turned by XMP": deep(2, values[..., :3], chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)),
        "linear grey of 16 bits": deep(0, values[..., :1], linear),
        "linear colours": png(2, 8, np.asarray(noise).reshape(20, -1), 33, linear),
        "linear, 4 bits": png(0, 4, generator.integers(0, 256, (9, 7), np.uint8), 13, linear),
        "linear palette": png(3, 2, generator.integers(0, 256, (9, 3), np.uint8), 10, linear, *palette),
    }
    off_by_one = {
        "CMYK.JPEG": encoded(image.convert("CMYK"), "JPEG"),
        "Adobe RGB.JPEG": encoded(image, "JPEG", icc_profile=profile),
        "Adobe RGB, transparent.PNG": encoded(clear, "PNG", icc_profile=profile),
        "Adobe RGB, 16 bits": deep(2, values[..., :3], chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))),
    }
    return made | {f"{name} (1)": content for name, content in off_by_one.items()}


def test_every_kind_of_file_gives_the_pixels_that_predict_sees(modules: Page) -> None:
    made = files()
    assert len(made) > 45
    for name, content in made.items():
        ours, theirs = decode(content), pixels(modules, content)
        assert not isinstance(theirs, str), f"{name}: {theirs}"
        assert theirs.shape == ours.shape, name
        assert np.abs(theirs.astype(int) - ours).max() <= name.endswith("(1)"), name
    turned = {decode(made[f"turned {way}.WEBP"]).tobytes() for way in range(1, 9)}
    assert len(turned) == 8


def test_the_models_range_makes_black_and_white(modules: Page) -> None:
    values = np.random.default_rng(0).integers(0, 3000, (9, 8, 1))
    ranges = Ranges(integer=(500.0, 2500.0))
    content = deep(0, values)
    ours = decode(content, ranges=ranges)
    assert np.array_equal(pixels(modules, content, ranges), ours)
    assert not np.array_equal(pixels(modules, content), ours)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "This file is empty."),
        (b"II*\0 and so on", "This is a TIFF, which this page does not read. Save it as PNG or JPEG"),
        (b"\0\0\0\x18ftypheic", "This is a HEIC picture, which this page does not read."),
        (b"%PDF-1.7", "This is a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This is an SVG drawing"),
        (b"text", "This is not a picture that this page reads: JPEG, PNG"),
        (b"\xff\xd8\xff\xe0 and nothing", "The browser could not decode this JPEG"),
        (encoded(Image.new("RGB", (40, 40)), "PNG")[:-12], "The browser could not decode this PNG: it is damaged, cut"),
        (deep(2, np.zeros((9, 9, 3)))[:-30], "The browser could not decode this PNG"),
        (encoded(Image.effect_noise((60, 60), 90), "JPEG")[:-900], "The browser could not decode this JPEG"),
        (encoded(Image.new("1", (2000, 1000)), "PNG"), "2000 x 1000 are 2 megapixels, and this model's limit is 1."),
        (encoded(Image.new("L", (2000, 1000)), "GIF"), "2000 x 1000 are 2 megapixels, and this model's limit is 1."),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(modules: Page, content: bytes, sentence: str) -> None:
    assert sentence in str(pixels(modules, content))


FORMS = [
    Form(height, width, channels, fit, crop, kernel)  # type: ignore[arg-type]
    for height, width in ((12, 17), (31, 8))
    for channels in (1, 3)
    for fit, crop in (("pad", 1.0), ("crop", 1.0), ("crop", 0.7), ("stretch", 1.0))
    for kernel in ("bilinear", "bicubic", "plain")
]


@pytest.mark.parametrize("size", [(37, 91), (90, 41), (5, 7), (12, 17), (1, 300)], ids=str)
def test_it_resizes_to_the_same_bytes(modules: Page, size: tuple[int, int]) -> None:
    image = np.random.default_rng(sum(size)).integers(0, 256, (*size, 3), np.uint8)
    described = {"height": size[0], "width": size[1], "data": image.ravel().tolist()}
    made = modules.evaluate(RESIZE, [described, [asdict(form) for form in FORMS]])
    for form, numbers in zip(FORMS, made, strict=True):
        assert np.array_equal(np.array(numbers, np.uint8).reshape(form.shape), form.apply(image)), form


OCCLUDE = """async ([prepared, about, weights]) => {
  const { occluded } = await import("./classify/occlusion.js");
  const each = prepared.length;
  const network = async (images, count) => ({
    logits: Float32Array.from({ length: 2 * count }, (_, at) => {
      if (at % 2 === 0) return 0;
      let sum = 0;
      for (let place = 0; place < each; place++) sum += weights[place] * images[((at - 1) / 2) * each + place];
      return sum;
    }),
  });
  const bytes = Uint8Array.from(prepared);
  const shares = [];
  const made = await occluded(bytes, about, 1, network, (share) => shares.push(share), () => false);
  const stopped = await occluded(bytes, about, 1, network, () => {}, () => true);
  return [Array.from(made.fall), made.passes, shares, stopped];
}"""


def test_what_mattered_is_where_the_score_falls(modules: Page) -> None:
    """A network that adds weighted pixels: the fall is known for each window."""
    generator = np.random.default_rng(5)
    height, width = 16, 24
    image, weights = generator.integers(0, 256, (height, width, 3)), generator.normal(size=(height, width, 3)) / 255
    about = {"form": {"height": height, "width": width, "channels": 3}, "classes": ["a", "b"], "mean": [0.5, 0.4, 0.3]}
    fall, passes, shares, stopped = modules.evaluate(OCCLUDE, [image.ravel().tolist(), about, weights.ravel().tolist()])
    expected, covered = np.zeros((height, width)), np.zeros((height, width))
    drop = ((image - np.floor(255 * np.array(about["mean"]) + 0.5)) * weights).sum(axis=2)
    windows = [(top, left) for top in range(height - 1) for left in range(width - 2)]  # 2 x 3, 1 apart
    for top, left in windows:
        part = slice(top, top + 2), slice(left, left + 3)
        expected[part] += drop[part].sum()
        covered[part] += 1
    assert passes == len(windows)
    assert np.abs(np.array(fall).reshape(height, width) - expected / covered).max() < 1e-4
    assert shares == sorted(shares)
    assert 0.9 < max(shares) < 1
    assert stopped is None


def test_the_readers_answers_have_the_columns_of_predict(modules: Page) -> None:
    code = """async ([results, about]) => {
      const { asCsv, asJson } = await import("./classify/save.js");
      return [asCsv(results, about), JSON.parse(asJson(results, about)).answers];
    }"""
    about = {"classes": ["cat", 'd"o,g'], "thresholds": None, "weights": None, "made_by": ""}
    results = [
        {"name": "a,b.png", "answer": {"probabilities": [0.25, 0.75]}, "trouble": ""},
        {"name": "c.tif", "answer": None, "trouble": "no"},
    ]
    csv, rows = modules.evaluate(code, [results, about])
    assert csv == (
        "picture,label_1,probability_1,label_2,probability_2,error\n"
        '"a,b.png","d""o,g",0.750000,cat,0.250000,\nc.tif,,,,,no\n'
    )
    assert rows[0] == {
        "picture": "a,b.png",
        "label": 'd"o,g',
        "probability": 0.75,
        "probabilities": {"cat": 0.25, 'd"o,g': 0.75},
    }
    assert rows[1] == {"picture": "c.tif", "error": "no"}
    several = {**about, "thresholds": [0.2, 0.8]}
    csv, rows = modules.evaluate(code, [results[:1], several])
    assert csv.splitlines()[0].startswith("picture,labels,label_1")
    assert rows[0]["labels"] == ["cat"]


def test_the_model_card_is_shown_and_runs_nothing(modules: Page) -> None:
    code = """async (markdown) => {
      const { card } = await import("./classify/card.js");
      return card(markdown).map((part) => part.outerHTML).join("");
    }"""
    markdown = (
        "---\nlibrary_name: pellucid\n---\n\n# a <b>: x\n\n**1%** of `y` ([file](f.csv))\n\n![plot](plot.png)\n\n"
        "| | n |\n|---|---|\n| ![](1.jpg) | 2 \\| 3 |\n\n"
        "<details><summary>More</summary>\n\n- one\n- two\n\n</details>\n\n"
        "```bash\nrun <me>\n```\n<script>alert(1)</script>"
    )
    made = modules.evaluate(code, markdown)
    assert made.startswith("<h2>a &lt;b&gt;: x</h2><p><b>1%</b> of <code>y</code> (file)</p><div")
    assert "<thead><tr><td></td><th>n</th></tr></thead><tbody><tr><td></td><td>2 | 3</td></tr></tbody>" in made
    assert "<details><summary>More</summary><ul><li>one</li><li>two</li></ul></details><pre" in made
    assert made.endswith("<code>run &lt;me&gt;</code></pre><p>&lt;script&gt;alert(1)&lt;/script&gt;</p>")
    assert "img" not in made


@pytest.mark.parametrize(
    "name", ["a$b & c", "~x~ #1", "*star* and **two**", "`code`", "[x](y)", "a|b", "_low_", "&lt;b&gt;", "back\\slash"]
)
def test_the_model_card_shows_a_name_as_it_is(modules: Page, name: str) -> None:
    code = """async (markdown) => {
      const { card } = await import("./classify/card.js");
      const parts = card(markdown).flatMap((part) => [...part.querySelectorAll("th, td, b")]);
      return parts.map((part) => part.textContent);
    }"""
    shown = modules.evaluate(code, f"| class |\n|---|\n| {plain(name)} |\n\n**{plain(name)}**")
    assert shown == ["class", name, name]
