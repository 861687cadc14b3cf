"""Reading and writing shards beside the webdataset library: `python benchmarks/shards.py [--pictures DIR] [--turns 3]`.

Every way is measured in one process, one thread, in turns, on the same files, which the system has in memory by then:
seconds are processor time, because other programs may run too. The shards are packed below --work and removed at the
end. Prints the table of docs/why/shards.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image
from pyarrow import parquet
from sklearn.datasets import load_sample_images

from pellucid.pictures import order
from pellucid.pictures import table as sources
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.decode import Form, decode
from pellucid.pictures.index import there
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.reading import digest_of, read
from pellucid.pictures.shards import packing
from pellucid.pictures.shards.tar import Opened, members
from pellucid.pictures.streamed import Streamed
from pellucid.steps import result_of

FORM = Form(224, 224, 3, "crop")
library_of: Any = webdataset  # its names are made when it is imported


def make(folder: Path, count: int, size: tuple[int, int]) -> None:
    """JPEG files of two classes, cut from scikit-learn's two photographs."""
    images, random = load_sample_images().images, np.random.default_rng(0)
    for label, image in enumerate(images):
        place = folder / f"class{label}"
        place.mkdir(parents=True)
        for number in range(count // 2):
            top, left = random.integers(0, 427 - size[0]), random.integers(0, 640 - size[1])
            part = image[top : top + size[0], left : left + size[1]]
            Image.fromarray(part).save(place / f"{number}.jpg", quality=90)


def timed(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def drained(items: Iterator[Any]) -> int:
    return sum(1 for _ in items)


def ways(root: Path, folder: Catalog) -> dict[str, Callable[[], Any]]:
    """Each way to do a job with all pictures: "job: who" -> the work."""
    tars = sorted(str(path) for path in (root / "tar").glob("*.tar"))
    files = sorted((root / "parquet").glob("*.parquet"))
    catalogs = {kind: sources.read(root / kind) for kind in ("tar", "parquet")}
    paths = {kind: in_order(catalog) for kind, catalog in catalogs.items()}
    streams = {kind: Streams(catalog) for kind, catalog in catalogs.items()}

    def library(decoder: str | None = None) -> Iterator[Any]:
        data = library_of.WebDataset(tars, shardshuffle=False, empty_check=False)
        return iter(data if decoder is None else data.decode(decoder))

    def epoch(kind: str) -> int:
        catalog, images = catalogs[kind], streams[kind]
        rows = order.shuffled(np.arange(len(catalog.pictures)), images.where, np.random.default_rng(0))
        images.stream.coming(rows)
        return sum(len(images.stream[rows[start : start + 32]]) for start in range(0, len(rows), 32))

    def library_epoch() -> int:
        data = library_of.WebDataset(tars, shardshuffle=len(tars), empty_check=False, seed=0)
        images = data.shuffle(4096).map(lambda sample: FORM.apply(decode(sample["jpg"])))
        return sum(len(batch) for batch in images.batched(32, collation_fn=np.stack))

    return {
        "index: tarfile": lambda: [[each.name for each in tarfile.open(path)] for path in tars],
        "index: Pellucid": lambda: [drained(members(Opened(path))) for path in tars],
        "catalog with labels: Pellucid, tar": lambda: sources.read(root / "tar"),
        "catalog with labels: Pellucid, Parquet": lambda: sources.read(root / "parquet"),
        "bytes: folder": lambda: [read(folder.root / path) for path in folder.pictures.paths],
        "bytes: webdataset": lambda: drained(library()),
        "bytes: Pellucid, tar": lambda: [read(path) for path in paths["tar"]],
        "bytes: pyarrow": lambda: [drained(pictures(file)) for file in files],
        "bytes: Pellucid, Parquet": lambda: [read(path) for path in paths["parquet"]],
        "decoded: webdataset (Pillow)": lambda: drained(library("rgb8")),
        "decoded: Pellucid, tar": lambda: [decode(read(path)) for path in paths["tar"]],
        "epoch, shuffled, 224x224: webdataset, our decoder": library_epoch,
        "epoch, shuffled, 224x224: Pellucid, tar": lambda: epoch("tar"),
        "epoch, shuffled, 224x224: Pellucid, Parquet": lambda: epoch("parquet"),
        "write: webdataset": lambda: written(root / "theirs", folder),
        "write: Pellucid, tar, each picture decoded": lambda: packed(root / "ours", folder, "webdataset"),
        "write: Pellucid, Parquet, each picture decoded": lambda: packed(root / "ours", folder, "parquet"),
    }


class Streams:
    """A catalog's images as a training streams them, with their blocks."""

    def __init__(self, catalog: Catalog) -> None:
        catalog, stamps = there(catalog)
        digests = [bytes.fromhex(digest_of(catalog.root / path)) for path in catalog.pictures.paths]
        hashes = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
        self.where = order.blocks(catalog.pictures.paths, stamps)
        self.stream = Streamed(catalog, FORM, hashes, stamps, 10**8, Ranges())


def in_order(catalog: Catalog) -> list[Any]:
    return [catalog.root / path for path in order.for_reading(catalog.root, catalog.pictures).paths]


def pictures(file: Path) -> Iterator[bytes]:
    """The bytes of each picture of a Parquet file, by pyarrow alone."""
    for batch in parquet.ParquetFile(file).iter_batches(1000, columns=["image"]):
        yield from (image["bytes"] for image in batch.column("image").to_pylist())


def written(out: Path, folder: Catalog) -> None:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    with library_of.ShardWriter(str(out / "train-%06d.tar"), maxsize=5e7, maxcount=10**9, verbose=0) as writer:
        for number, picture in enumerate(folder.pictures):
            content = (folder.root / picture.path).read_bytes()
            writer.write({"__key__": f"{number:08d}", "jpg": content, "cls": picture.label})


def packed(out: Path, folder: Catalog, form: str) -> None:
    shutil.rmtree(out, ignore_errors=True)
    result_of(packing.pack(folder, out, form, "50MB"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, help="a folder of class folders of JPEG files")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--size", type=int, nargs=2, default=(300, 400), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", type=Path)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=settings.work) as work:
        root = Path(work)
        if settings.pictures is None:
            make(root / "photos", settings.count, tuple(settings.size))
        folder = sources.read(settings.pictures or root / "photos")
        packed(root / "tar", folder, "webdataset")
        packed(root / "parquet", folder, "parquet")
        count = json.loads((root / "tar" / "manifest.json").read_text())["pictures"]
        every = ways(root, folder)
        times: dict[str, list[float]] = {name: [] for name in every}
        for _ in range(settings.turns):
            for name, work_of in every.items():
                times[name].append(timed(work_of))
        size = sum(path.stat().st_size for path in (root / "tar").glob("*.tar"))
        print(f"{count:,} pictures, {size / count / 1e3:.1f} kB each in the tars\n")
        print("| job | who | pictures per second of processor time (median) |\n|---|---|---|")
        for name, seconds in times.items():
            job, who = name.split(": ")
            print(f"| {job} | {who} | {count / statistics.median(seconds):,.0f} |")


if __name__ == "__main__":
    main()
