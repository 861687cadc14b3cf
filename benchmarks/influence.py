"""Who taught an answer: how often training again without pictures agrees, and how many wrong labels come to the top.

    python benchmarks/influence.py verify [--answers 20] [--alone 2] [--together 5 10] [--methods derivative]
    python benchmarks/influence.py labels [--only teaching] [--photographs DATA]

`verify`: scikit-learn's digits. For each answer of a test picture, the strongest helpers and hurters by each method are
left out, one alone and in groups, and the network is trained again. A row says how often the answer's loss moved as
expected. Pictures of the answer's class, drawn at random, are left out beside it: the share of them without which the
loss rose. `labels`: 5% of the training labels are flipped, by a seed. A row says how many of them are among the first
5, 10 and 20% of a ranking: by self-influence, and by confident learning (Northcutt, Jiang & Chuang 2021), which ranks
by the out-of-fold probability of the label. DATA holds cats_dogs/{cat,dog}. The tables are in docs/why/influence.md.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

import pellucid
from pellucid.app import digits, teaching
from pellucid.life import answer as answering
from pellucid.life import backward, influence, tracin
from pellucid.life.again import Again, start
from pellucid.life.answer import Answer
from pellucid.life.material import Material, gather
from pellucid.life.removed import made_without
from pellucid.steps import result_of

METHODS = ("derivative", "tracin", "random")
FLIPPED = 0.05
FOLDS = 5
FIRST = (0.05, 0.1, 0.2)  # of a ranking
MODELS: dict[str, dict[str, Any]] = {
    "teaching": dict(teaching.SETTINGS) | {"replay": False},
    "two convolutions": {
        "model": "conv(8, 3) relu maxpool(2) conv(16, 3) relu maxpool(2) flatten dense",
        "size": 16,
        "channels": 1,
        "epochs": 8,
        "batch": 64,
        "augment": "none",
        "precision": "float32",
    },
    "lenet5": {"model": "lenet5", "size": 32, "channels": 1, "epochs": 6, "augment": "none", "precision": "float32"},
    "compact": {"model": "compact", "size": 28, "channels": 1, "epochs": 4, "precision": "float32"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["verify", "labels"])
    parser.add_argument("--answers", type=int, default=20)
    parser.add_argument("--alone", type=int, default=2, help="of the strongest pictures, each left out alone")
    parser.add_argument("--together", type=int, nargs="*", default=[5, 10], help="pictures left out together")
    parser.add_argument("--methods", choices=METHODS, nargs="*", default=METHODS)
    parser.add_argument("--only", choices=list(MODELS))
    parser.add_argument("--photographs", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        digits.write(folder / "digits")
        if args.what == "verify":
            for model in [args.only] if args.only else ["teaching", "two convolutions"]:
                verify(folder, model, args.answers, args.alone, args.together, args.methods)
        else:
            for model in [args.only] if args.only else ["teaching", "two convolutions"]:
                labels(folder, model, folder / "digits", MODELS[model] | {"validation": 0})
            if args.photographs is not None:
                labels(folder, "cats and dogs, frozen head", args.photographs / "cats_dogs", {})


# ---- verify


def verify(folder: Path, name: str, count: int, alone: int, together: Sequence[int], methods: Sequence[str]) -> None:
    """Print a row for each method, kind and size of a group."""
    material = trained(folder, name, folder / "digits", MODELS[name])
    answers = list(answered(material, count))
    again = begun(material)
    began = time.perf_counter()
    effects = {"derivative": result_of(backward.through_training(again, answers))}
    spent = time.perf_counter() - began
    assert again.drift() is None
    before = losses(again, answers)
    effects["tracin"] = result_of(tracin.estimate(begun(material), answers))
    effects["random"] = random_effects(material, answers)
    print(f"{name}: {len(answers)} answers, {material.last} steps; derivative {spent:.1f} s for all answers")
    rows: dict[tuple[str, str, int], list[tuple[float, float]]] = defaultdict(list)
    trainings: dict[frozenset[int], NDArray[np.float64]] = {}
    for number in range(len(answers)):
        for method in methods:
            effect = effects[method]
            for kind, sign in (("helped", 1), ("hurt", -1)) if method != "random" else (("same class", 1),):
                order = np.argsort(-sign * effect[number])
                groups = [order[at : at + 1] for at in range(alone)] + [order[:size] for size in together]
                for group in groups:
                    rows_out = frozenset(int(row) for row in material.train[group])
                    if rows_out not in trainings:
                        made = result_of(made_without(material, rows_out))
                        trainings[rows_out] = losses(made.again, answers) - before
                    moved = float(trainings[rows_out][number])
                    rows[method, kind, len(group)].append((float(effect[number][group].sum()), moved))
        print(f"{number + 1} answers, {len(trainings)} trainings", file=sys.stderr)
        report(rows, sys.stderr)
    report(rows, sys.stdout)


def report(rows: dict[tuple[str, str, int], list[tuple[float, float]]], stream: TextIO) -> None:
    """A line for each method, kind and size: how often the loss moved as expected, and how closely."""
    print("| method | pictures left out | together | as expected | of | correlation |", file=stream)
    print("|---|---|---|---|---|---|", file=stream)
    for (method, kind, size), pairs in rows.items():
        expected, moved = np.array(pairs).T
        agree = float((moved < 0).mean() if kind == "hurt" else (moved > 0).mean())
        related = "–" if method == "random" or len(pairs) < 2 else f"{np.corrcoef(expected, moved)[0, 1]:.2f}"
        print(f"| {method} | {kind} | {size} | {agree:.0%} | {len(pairs)} | {related} |", file=stream, flush=True)


def random_effects(material: Material, answers: Sequence[Answer]) -> NDArray[np.float64]:
    """Numbers that put pictures of the answer's class first, in a random order."""
    random = np.random.default_rng(0)
    own = np.array([material.data.labels[material.train] == answer.label for answer in answers])
    return own + random.random(own.shape)


