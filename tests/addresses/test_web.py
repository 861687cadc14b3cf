"""Pictures and tables over HTTP, from a server whose answers fail in every way."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest
from tests.addresses.web import Web
from tests.app.conftest import Result
from tests.patience import PATIENCE

import pellucid
from pellucid.errors import CatalogError, PictureError
from pellucid.pictures import ahead, remote
from pellucid.pictures import table as sources
from pellucid.pictures.ahead import Ahead
from pellucid.pictures.index import there
from pellucid.pictures.places import place
from pellucid.pictures.reading import read, stamp_of
from pellucid.pictures.shards.verb import packing
from pellucid.pictures.tabular import Columns

ONE = "/photos/red/1.png"


@pytest.mark.parametrize("faults", [[500, 500], ["reset"], ["cut"], [429], [503, "cut"]])
def test_a_passing_fault_is_overcome(served: Web, photos: Path, faults: list[int | str]) -> None:
    served.faults[ONE] = list(faults)
    assert read(place(served.address + ONE)) == (photos / "red/1.png").read_bytes()
    assert served.faults[ONE] == []


@pytest.mark.parametrize(
    ("faults", "reason", "requests"),
    [
        (["cut"] * 9, "cannot be read: the connection was lost (3 tries)", 3),
        (["reset"] * 9, "cannot be read: the connection was lost (3 tries)", 3),
        ([503] * 99, "cannot be read: the server answers 503 (3 tries)", 3),
        ([404] * 9, "not found", 1),
        ([403] * 9, "no permission", 1),
    ],
)
def test_a_lasting_fault_is_a_reason(served: Web, faults: list[int | str], reason: str, requests: int) -> None:
    served.faults[ONE] = list(faults)
    with pytest.raises(PictureError) as caught:
        read(place(served.address + ONE))
    assert caught.value.reason == reason
    assert served.requests[f"GET {ONE}"] == requests


def test_a_picture_that_the_network_lost_is_packed_by_the_next_run(served: Web, photos: Path, tmp_path: Path) -> None:
    served.faults[ONE] = ["cut"] * 99
    first = pellucid.pack(served.address + "/photos/labels.csv", tmp_path / "out", shard_size="2kB")
    assert [(bad.path, bad.reason) for bad in first.quarantine] == [
        ("red/1.png", "cannot be read: the connection was lost (3 tries)")
    ]
    assert {served.requests[f"HEAD /photos/{path.relative_to(photos)}"] for path in photos.rglob("blue/*.png")} == {1}
    served.faults.clear()
    second = pellucid.pack(served.address + "/photos/labels.csv", tmp_path / "out", shard_size="2kB")
    assert second.quarantine == ()
    assert second.pictures == first.pictures + 1 == len(list(photos.rglob("*.png")))
    assert 0 < second.reused < len(second.shards)


def test_a_silent_server_does_not_hold_up_a_stopped_pack(served: Web, photos: Path, tmp_path: Path) -> None:
    source, served.silence = place(served.address + "/photos/labels.csv"), 6.0
    served.faults = {f"/photos/{path.relative_to(photos)}": ["silent"] for path in photos.rglob("*.png")}
    steps = packing(source, tmp_path / "out", "webdataset", "1MB", 0, Columns())
    while not served.requests[f"GET {ONE}"]:
        next(steps)
    began = time.monotonic()
    steps.close()
    assert time.monotonic() - began < 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["packing.json"]


def test_silence_ends(served: Web, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "ANSWER", 0.2)
    served.faults[ONE], served.silence = ["silent"], 1.0
    started = time.monotonic()
    assert read(place(served.address + ONE)) == (photos / "red/1.png").read_bytes()
    assert time.monotonic() - started < 0.9  # it did not wait for the silent answer
    assert served.requests[f"GET {ONE}"] == 2


def test_many_requests_are_in_flight_and_results_are_in_order(served: Web, photos: Path) -> None:
    paths = sorted(photos.rglob("*.png"))
    names = [f"/photos/{path.relative_to(photos)}" for path in paths]
    served.silence = 0.3
    served.faults = {name: ["silent"] for name in names}
    started = time.monotonic()
    with Ahead() as ahead:
        begun = [ahead.begun(place(served.address + name)) for name in names]
        contents = [each.result()[0] for each in begun]  # type: ignore[union-attr]
    assert contents == [path.read_bytes() for path in paths]
    assert time.monotonic() - started < 0.5 * len(names) * served.silence


def test_pictures_without_a_stamp_are_looked_up_together(
    served: Web, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"/photos/{path.relative_to(photos)}" for path in sorted(photos.rglob("*.png"))]
    meeting = threading.Barrier(4)

    def exists(where: object) -> bool:
        meeting.wait(PATIENCE)  # breaks if they come one by one
        return str(where) != served.address + names[0]

    monkeypatch.setattr(ahead, "exists", exists)
    monkeypatch.setattr(ahead, "stamps", lambda places: np.full((len(places), 3), -1))
    places = [place(served.address + name) for name in names[:4]]
    assert list(ahead.present(places)) == [False, True, True, True]
    table = tmp_path / "labels.csv"
    table.write_text("path,label\n" + "".join(f"{where},{number % 2}\n" for number, where in enumerate(places)))
    catalog, stamps = there(sources.read(table))
    assert len(catalog.pictures) == len(stamps) == 3
    assert [bad.path for bad in catalog.quarantine] == [str(places[0])]


@pytest.mark.parametrize("fault", [503, "silent"])
def test_closing_ends_the_wait(served: Web, fault: int | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE", 60.0)
    served.faults[ONE], served.silence = [fault] * 99, 1.0
    started = time.monotonic()
    with Ahead() as ahead:
        begun = ahead.begun(place(served.address + ONE), (5, 5, 0))
        while not served.requests:
            time.sleep(0.01)
        assert time.monotonic() - started < 0.9
    with pytest.raises(PictureError, match="stopped"):
        begun.result()  # type: ignore[union-attr]


def test_after_many_losses_each_picture_is_tried_once(served: Web) -> None:
    names = [f"/photos/red/{number}.png" for number in range(16)] * 6
    served.faults = {name: [503] * 999 for name in names}
    store = remote.RemoteStore(fsspec.filesystem("http"))  # not that of a test whose threads have not ended
    for name in names:
        with pytest.raises(remote.Unreachable):
            store.read(served.address + name, 5, 10)
    counted = sum(count for name, count in served.requests.items() if name.startswith("GET"))
    assert counted == remote.TRIES * remote.GIVEN_UP + len(names) - remote.GIVEN_UP
    served.faults.clear()
    assert store.read(served.address + ONE, len(served.files[ONE]), 10) == served.files[ONE]


def test_a_replaced_file_is_read_again(served: Web) -> None:
    address = place(served.address + ONE)
    stamp = stamp_of(address)
    served.files[ONE] = served.files["/photos/blue/1.png"] + b"longer"
    assert read(address, stamp) == served.files[ONE]
    assert stamp_of(address) != stamp


def test_training_on_a_table_of_the_web(served: Web, photos: Path, tmp_path: Path) -> None:
    served.faults = {ONE: [500], "/photos/blue/2.png": ["cut"], "/photos/blue/5.png": [404] * 99}
    settings = {"model": "flatten dense", "size": 8, "epochs": 1, "cache": tmp_path / "cache"}
    pellucid.train(f"{served.address}/photos/labels.csv", tmp_path / "model", **settings)
    assert (tmp_path / "model/quarantine.csv").read_text() == "path,reason\nblue/5.png,not found\n"
    judged = pellucid.evaluate(tmp_path / "model")
    assert judged.held_out
    assert judged.unusable == ()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "is a web page, and HTTP has no list of a folder's files. Name a table"),
        ("/none.csv", "not found. Check the address."),
        ("/secret.csv", "cannot be read: no permission."),
    ],
)
def test_no_folder_over_http(served: Web, path: str, message: str) -> None:
    served.files["/"] = b"<!DOCTYPE html><html>Index of /</html>"
    served.faults["/secret.csv"] = [403] * 9
    with pytest.raises(CatalogError) as caught:
        pellucid.start(served.address + path, "never").look()
    assert message in str(caught.value)


def test_predicting_single_pictures(served: Web, trained: Path, pellucid: Callable[..., Result], photos: Path) -> None:
    lost = "/photos/red/2.png"
    served.faults[lost] = ["cut"] * 99
    result = pellucid("predict", trained, *(served.address + name for name in (ONE, lost)), "--format", "csv")
    assert result.status == 3
    _, good, bad = result.out.splitlines()
    here = pellucid("predict", trained, photos / "red/1.png", "--format", "csv").out.splitlines()[1]
    assert good.split(",")[1:] == here.split(",")[1:]
    assert bad.endswith(f"{lost},,,,,cannot be read: the connection was lost (3 tries)")
    assert result.err == ""


def test_no_signature_reaches_an_answer(trained: Path, pellucid: Callable[..., Result]) -> None:
    result = pellucid("predict", trained, "https://host.invalid/a.jpg?X-Amz-Signature=abcdef", "--format", "csv")
    assert result.status == 3
    assert "https://host.invalid/a.jpg?…," in result.out
    assert "has a password or a signature in its address" in result.out
    assert "abcdef" not in result.out + result.err
