"""Files that are truncated, changed, of another kind, or malicious: one clear line, nothing read from elsewhere."""

import builtins
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pellucid
from pellucid.errors import ArtefactError, NetworkError, PellucidError

KERNEL = "layers/conv2d/vars/0"


def refused(path: Path, message: str, out: Path, kind: type[PellucidError] = ArtefactError) -> None:
    with pytest.raises(kind, match=message) as raised:
        pellucid.import_keras(path, out)
    assert "\n" not in str(raised.value)
    assert not out.exists()


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "words.keras").write_text("a model, I swear")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("holiday.txt", "sun")

    refused(tmp_path / "gone.keras", r"gone\.keras cannot be read: No such file or directory\.", tmp_path / "out")
    refused(tmp_path / "empty.keras", r"is empty\. Save the model in Keras with model\.save", tmp_path / "out")
    refused(tmp_path / "words.keras", r"is neither a \.keras file \(a zip\) nor an HDF5 file", tmp_path / "out")
    refused(tmp_path / "saved", r"is a folder\. It is a SavedModel of TensorFlow\. Save the model", tmp_path / "out")
    refused(tmp_path / "other.zip", r"is a zip without config\.json, so it is not a saved", tmp_path / "out")


@pytest.mark.parametrize("name", ["article.keras", "article.h5"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_file_that_is_cut(name: str, share: float, stored: Path, tmp_path: Path) -> None:
    content = (stored / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ArtefactError, match=r"is damaged: .*\. Copy it again, or save it again\."):
        pellucid.import_keras(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["blog.keras", "blog.h5"])
def test_a_file_with_wrong_bytes_never_ends_in_a_traceback(name: str, stored: Path, tmp_path: Path) -> None:
    content = (stored / name).read_bytes()
    random = np.random.default_rng(3)
    for number in range(40):
        changed = bytearray(content)
        for place in random.integers(0, len(content), 12):
            changed[place] = random.integers(0, 256)
        (tmp_path / name).write_bytes(changed)
        try:
            pellucid.import_keras(tmp_path / name, tmp_path / f"out{number}")
        except PellucidError:
            assert not (tmp_path / f"out{number}").exists()
        else:
            assert (tmp_path / f"out{number}" / "config.json").exists()


def test_json_that_is_none(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    for content, message in (
        ("{", "config.json is not JSON"),
        ("[]", "is not a JSON object"),
        ("[" * 99_999, "not JSON"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", content)
        refused(path, message, tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [
        lambda layers: layers[1].pop("config"),
        lambda layers: layers[1].pop("class_name"),
        lambda layers: layers[1].update(config=7),
        lambda layers: layers.insert(1, "conv"),
        lambda layers: layers[0]["config"].update(batch_shape=7),
        lambda layers: layers[0]["config"].update(batch_shape=[None, -3, "x", 3]),
    ],
)
def test_a_description_that_is_damaged(
    change: Callable[[Any], None], edited: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises((ArtefactError, NetworkError)):
        pellucid.import_keras(edited("article", change), tmp_path / "out")


def test_a_model_that_is_a_class_of_its_own(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "MyModel", "config": {}}))
        archive.writestr("model.weights.h5", zipfile.ZipFile(stored / "article.keras").read("model.weights.h5"))
    refused(path, r"The file holds a MyModel; supported are Sequential", tmp_path / "out", NetworkError)


def test_weights_without_a_network(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(zipfile.ZipFile(stored / "article.keras").read("model.weights.h5"))
    refused(path, r"holds weights but no network\. Save the whole model in Keras", tmp_path / "out")


def test_a_network_without_weights(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", zipfile.ZipFile(stored / "article.keras").read("config.json"))
    refused(path, r"has no weights \(model\.weights\.h5\)\. Save the model in Keras", tmp_path / "out")


def swapped(name: str, value: np.ndarray) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


def linked(link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[KERNEL]
        file[KERNEL] = link

    return change


def elsewhere(file: h5py.File) -> None:
    del file[KERNEL]
    file["layers/conv2d/vars"].create_dataset("0", (5, 5, 3, 10), "float32", external=[("/etc/passwd", 0, 3000)])


def virtual(file: h5py.File) -> None:
    del file[KERNEL]
    layout = h5py.VirtualLayout((5, 5, 3, 10), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "data", (5, 5, 3, 10))
    file["layers/conv2d/vars"].create_virtual_dataset("0", layout)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file.__delitem__("layers/conv2d"),
            r"^Conv2D conv2d needs kernel, bias; the file has none\. Save",
        ),
        (lambda file: file.__delitem__(KERNEL), r"^Conv2D conv2d needs kernel, bias; the file has 1 of them"),
        (
            swapped(KERNEL, np.zeros((5, 5, 3, 9), "f4")),
            r"its kernel is \(5, 5, 3, 9\) in the file and should be \(5, 5, 3, 1",
        ),
        (swapped(KERNEL, np.zeros((5, 5, 3, 10), "i4")), r"layers/conv2d/vars/0 holds int32; supported are float16"),
        (swapped(KERNEL, np.full((5, 5, 3, 10), np.nan, "f4")), r"its kernel holds numbers that are not finite"),
        (linked(h5py.ExternalLink("/etc/hosts", "/x")), r"layers/conv2d/vars/0 is a link and holds no weights itself"),
        (linked(h5py.SoftLink("/layers/dense/vars/0")), r"is a link and holds no weights itself\. It is not followed"),
        (elsewhere, r"the numbers of layers/conv2d/vars/0 are in another file, which is not read"),
        (virtual, r"the numbers of layers/conv2d/vars/0 are in another file, which is not read"),
    ],
)
def test_weights_that_are_not_there(
    change: Callable[[h5py.File], None], message: str, edited: Callable[..., Path], tmp_path: Path
) -> None:
    refused(edited("article", weights=change), message, tmp_path / "out")


@pytest.mark.parametrize("kind", ["f2", "f8"])
def test_weights_of_other_floats_are_read(kind: str, edited: Callable[..., Path], tmp_path: Path) -> None:
    value = np.random.default_rng(0).normal(size=(5, 5, 3, 10)).astype(kind)
    result = pellucid.import_keras(edited("article", weights=swapped(KERNEL, value)), tmp_path / "out")
    weight = result.classifier.module.state_dict()["conv1.weight"].numpy()
    assert np.array_equal(weight, value.transpose(3, 2, 0, 1).astype("f4"))


def test_a_layer_of_impossible_size_takes_no_memory(edited: Callable[..., Path], tmp_path: Path) -> None:
    """The array is declared with 400 GB, none of which is stored."""

    def large(file: h5py.File) -> None:
        del file[KERNEL]
        file["layers/conv2d/vars"].create_dataset("0", (5, 5, 3, 10**9), "float32", chunks=(5, 5, 3, 10**6))

    def wide(layers: list[dict[str, Any]]) -> None:
        next(layer for layer in layers if layer["class_name"] == "Conv2D")["config"]["filters"] = 10**9

    with pytest.raises(PellucidError):
        pellucid.import_keras(edited("article", wide, large), tmp_path / "out")


def test_a_zip_that_would_become_huge(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", zipfile.ZipFile(stored / "article.keras").read("config.json"))
        with archive.open("model.weights.h5", "w", force_zip64=True) as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
    refused(path, r"0\.1 MB packed, 104\.9 MB unpacked\. Real weights do not compress so well", tmp_path / "o")


def test_a_zip_that_states_less_than_it_holds(stored: Path, tmp_path: Path) -> None:
    path = tmp_path / "liar.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", zipfile.ZipFile(stored / "article.keras").read("config.json"))
        archive.writestr("model.weights.h5", bytes(1 << 20))
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")  # the entry of model.weights.h5
    content[at + 24 : at + 28] = struct.pack("<I", 1000)
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="is damaged"):
        pellucid.import_keras(path, tmp_path / "out")


def test_text_that_would_become_huge(tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("config.json", "w") as file:
        for _ in range(65):
            file.write(b" " * (1 << 20))
    refused(path, r"config\.json has more than 67 MB, which no model needs", tmp_path / "out")


def test_without_h5py_it_says_what_to_install(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "h5py":
            raise ImportError("No module named 'h5py'")
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    refused(stored / "article.keras", r"pip install 'pellucid\[keras\]'\.$", tmp_path / "out", PellucidError)


def test_nothing_of_keras_and_no_h5py_is_imported_before_it_is_needed() -> None:
    code = "import sys, pellucid.api; print(sorted({'h5py', 'keras', 'tensorflow'} & sys.modules.keys()))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_stream_of_an_hdf5_file_is_one(stored: Path) -> None:
    """The tests rely on this when they change weights."""
    content = io.BytesIO(zipfile.ZipFile(stored / "article.keras").read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        assert file[KERNEL].shape == (5, 5, 3, 10)
