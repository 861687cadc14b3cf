"""The side-by-side benchmark's own arithmetic: medians, ratios, tables, marks, splits; and that every peer compiles."""

import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from tests.patience import PATIENCE

from pellucid.network import zoo

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
PEERS = sorted((FOLDER / "peers").glob("*.py"))


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """benchmarks/bench.py; its folder and its modules are removed from this process afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(FOLDER))
    import bench  # pyright: ignore[reportMissingImports]

    yield bench
    sys.path.remove(str(FOLDER))
    for name in set(sys.modules) - before:
        if FOLDER in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


def run(contender: str, case: str, seconds: float, **answer: Any) -> dict[str, Any]:
    return {"contender": contender, "case": case, "seconds": seconds, "peak_mb": 100.0, "load": 0.5, "answer": answer}


def failed(contender: str, case: str, reason: str) -> dict[str, Any]:
    return {**run(contender, case, 0.0), "failed": reason}


ARTICLE = [
    *(
        run("pellucid", "article", seconds, accuracy=0.6, train=70, precision="bfloat16")
        for seconds in (9.0, 11.0, 10.0)
    ),
    *(run("keras-tensorflow", "article", seconds, accuracy=0.5, train=70) for seconds in (30.0, 20.0, 25.0)),
    *(run("torch-tuned", "article", seconds, accuracy=0.55, train=70) for seconds in (40.0, 50.0, 45.0)),
    failed("keras-jax", "article", "not done after 60 s"),
]


def test_a_median_leaves_failed_runs_out(bench: ModuleType) -> None:
    tables = sys.modules["tables"]
    runs = [run("a", "x", 3.0), run("a", "x", 1.0), run("a", "x", 10.0), failed("a", "x", "no")]
    assert tables.median(runs, tables.seconds) == 3.0
    assert tables.median(runs[3:], tables.seconds) is None
    assert tables.failure(runs) is None
    assert tables.failure(runs[3:]) == "no"


def test_pellucid_is_held_against_the_best_peer(bench: ModuleType) -> None:
    line = bench.article.headlines(ARTICLE)[0]
    assert (line.ours, line.best, line.ratio) == ("10.0 s", "25.0 s (Keras on TensorFlow)", "2.50")


def test_the_table_says_who_failed_and_who_lost(bench: ModuleType) -> None:
    slow = [{**each, "seconds": 100.0} if each["contender"] == "pellucid" else each for each in ARTICLE]
    report = bench.article.report(slow)
    assert "| Pellucid | 100 s | 1.00 | 100, 100, 100 | 100 MB | 60.0% | bfloat16 |" in report
    assert "| Keras on TensorFlow | 25.0 s | 0.25 |" in report
    assert "| Keras on JAX | not done after 60 s |" in report


def test_more_pictures_a_second_is_better(bench: ModuleType) -> None:
    rates = {"pellucid": 600.0, "keras-tensorflow": 200.0, "torch-tuned": 300.0}
    runs = [run(name, "article", 9.0, images_per_second=rate) for name, rate in rates.items()]
    rate, memory = bench.training.headlines(runs)
    assert (rate.ours, rate.best, rate.ratio) == ("600 pictures/s", "300 pictures/s (PyTorch, tuned)", "2.00")
    assert memory.ratio == "1.00"


def test_each_network_is_held_against_the_better_runtime(bench: ModuleType) -> None:
    seconds = {"pellucid": 2.0, "onnxruntime": 3.0, "openvino": 2.5}
    cases = [f"{case}{network}" for case in ("a folder", "one picture") for network in ("", ", compact")]
    runs = [run(name, case, took, pictures=100) for case in cases for name, took in seconds.items()]
    lines = bench.predicting.headlines(runs)
    assert [(line.job, line.goal, line.ratio) for line in lines] == [
        ("predicting a folder of files", "1.2", "1.25"),
        ("one picture from a cold command", "1.0", "1.25"),
        ("predicting a folder of files, compact", "1.2", "1.25"),
        ("one picture from a cold command, compact", "1.0", "1.25"),
    ]
    in_int8 = [run(name, "a folder, compact, int8", took, pictures=100) for name, took in seconds.items()]
    (*_, last) = bench.predicting.headlines(runs + in_int8)
    assert (last.job, last.ratio) == ("predicting a folder of files in int8, compact", "1.25")
    assert "| compact, int8 | OpenVINO, OpenCV | 40.0 | 1.25 |" in bench.predicting.report(runs + in_int8)
    report = bench.predicting.report(runs)
    assert "| compact | ONNX Runtime, OpenCV | 33.3 | 1.50 | 100 MB | 3.00 s | 1.50 |" in report
    assert "100 pictures for `compact`. In int8" in report


def test_a_page_has_a_section_for_each_job_that_was_run(bench: ModuleType) -> None:
    machine = {"processor": "P", "cores": 2, "memory_gb": 8}
    result = {"machine": machine, "date": "2026-01-01", "pictures": "made", "runs": ARTICLE}
    page = bench.page({"article": result})
    assert page.count("### ") == 1
    assert "load average before the runs 0.5 to 0.5" in page


def test_a_network_that_is_run_again_leaves_the_others_their_figures(bench: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "a").mkdir(parents=True)
    contenders = ("pellucid", "torch-tuned")
    setting = bench.Setting(
        tmp_path / "pictures", tmp_path, tmp_path, contenders, ("compact",), quick=True, minutes=1.0, limit=1.0
    )
    machine = {"processor": "P", "cores": 2, "memory_gb": 8}
    about = {"machine": machine, "date": "2026-02-02", "pictures": "made"}
    cases = ("article", "compact", "small")
    runs = [run("pellucid", case, 9.0, images_per_second=10.0) for case in cases]
    before = {"machine": machine, "date": "2026-01-01", "pictures": "made", "runs": runs}

    now = list(bench.training.cases(setting))
    result = bench.begun(now, before, about)
    assert [each["case"] for each in result["runs"]] == ["article", "small"]
    result["runs"].append(run("pellucid", "compact", 9.0, images_per_second=20.0))
    assert bench.circumstances(result).startswith("2026-02-02; article, small on 2026-01-01, P, 2 cores")
    assert [line.ours for line in bench.training.headlines(result["runs"])] == []  # nobody to compare with
    again = bench.begun(now, result, {**about, "date": "2026-03-03"})
    assert [each["date"] for each in again["runs"]] == ["2026-01-01"] * 2

    other = {**about, "machine": {**machine, "cores": 4}}
    assert bench.begun(now, before, other)["runs"] == []
    assert bench.begun(now, None, about)["runs"] == []


def test_efficientnet_is_the_published_one(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER / "peers"))
    import torch
    import torch_networks  # pyright: ignore[reportMissingImports]

    theirs, ours = torch_networks.build("efficientnet_lite0", 1000), zoo.find("efficientnet_lite0").network
    assert sum(each.numel() for each in theirs.parameters()) == 4_652_008
    state = ours.module((3, 224, 224), 1000).state_dict()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), state.values(), strict=True)))
    module = ours.module((3, 224, 224), 1000)
    module.load_state_dict(state)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(theirs.eval()(images), module.eval()(images), atol=1e-5)


def test_only_what_stands_between_the_marks_is_replaced(bench: ModuleType) -> None:
    tables = sys.modules["tables"]
    begin, end = tables.marks("one")
    text = f"before\n{begin}\nold\n{end}\nafter\n"
    assert tables.between(text, "one", "new") == f"before\n{begin}\nnew\n{end}\nafter\n"
    assert tables.between(tables.between(text, "one", "new"), "one", "old") == text
    with pytest.raises(ValueError, match="must stand"):
        tables.between("no marks", "one", "new")


@pytest.mark.parametrize("page", ["README.md", "docs/benchmarks.md"])
def test_the_pages_have_the_marks(bench: ModuleType, page: str) -> None:
    assert sys.modules["tables"].between((ROOT / page).read_text(), bench.MARK, "new").count("\nnew\n") == 1


def test_a_split_gives_each_class_its_shares_and_loses_nothing(bench: ModuleType, tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / "pictures" / label / f"{number}.jpg")
    out = sys.modules["samples"].split(tmp_path / "pictures", tmp_path / "out", {"train": 0.7, "val": 0.3})
    sides = {side: {path.relative_to(out / side) for path in (out / side).rglob("*.jpg")} for side in ("train", "val")}
    assert {side: len(names) for side, names in sides.items()} == {"train": 14, "val": 6}
    assert not sides["train"] & sides["val"]


def test_a_folder_without_classes_is_made_once(bench: ModuleType, tmp_path: Path) -> None:
    """Several networks share the pictures that they calibrate on."""
    for label in ("cat", "dog"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / label / "0.png")
    for _ in range(2):
        out = sys.modules["samples"].flat(tmp_path / "pictures", tmp_path / "out", 3)
        assert sorted(path.name for path in out.iterdir()) == ["000000.png", "000001.png", "000002.png"]


def test_a_process_is_measured_with_its_children(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["measuring"], "EVERY", 2)
    large = "import time; b = b'x' * 10**8; time.sleep(1)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {large!r}]); print('{{\"a\": 1}}')"
    measured = sys.modules["measuring"].measure([sys.executable, "-c", code], limit=PATIENCE)
    assert measured.failed is None
    assert measured.answer == {"a": 1}
    assert measured.peak_mb > 100


def test_a_process_that_fails_or_takes_too_long_says_so(bench: ModuleType) -> None:
    measure = sys.modules["measuring"].measure
    assert measure([sys.executable, "-c", "raise SystemExit('no pictures')"], limit=PATIENCE).failed == "no pictures"
    assert measure([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.5).failed == "not done after 0.5 s"


@pytest.mark.parametrize("peer", PEERS, ids=lambda path: path.stem)
def test_every_peer_compiles(peer: Path, tmp_path: Path) -> None:
    assert py_compile.compile(str(peer), cfile=str(tmp_path / "out.pyc"), doraise=True)


def test_every_contender_has_its_script_and_its_pinned_list(bench: ModuleType) -> None:
    contenders = sys.modules["contenders"].CONTENDERS
    assert {each.script for each in contenders.values()} <= {path.name for path in PEERS}
    for contender in contenders.values():
        lines = (FOLDER / "peers" / contender.packages).read_text().split()
        assert lines
        assert all("==" in line for line in lines)