def answered(material: Material, count: int) -> Iterator[Answer]:
    """Answers to test pictures, drawn by a seed."""
    catalog = material.data.catalog
    rows = np.random.default_rng(0).permutation(np.flatnonzero(material.data.sides == 2))[:count]
    for row in rows.tolist():
        yield answering.of(material.classifier, catalog.root / catalog.pictures[row].path)


def losses(again: Again, answers: Sequence[Answer]) -> NDArray[np.float64]:
    return np.array([influence.loss_of(again, answer) for answer in answers])


# ---- labels


def labels(folder: Path, name: str, pictures: Path, settings: dict[str, Any]) -> None:
    """Print a row for each ranking of pictures with flipped labels."""
    table, truth = flipped(folder, name, pictures)
    material = trained(folder, f"{name}, flipped", table, settings | {"test": 0})
    began = time.perf_counter()
    suspects = result_of(influence.suspecting(begun(material)))
    spent = time.perf_counter() - began
    own = f"self-influence ({suspects.method})"
    rankings = {own: [path_of(table, each.path) for each in suspects.every]}
    rankings[f"confident learning ({FOLDS} folds)"] = by_confidence(folder, name, table, settings)
    known = set(rankings[own])
    wrong = {path for path, is_wrong in truth.items() if is_wrong}
    print(f"{name}: {len(wrong & known)} of {len(known)} training labels flipped; self-influence {spent:.1f} s")
    print("| ranking | first 5% | first 10% | first 20% |\n|---|---|---|---|")
    for ranking, paths in rankings.items():
        ranked = [path for path in paths if path in known]
        shares = (len(wrong.intersection(ranked[: round(part * len(ranked))])) / len(wrong & known) for part in FIRST)
        print(f"| {ranking} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)
    print(flush=True)


def flipped(folder: Path, name: str, pictures: Path) -> tuple[Path, dict[str, bool]]:
    """A table of the pictures with 5% of the labels changed to another class, and which of them are."""
    random = np.random.default_rng(0)
    paths = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in (".png", ".jpg"))
    classes = sorted({path.parent.name for path in paths})
    chosen = set(random.choice(len(paths), round(FLIPPED * len(paths)), replace=False).tolist())
    place = folder / f"{name}.csv"
    truth = {}
    with place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for row, path in enumerate(paths):
            others = [each for each in classes if each != path.parent.name]
            label = str(random.choice(others)) if row in chosen else path.parent.name
            writer.writerow([path, label])
            truth[str(path)] = row in chosen
    return place, truth


def by_confidence(folder: Path, name: str, table: Path, settings: dict[str, Any]) -> list[str]:
    """All pictures, the lowest out-of-fold probability of their label first (self-confidence)."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    fold = np.random.default_rng(1).permutation(len(rows)) % FOLDS
    sure: dict[str, float] = {}
    for number in range(FOLDS):
        part = folder / f"{name}, fold {number}.csv"
        with part.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label", "split"])
            for row, own in zip(rows, fold.tolist(), strict=True):
                writer.writerow([row["path"], row["label"], "test" if own == number else "train"])
        out = folder / f"{name}, fold {number}"
        classifier = pellucid.train(part, out, cache=folder / "cache", **settings)
        apart = [row for row, own in zip(rows, fold.tolist(), strict=True) if own == number]
        for row, answer in zip(apart, classifier.stream([row["path"] for row in apart]), strict=True):
            sure[row["path"]] = (answer.probabilities or {}).get(row["label"], 0.0)
    return sorted(sure, key=sure.__getitem__)


def path_of(table: Path, path: str) -> str:
    """A picture's path as in the table."""
    return str((table.parent / path).absolute())


# ---- both


def trained(folder: Path, name: str, pictures: Path, settings: dict[str, Any]) -> Material:
    out = folder / name
    pellucid.train(pictures, out, cache=folder / "cache", **settings)
    return result_of(gather(out, pellucid.load(out), folder / "cache"))


def begun(material: Material) -> Again:
    return result_of(start(material))


if __name__ == "__main__":
    main()
