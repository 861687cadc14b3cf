"""Small shards, as other programs write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import webdataset
from pyarrow import parquet

IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


@pytest.fixture
def tar(tmp_path: Path) -> Callable[..., Path]:
    """tar("a.tar", {"0001": {"png": bytes, "cls": 1}}) -> the path; by webdataset's own writer."""

    def tar(name: str, samples: dict[str, dict[str, Any]]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with webdataset.TarWriter(str(path)) as writer:
            for key, fields in samples.items():
                writer.write({"__key__": key, **fields})
        return path

    return tar


@pytest.fixture
def table() -> Callable[..., Path]:
    """table(path, pictures, labels, names=None, rows=3) -> the path of a Parquet file, as Hugging Face's `datasets`."""

    def table(path: Path, pictures: list[bytes | None], names: list[str] | None = None, rows: int = 3, **columns: Any):
        path.parent.mkdir(parents=True, exist_ok=True)
        label = {"names": names, "_type": "ClassLabel"} if names else {"dtype": "string", "_type": "Value"}
        features = {"image": {"_type": "Image"}, "label": label}
        images = [None if each is None else {"bytes": each, "path": f"{n}.png"} for n, each in enumerate(pictures)]
        made = pyarrow.table({"image": pyarrow.array(images, IMAGE), **columns})
        about = {"huggingface": json.dumps({"info": {"features": features}})} if names else None
        parquet.write_table(made.replace_schema_metadata(about), path, row_group_size=rows)
        return path

    return table
