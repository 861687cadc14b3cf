"""Predict on a cluster: blocks of pictures go out, whole files come back, and this process alone writes.

docs/why/ray.md says why it is built so.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pellucid
from pellucid import files
from pellucid.errors import ClusterError, PellucidError
from pellucid.pictures.places import is_written_as_address
from pellucid.scale import cluster, faults, listing, pipeline, work
from pellucid.scale.carried import Carried, opened, packed
from pellucid.scale.folder import LISTING, Output, Written
from pellucid.scale.listing import Named
from pellucid.scale.plan import Plan
from pellucid.scale.work import Work

FORMS = ("parquet", "csv", "jsonl")


@dataclass(frozen=True)
class Request:
    """What to predict, and how: see the flags of `pellucid predict`.

    * model: a model folder or an exported file
    * sources: what the user named, for the rows and the plan
    * address: of the cluster; see cluster.is_address
    * out: the folder for the answers; features: the folder for the features, or None
    * form: one of FORMS
    """

    model: Path
    sources: tuple[str, ...]
    address: str
    out: Path
    form: str = "parquet"
    top: int = 3
    batch: int = 32
    features: Path | None = None
    trust: bool = False
    precision: str = "float32"


@dataclass(frozen=True)
class Done:
    """The result of a job: its pictures, those that could not be used, its files, and how many were there before."""

    pictures: int
    unusable: int
    parts: int
    before: int


def predict(request: Request, pictures: Iterable[Named]) -> Generator[tuple[int, int], None, Done]:
    """Do a job, or the rest of one; yields (pictures done, pictures in all) and returns the result.

    `pictures`: each with the number of its source in `request.sources`, in the order of the rows. Closing the generator
    cancels what is under way; files that are there stay, and the same request continues.

    Raises ArtefactError, ClusterError, StorageError, RecipeError, NetworkError and ExportError.
    """
    cluster.require()
    opened(request.model, request.batch, request.features is not None, request.trust, request.precision)
    model = packed(request.model, request.trust)
    output = Output(request.out, request.features)
    with output.claimed():
        plan, parts = _begin(request, model, output, pictures)
        total, before = plan.listing.pictures, len(parts)
        done = sum(part.rows for part in parts.values())
        yield done, total
        missing = [number for number in range(plan.listing.blocks) if number not in parts]
        if missing:
            with cluster.joined(request.address), closing(_answered(request, plan, model, missing)) as answers:
                yield done, total  # the time left does not count the start of the cluster
                for row in answers:
                    part = _write(output, plan, row)
                    parts[part.block] = part
                    done += part.rows
                    yield done, total
        if len(parts) != plan.listing.blocks:
            raise ClusterError(f"The cluster answered {len(parts):,} of {plan.listing.blocks:,} blocks. Run again.")
        output.finish(plan, parts)
    return Done(total, sum(part.unusable for part in parts.values()), len(parts), before)


def _begin(
    request: Request, model: Carried, output: Output, pictures: Iterable[Named]
) -> tuple[Plan, dict[int, Written]]:
    """List the pictures, and make the plan or check the one that is there."""
    place = request.out / LISTING
    with files.storage_errors(place), files.replacing(place) as temporary:
        names = listing.write(temporary, pictures)
        plan = Plan(
            model=model.digest,
            sources=request.sources,
            folder=_beginning(request.sources),
            form=request.form,
            top=request.top,
            precision=request.precision,
            features=request.features is not None,
            listing=names,
            version=pellucid.__version__,
        )
        return plan, output.begin(plan)


def _beginning(sources: Sequence[str]) -> str:
    """Where relative paths begin: the current folder, or nowhere if there are none."""
    absolute = all(os.path.isabs(source) or is_written_as_address(source) for source in sources)
    return "" if absolute else os.getcwd()


def _write(output: Output, plan: Plan, row: dict[str, Any]) -> Written:
    if row["fault"] is not None:
        raise ClusterError(row["fault"])
    return output.write(plan, row["number"], row["unusable"], row["content"], row["features"])


def _answered(
    request: Request, plan: Plan, model: Carried, missing: Sequence[int]
) -> Generator[dict[str, Any], None, None]:
    """The rows of work.answer for the missing blocks, as they come, in any order."""
    import ray

    starts = ray.remote(work.Starts).options(**cluster.here(), max_restarts=-1, max_task_retries=-1).remote()
    task = Work(
        model=ray.put(model),
        starts=starts,
        digest=model.digest,
        folder=plan.folder,
        sources=plan.sources,
        form=plan.form,
        top=plan.top,
        batch=request.batch,
        precision=plan.precision,
        features=plan.features,
        trust=request.trust,
        version=plan.version,
    )
    try:
        blocks = listing.blocks(request.out / LISTING, plan.listing, missing)
        tables: list[Any] = [ray.put(work.block_table(number, batch)) for number, batch in blocks]
        if request.address.startswith(cluster.CLIENT):
            yield from pipeline.answered_inside(tables, task, cluster.here())
        else:
            yield from pipeline.answered(tables, task)
    except (PellucidError, GeneratorExit, KeyboardInterrupt):
        raise
    except Exception as error:  # Ray's errors have no common base
        raise faults.plain(error) from error
