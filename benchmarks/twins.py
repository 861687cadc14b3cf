"""The search for twins among many pictures: through trees, beside comparing every pair.

    .venv/bin/python benchmarks/twins.py PICTURES [--counts 20000 100000] [--every-pair 100000] [--each 100]

PICTURES is a folder of photographs. Each change of docs/why/twins.md makes `--each` copies, from the pixels; a picture
is a crop, every second one blended with another crop. The rest of each set, up to the number in `--counts`, are blends
of the descriptions of two crops. Each way of searching is a new process. Seconds are processor time, summed over the
cores, because other programs may run too; megabytes are the process's peak minus its memory before. Above
`--every-pair` pictures every pair is not compared. Prints the tables of docs/why/twins.md.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from listing import memory
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from pellucid.pictures import twins
from pellucid.pictures.decode import decode
from pellucid.pictures.rows import RowFile

CROPS = 20_000  # descriptions that the blends are made of
BLOCK = 8192  # blends at a time
WAYS = {"trees": 0, "every pair": sys.maxsize}  # -> pictures up to which every pair is compared
CHANCE = np.random.default_rng(0)


def saved(picture: Image.Image, kind: str = "JPEG", quality: int = 85) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def smaller(picture: Image.Image, parts: int) -> Image.Image:
    return picture.resize((max(1, picture.width // parts), max(1, picture.height // parts)))


def cropped(picture: Image.Image, *shares: float) -> Image.Image:
    """Without these shares of its left, top, right and bottom; one share stands for all."""
    left, top, right, bottom = shares * 4 if len(shares) == 1 else shares
    wide, high = picture.size
    return picture.crop((round(wide * left), round(high * top), round(wide * (1 - right)), round(high * (1 - bottom))))


def written_on(picture: Image.Image) -> Image.Image:
    written = picture.copy()
    ImageDraw.Draw(written).text((5, 5), "a line of text over a corner", fill="white")
    return written


def brighter(picture: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(factor)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 40": lambda p: saved(p, quality=40),
    "JPEG quality 15": lambda p: saved(p, quality=15),
    "half the size": lambda p: saved(smaller(p, 2)),
    "a fifth of the size": lambda p: saved(smaller(p, 5)),
    "stretched to a square": lambda p: saved(p.resize((224, 224))),
    "crop 2.5% of every side": lambda p: saved(cropped(p, 0.025)),
    "crop 5%": lambda p: saved(cropped(p, 0.05)),
    "crop 8%": lambda p: saved(cropped(p, 0.08)),
    "crop up to 6%, each side its own": lambda p: saved(cropped(p, *CHANCE.uniform(0, 0.06, 4))),
    "crop up to 10%": lambda p: saved(cropped(p, *CHANCE.uniform(0, 0.1, 4))),
    "15% brighter": lambda p: saved(brighter(p, 1.15)),
    "30% brighter": lambda p: saved(brighter(p, 1.3)),
    "30% darker": lambda p: saved(brighter(p, 0.7)),
    "contrast +30%": lambda p: saved(ImageEnhance.Contrast(p).enhance(1.3)),
    "less contrast": lambda p: saved(ImageEnhance.Contrast(p).enhance(0.7)),
    "less colour": lambda p: saved(ImageEnhance.Color(p).enhance(0.5)),
    "a line of text over a corner": written_on,
    "border 6 white": lambda p: saved(ImageOps.expand(p, 6, "white")),
    "border 6 black": lambda p: saved(ImageOps.expand(p, 6, "black")),
    "border 12 red": lambda p: saved(ImageOps.expand(p, 12, "red")),
    "half size and border": lambda p: saved(ImageOps.expand(smaller(p, 2), 6, "white")),
    "WebP quality 60": lambda p: saved(p, "WEBP", 60),
    "WebP quality 20": lambda p: saved(p, "WEBP", 20),
    "grey": lambda p: saved(ImageOps.grayscale(p).convert("RGB")),
    "grey and cropped 5%": lambda p: saved(ImageOps.grayscale(cropped(p, 0.05)).convert("RGB")),
    "15% brighter and cropped 5%": lambda p: saved(brighter(cropped(p, 0.05), 1.15)),
    "mirrored": lambda p: saved(ImageOps.mirror(p)),
}


def crops(photographs: list[Path]) -> Iterator[Image.Image]:
    """Half to nine tenths of a random photograph along each side, without end."""
    while True:
        with_all = Image.fromarray(decode(photographs[CHANCE.integers(len(photographs))].read_bytes()))
        wide, high = (max(32, int(side * CHANCE.uniform(0.5, 0.9))) for side in with_all.size)
        left, top = (int(CHANCE.integers(max(1, a - b + 1))) for a, b in zip(with_all.size, (wide, high), strict=True))
        yield with_all.crop((left, top, left + wide, top + high))


def described(picture: Image.Image) -> NDArray[np.uint8]:
    return twins.describe(np.asarray(picture))


def planted(photographs: list[Path], each: int) -> NDArray[np.uint8]:
    """(2, changes, each, DESCRIPTION): pictures, and a copy of each."""
    pictures, rows = crops(photographs), []
    for number, change in enumerate(each * list(CHANGES.values())):
        picture = next(pictures)
        if number % 2:
            picture = Image.blend(picture, next(pictures).resize(picture.size), CHANCE.uniform(0.3, 0.7))
        rows.append([described(picture), described(change(picture))])
    return np.array(rows).reshape(each, len(CHANGES), 2, -1).transpose(2, 1, 0, 3)


def write(file: Path, known: NDArray[np.uint8], pool: NDArray[np.uint8], count: int) -> None:
    """The planted pictures, then blends of descriptions from the pool."""
    with file.open("wb") as stream:
        stream.write(np.ascontiguousarray(known).tobytes())
        for at in range(known.size // twins.DESCRIPTION, count, BLOCK):
            one, other = CHANCE.integers(len(pool), size=(2, min(BLOCK, count - at)))
            share = CHANCE.uniform(0.3, 0.7, (len(one), 1)).astype(np.float32)
            stream.write(np.rint(pool[one] * share + pool[other] * (1 - share)).astype(np.uint8).tobytes())


def measured(way: str, file: Path, result: Path) -> dict[str, float]:
    """In this process."""
    rows = RowFile(file, (file.stat().st_size // twins.DESCRIPTION, twins.DESCRIPTION))
    twins.ALL_PAIRS = 0
    twins.pairs(rows[np.arange(min(300, len(rows)))])  # the loops are compiled once for all time
    twins.ALL_PAIRS = WAYS[way]
    looks, look = [0], twins._look

    def counted(*arguments: Any) -> NDArray[np.int64]:
        looks[0] += len(arguments[-1])
        return look(*arguments)

    twins._look = counted
    before, clock, processor = memory("VmRSS"), time.perf_counter(), time.process_time()
    np.save(result, twins.pairs(rows))
    took = {"processor": time.process_time() - processor, "clock": time.perf_counter() - clock}
    return took | {"mb": memory("VmHWM") - before, "looks": looks[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--every-pair", type=int, default=100_000, help="the most pictures to compare every pair of")
    parser.add_argument("--each", type=int, default=100, help="copies made by each change")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "FILE", "RESULT"), help="one way, in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure[0], *map(Path, options.measure[1:]))))
        return
    photographs = sorted(path for path in options.pictures.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    known = planted(photographs, options.each)
    copies = known.size // twins.DESCRIPTION // 2
    pool = np.stack([described(picture) for picture, _ in zip(crops(photographs), range(CROPS), strict=False)])
    finds: dict[str, NDArray[np.bool_]] = {}
    print("| pictures | way | seconds | by the clock | second looks | memory above, MB | copies | other pairs |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        file, result = Path(folder) / "descriptions.raw", Path(folder) / "pairs.npy"
        for count in options.counts:
            write(file, known, pool, count)
            for way in WAYS if count <= options.every_pair else ["trees"]:
                command = [sys.executable, __file__, str(options.pictures), "--measure", way, str(file), str(result)]
                run = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                pairs = np.load(result)
                hit = pairs[pairs[:, 1] == pairs[:, 0] + copies, 0]
                hit = hit[hit < copies]
                took = f"{run['processor']:.1f} | {run['clock']:.1f} | {run['looks']:,} | {run['mb']:,.0f}"
                print(f"| {count:,} | {way} | {took} | {len(hit):,} | {len(pairs) - len(hit):,} |", flush=True)
                finds[f"{way}, {count:,}"] = np.isin(np.arange(copies), hit)
    print(f"\nCopies of {options.each} that are recognised:\n\n| change | {' | '.join(finds)} |")
    print("|---" * (1 + len(finds)) + "|")
    for number, change in enumerate(CHANGES):
        part = slice(number * options.each, (number + 1) * options.each)
        print(f"| {change} | {' | '.join(str(hit[part].sum()) for hit in finds.values())} |")


if __name__ == "__main__":
    main()
