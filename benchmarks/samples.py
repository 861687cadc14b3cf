"""The pictures for the measurements: made from scikit-learn's two photographs, or passed in; split once for all."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 446, 374  # the median of the article's photographs
SUFFIXES = {".jpg", ".jpeg", ".png"}


def make(folder: Path, count: int) -> None:
    """`count` JPEG files of about 446x374 pixels in two classes: rotated and coloured crops of two photographs."""
    from sklearn.datasets import load_sample_images

    photographs = [Image.fromarray(image) for image in load_sample_images().images]
    chance = np.random.default_rng(0)
    for number in range(count):
        label = number % 2
        path = folder / ("building", "flower")[label] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        varied(photographs[label], chance).save(path, quality=90)


def varied(photograph: Image.Image, chance: np.random.Generator) -> Image.Image:
    turned = photograph.rotate(chance.uniform(-25, 25), Image.Resampling.BICUBIC)
    width = int(chance.uniform(140, 330))
    height = min(int(width * chance.uniform(0.7, 1.0)), 300)
    left, top = int(chance.uniform(40, 600 - width)), int(chance.uniform(40, 390 - height))
    scale = chance.uniform(0.8, 1.2)
    crop = turned.crop((left, top, left + width, top + height))
    image = np.asarray(crop.resize((int(WIDTH * scale), int(HEIGHT * scale)), Image.Resampling.BICUBIC), np.float32)
    if chance.random() < 0.5:
        image = image[:, ::-1]
    coloured = image * chance.uniform(0.6, 1.3, 3) + chance.uniform(-30, 30, 3) + chance.normal(0, 4, image.shape)
    return Image.fromarray(coloured.clip(0, 255).astype(np.uint8))


def by_class(folder: Path) -> dict[str, list[Path]]:
    """Class -> its picture files."""
    classes = sorted(each for each in folder.iterdir() if each.is_dir())
    return {
        each.name: sorted(path for path in each.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        for each in classes
    }


def split(pictures: Path, out: Path, shares: dict[str, float], seed: int = 0, count: int | None = None) -> Path:
    """Copy a folder of class folders to out/SIDE/CLASS, each class divided by the shares; at most `count` in all.

    Every contender reads these folders, so all have the same pictures on each side.
    """
    if out.exists():
        return out
    classes = by_class(pictures)
    for label, files in classes.items():
        chosen = random.Random(seed).sample(files, min(len(files), count // len(classes) if count else len(files)))
        begin = 0.0
        for side, share in shares.items():
            end = begin + share
            for path in chosen[round(begin * len(chosen)) : round(end * len(chosen))]:
                place(path, out / side / label / path.name)
            begin = end
    return out


def flat(pictures: Path, out: Path, count: int) -> Path:
    """`count` of the pictures in one folder without classes; repeated under other names if there are too few."""
    if out.exists():
        return out
    files = [path for files in by_class(pictures).values() for path in files]
    random.Random(0).shuffle(files)
    for number in range(count):
        path = files[number % len(files)]
        place(path, out / f"{number:06d}{path.suffix}")
    return out


def place(path: Path, to: Path) -> None:
    """A hard link, or a copy if the file system has none."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def crops(pictures: Path, out: Path, count: int, side: int) -> Path:
    """`count` square crops, small JPEG files, in out/train/CLASS and, one in five, in out/val/CLASS."""
    chance = np.random.default_rng(0)
    classes = by_class(pictures)
    for label, files in classes.items():
        share, number = count // len(classes), 0
        for path in files:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            for _ in range(min(-(-share // len(files)), share - number)):
                to = out / ("val" if number % 5 == 0 else "train") / label / f"{number}.jpg"
                to.parent.mkdir(parents=True, exist_ok=True)
                crop(image, side, chance).save(to, quality=85)
                number += 1
    return out


def crop(image: Image.Image, side: int, chance: np.random.Generator) -> Image.Image:
    """A random square of 0.4 to 1 times the shorter edge, resized to side x side."""
    size = int(chance.uniform(0.4, 1.0) * min(image.size))
    left, top = (int(chance.integers(edge - size + 1)) for edge in image.size)
    return image.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + size, top + size))
