"""`pellucid predict --features`: the usual answers, and a Parquet file of features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from pellucid.app import answers
from pellucid.classifier.predict import feature_table
from pellucid.classifier.predict.prediction import Prediction
from pellucid.errors import RecipeError


def check(precision: str) -> None:
    """Refuse int8: features are numbers of the float32 network. Raises RecipeError."""
    if precision != "float32":
        raise RecipeError(
            f"--features come from the float32 network. Leave out --precision {precision}, or --features."
        )


def write(
    model: Path,
    pictures: tuple[str, ...],
    top: int,
    form: str,
    batch: int,
    stream: TextIO,
    features: Path,
    out: Path | None,
    trust: bool = False,
) -> int:
    """As answers.write, in one pass. Raises StorageError, and NetworkError if there are no features."""
    if out is not None and out.resolve() == features.resolve():
        raise RecipeError(f"--out and --features are both {out}; name two different files.")
    feature_table.check(features)  # before torch is imported
    names = answers.listed_names(pictures)
    classifier = feature_table.opened(model, trust)
    with feature_table.table(features, classifier) as table:

        def noted() -> Iterator[Prediction]:
            for row in classifier.described(answers.sources(names), batch):
                table.add(answers.named(row.prediction.source), row)
                yield row.prediction

        return answers.listed(classifier.predictor, noted(), names, top, form, stream)
