"""A billion pictures on paper: bytes, cores, hours and money, from figures measured on one core of this machine.

    python benchmarks/paper.py measure PICTURES     # processor time of each kind of work, on a folder of photographs
    python benchmarks/paper.py                      # the tables of docs/why/scale.md, from FIGURES and PRICES below

Processor time is that of one thread, so that other programs count little. Prices are assumptions, and arguments.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PICTURES = 1_000_000_000
SIDE = 224
EPOCHS = 30
STORED = SIDE * SIDE * 3  # bytes of a picture in the store
DESCRIBED = 1153  # bytes of a picture's description, for the search for twins
FEATURES = 4 * 1280  # bytes of its features
LISTED = 100  # bytes of a picture in the catalog, with its path, digest and stamp
FIGURES = {
    # milliseconds of one core for a picture
    "read, hash and decode": 1.068,
    "describe": 0.2696,
    "features, efficientnet_lite0": 4.549,
    "predict, compact": 1.727,
    "train, compact": 4.881,
    "train, efficientnet_lite0": 22.2,
    # bytes a picture
    "file": 22940,
}


def measure(folder: Path, count: int = 300) -> dict[str, float]:
    """The figures of FIGURES, on `count` of the pictures below a folder."""
    import numpy as np
    import torch

    from pellucid.engine import device
    from pellucid.network import zoo
    from pellucid.pictures import twins
    from pellucid.pictures.decode import Form, decode
    from pellucid.pictures.reading import read

    torch.set_num_threads(1)
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    paths = every[:: max(1, len(every) // count)][:count]
    form = Form(SIDE, SIDE, fit="crop")
    content = [read(path) for path in paths]
    images = [decode(data) for data in content]
    small = np.stack([form.apply(image) for image in images])

    def prepare(path: Path) -> None:
        data = read(path)
        hashlib.sha256(data).digest()
        form.apply(decode(data))

    figures = {
        "read, hash and decode": _milliseconds(prepare, paths),
        "describe": _milliseconds(twins.describe, images),
        "file": sum(map(len, content)) / len(content),
    }
    with tempfile.TemporaryDirectory() as place:
        for name, verb in (("efficientnet_lite0", "features"), ("compact", "predict")):
            logits = _predictor(folder, Path(place) / name, name)
            size = 8
            groups = [small[at : at + size] for at in range(0, len(small) - size + 1, size)]
            figures[f"{verb}, {name}"] = _milliseconds(logits, groups) / size
    engine = device.choose("cpu", "auto", 1)
    for name in ("compact", "efficientnet_lite0"):
        figures[f"train, {name}"] = _training(zoo.find(name).network, engine, 16)
    return figures


def _milliseconds(work: Callable[[Any], object], items: list[Any]) -> float:
    """Processor time of this process for an item, without the first, which may load or compile something."""
    work(items[0])
    start = time.process_time()
    for item in items:
        work(item)
    return (time.process_time() - start) / len(items) * 1000


def _predictor(folder: Path, out: Path, name: str) -> Callable[[Any], object]:
    """The outputs of a briefly trained network for prepared pictures, as `pellucid predict` computes them."""
    import pellucid
    from pellucid.classifier.predict.load import lasting

    settings = {"size": SIDE, "fit": "crop", "minutes": 0.2} if name == "compact" else {"pretrained": "imagenet"}
    pellucid.train(folder, out, model=name, **settings)
    return lasting(out).logits


def _training(network: Any, engine: Any, batch: int) -> float:
    import torch
    import torch.nn.functional as F

    from pellucid.engine.device import for_steps, with_blocks

    shape = (3, SIDE, SIDE)
    module = engine.place(network.module(shape, 2))
    engine = for_steps(engine, module, "auto")
    faster = for_steps(with_blocks(engine, module, shape, batch), module, engine.precision)
    forward = faster.forward(module)
    optimizer = torch.optim.Adam(module.parameters())
    images = torch.rand((batch, *shape)).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64)

    def step(_: int) -> None:
        with engine.autocast():
            logits = forward(images)
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    return _milliseconds(step, list(range(8))) / batch


def paper(core_hour: float, terabyte_month: float) -> Iterator[str]:
    """The lines of the tables: bytes and processor time of a billion pictures."""
    yield "| what | a picture | a billion | a month of storage |"
    yield "| --- | --- | --- | --- |"
    sizes = {
        "files": FIGURES["file"],
        f"decoded, {SIDE}x{SIDE}": STORED,
        "features": FEATURES,
        "descriptions": DESCRIBED,
        "catalog": LISTED,
    }
    for what, size in sizes.items():
        terabytes = size * PICTURES / 1e12
        yield f"| {what} | {size:,.0f} bytes | {terabytes:,.1f} TB | ${terabytes * terabyte_month:,.0f} |"
    yield ""
    yield "| work | ms of a core | pictures/s a core | core hours | on 1,000 cores | price |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for work, milliseconds in FIGURES.items():
        if work == "file":
            continue
        times = EPOCHS if work.startswith("train") else 1
        hours = milliseconds * times * PICTURES / 3.6e6
        named = f"{work}, {EPOCHS} epochs" if times > 1 else work
        rate = 1000 / milliseconds
        yield (
            f"| {named} | {milliseconds:.3g} | {rate:,.0f} | {hours:,.0f} | {_duration(hours / 1000)} "
            f"| ${hours * core_hour:,.0f} |"
        )


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:,.0f} days"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", nargs="?", choices=("measure",))
    parser.add_argument("pictures", nargs="?", type=Path)
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of a core for an hour")
    parser.add_argument("--terabyte-month", type=float, default=23.0, help="price of a terabyte for a month")
    arguments = parser.parse_args()
    if arguments.verb is None:
        print("\n".join(paper(arguments.core_hour, arguments.terabyte_month)))
        return
    for name, figure in measure(arguments.pictures).items():
        print(f"{name}: {figure:.4g}", flush=True)


if __name__ == "__main__":
    main()
