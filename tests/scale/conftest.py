"""A cluster of two nodes on this machine, shared by all tests of this folder, and pictures that take a while."""

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.scale import cluster as clusters

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}
FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 4}


@dataclass
class TwoNodes:
    """`nodes.address`, and the second node, which a test may kill."""

    nodes: Any
    second: Any

    @property
    def address(self) -> str:
        return str(self.nodes.address)

    def kill(self) -> None:
        """Take the second node away, as a power cut does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.nodes.remove_node(self.second, allow_graceful=False)

    def mend(self) -> None:
        """Add a node in its place."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.second = self.nodes.add_node(**NODE)


@pytest.fixture(scope="session")
def cluster() -> Iterator[TwoNodes]:
    """Two nodes of one core each; this process is connected to them."""
    clusters.require()
    import ray
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a socket's path below it may have 107 characters
    (Path(folder) / "ray").mkdir()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("RAY_TMPDIR", folder)
        head = {**NODE, "include_dashboard": False, "temp_dir": f"{folder}/ray", "_system_config": FAST}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        two = TwoNodes(nodes, nodes.add_node(**NODE))
        ray.init(nodes.address, log_to_driver=False, logging_level=logging.CRITICAL)
        yield two
        ray.shutdown()
        nodes.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table that names one picture a thousand times; decoding it takes a few milliseconds."""
    folder = tmp_path_factory.mktemp("slow")
    image = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    Image.fromarray(image).save(folder / "picture.png", compress_level=1)
    for number in range(1000):
        os.link(folder / "picture.png", folder / f"{number:04}.png")
    table = folder / "table.csv"
    table.write_text("path\n" + "".join(f"{number:04}.png\n" for number in range(1000)))
    return table
