"""OpenVINO's pair of files and torch.export programs: their content, their agreement, and the errors."""

import importlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid
from pellucid.app.cli import main
from pellucid.classifier import store
from pellucid.classifier.predict.exported_readers import ABOUT, CARD, CLASSES
from pellucid.errors import ArtefactError, ExportError, RecipeError, StorageError
from pellucid.exports import exporting
from pellucid.network.text import parse
from pellucid.pictures.decode import Form
from pellucid.runtime import openvino_models

NAMES = ("a", "ö", 'c, "d" & <e>')
SIZES = ((1, 1), (3, 300), (300, 3), (97, 150), (400, 333))  # of pictures: odd ones, and one of each order of passes


@pytest.fixture(scope="module")
def tagged_model(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with several labels a picture, a crop and the bicubic filter; its exports lie beside it."""
    folder = tmp_path_factory.mktemp("formats")
    network = parse(
        "conv(4, 3, padding=same, stride=2) batchnorm relu6 gate(globalavgpool dense(4) sigmoid) flatten dense"
    )
    module = network.module((3, 20, 30), 3).eval()
    about = {"classes": NAMES, "temperature": 1.7, "thresholds": (0.3, 0.6, 0.5)}
    form = Form(20, 30, 3, "crop", 0.875, "bicubic")
    store.save(
        folder / "model", replace(pellucid.load(trained), network=network, module=module, form=form, **about), {}
    )
    (folder / "model" / "README.md").write_text('# Card\n\nnaïve | <b>&amp;\t"x"\n', encoding="utf-8")
    for ending in ("xml", "pt2"):
        done = pellucid.export(folder / "model", folder / f"out.{ending}", pictures=pictures())
        assert done.pictures == len(SIZES)
        assert done.difference <= done.bound
    assert {path.name for path in folder.iterdir()} == {"model", "out.xml", "out.bin", "out.pt2"}
    return folder


@pytest.fixture
def copies(tagged_model: Path, tmp_path: Path) -> Path:
    """Copies of the exports, which a test may damage."""
    for path in tagged_model.glob("out.*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


def probabilities(answers: list[pellucid.Prediction]) -> np.ndarray:
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


def test_predict_says_what_the_model_says(tagged_model: Path) -> None:
    theirs = list(pellucid.predict(tagged_model / "model", [*pictures(), b"broken"]))
    ours = list(pellucid.predict(tagged_model / "out.pt2", [*pictures(), b"broken"], trust=True))
    assert [(each.source, each.labels, each.error) for each in ours] == [
        (each.source, each.labels, each.error) for each in theirs
    ]
    assert np.abs(probabilities(ours[:-1]) - probabilities(theirs[:-1])).max() <= 1e-6


def test_openvino_without_torch(tagged_model: Path, tmp_path: Path) -> None:
    """Other programs get probabilities from pixels, and so does `pellucid predict`."""
    for number, image in enumerate(pictures()):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    code = f"""
import sys
sys.modules["torch"] = None  # importing it fails
import json
from pathlib import Path
import numpy as np, openvino
from PIL import Image
model = openvino.Core().read_model({str(tagged_model / "out.xml")!r})
compiled = openvino.Core().compile_model(model, "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})
files = sorted(Path({str(tmp_path)!r}).iterdir())
rows = [compiled(np.asarray(Image.open(path)))["probabilities"].tolist() for path in files]
texts = [model.get_rt_info(key).astype(str) for key in ("classes", "card")]
types = sorted({{each.get_element_type().get_type_name() for each in model.get_ops() if each.get_output_size()}})
print(json.dumps([rows, texts, types]))
from pellucid.app.cli import main
assert main(["predict", {str(tagged_model / "out.xml")!r}, {str(tmp_path)!r}, "--format", "jsonl"]) == 0
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *lines = result.stdout.splitlines()
    rows, (classes, card), types = json.loads(first)
    expected = list(pellucid.predict(tagged_model / "model", pictures()))
    assert np.abs(np.array(rows) - probabilities(expected)).max() <= 1e-6
    assert json.loads(classes) == list(NAMES)
    assert card == (tagged_model / "model" / "README.md").read_text(encoding="utf-8")
    assert "f32" in types
    assert "f16" not in types  # nothing was compressed in silence
    ours = [json.loads(line) for line in lines]
    assert [each["labels"] for each in ours] == [list(each.labels or ()) for each in expected]
    predicted = np.array([[each["probabilities"][name] for name in NAMES] for each in ours])
    assert np.abs(predicted - probabilities(expected)).max() <= 1e-6


@pytest.fixture
def no_pellucid(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == "pellucid":
                raise ImportError("there is no Pellucid here")

    for name in [each for each in sys.modules if each.partition(".")[0] == "pellucid"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Nowhere(), *sys.meta_path])


def test_torch_alone_gives_probabilities_from_pixels(tagged_model: Path, request: pytest.FixtureRequest) -> None:
    expected = list(pellucid.predict(tagged_model / "model", pictures()))
    request.getfixturevalue("no_pellucid")
    with pytest.raises(ImportError, match="there is no Pellucid here"):
        importlib.import_module("pellucid")
    extra = {CLASSES: "", CARD: "", ABOUT: ""}
    program = torch.export.load(tagged_model / "out.pt2", extra_files=extra).module()
    for image, answer in zip(pictures(), expected, strict=True):
        outputs = program(torch.from_numpy(image))
        assert np.abs(outputs["probabilities"].numpy() - list((answer.probabilities or {}).values())).max() <= 1e-6
        assert np.abs(outputs["logits"].numpy() - answer.logits).max() <= 1e-5
    assert json.loads(extra[CLASSES]) == list(NAMES)
    config = json.loads((tagged_model / "model" / "config.json").read_text())
    assert json.loads(extra[ABOUT])["weights"] == config["files"]["model.safetensors"]["sha256"]
    assert b"/pellucid/" not in (tagged_model / "out.pt2").read_bytes()  # where the code was


def test_a_program_opens_only_with_trust(
    tagged_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], photos: Path
) -> None:
    picture = str(next(photos.rglob("*.png")))
    assert main(["predict", str(tagged_model / "out.pt2"), picture, "--trust", "--format", "jsonl"]) == 0
    assert json.loads(capsys.readouterr().out)["probabilities"].keys() == set(NAMES)
    monkeypatch.setattr(torch.export, "load", lambda *_, **__: pytest.fail("the program was opened"))
    assert main(["predict", str(tagged_model / "out.pt2"), picture]) == 1
    assert "out.pt2 holds a program. Opening it may run code from this file. If you trust" in capsys.readouterr().err


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def foreign_archive(path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("diary.txt", "Monday")
    path.write_bytes(content.getvalue())


def packed_and_flipped(path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("out/extra/pellucid", bytes(range(256)) * 40)
    path.write_bytes(content.getvalue().replace(content.getvalue()[48:60], b"\xff" * 12))


DAMAGES = {
    "numbers flipped": ("xml", "bin", flipped, r"out\.bin is damaged, or does not belong to .*out\.xml\. Export the"),
    "numbers cut": ("xml", "bin", cut, r"out\.bin is damaged, or does not belong to|out\.xml is damaged, or not"),
    "no numbers": ("xml", "bin", Path.unlink, r"out\.bin cannot be read: No such file"),
    "graph cut": ("xml", "xml", cut, r"out\.xml is damaged, or not an OpenVINO file"),
    "a diary": ("xml", "xml", lambda path: path.write_text("Monday"), r"out\.xml is damaged, or not an OpenVINO file"),
    "program flipped": ("pt2", "pt2", flipped, r"out\.pt2 is damaged: the checksum of|is damaged, or not a torch"),
    "packed program flipped": ("pt2", "pt2", packed_and_flipped, r"out\.pt2 is damaged, or not a torch\.export prog"),
    "program cut": ("pt2", "pt2", cut, r"out\.pt2 is damaged, or not a torch\.export program"),
    "another archive": ("pt2", "pt2", foreign_archive, r"out\.pt2 was not exported by Pellucid"),
}


@pytest.mark.parametrize("which", DAMAGES)
def test_damaged_and_foreign_files_give_one_line(
    copies: Path, which: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ending, part, damage, message = DAMAGES[which]
    damage(copies / f"out.{part}")
    with pytest.raises(ArtefactError, match=message):
        pellucid.predict(copies / f"out.{ending}", pictures()[0], trust=True)
    assert main(["predict", str(copies / f"out.{ending}"), "nowhere.png", "--trust"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    if which in ("no numbers", "graph cut"):  # the rest shows that it is ours
        return
    before = {path.name: path.read_bytes() for path in copies.iterdir()}
    monkeypatch.setattr(store, "read", lambda *_: pytest.fail("the place was not checked first"))
    with pytest.raises(StorageError, match="already exists and was not exported by Pellucid"):
        pellucid.export("model", copies / f"out.{ending}")
    assert {path.name: path.read_bytes() for path in copies.iterdir()} == before


def test_only_an_earlier_export_is_replaced(trained: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_compare", lambda *_: (1, 0.0))
    old = (copies / "out.bin").read_bytes()
    assert pellucid.export(trained, copies / "out.xml").beside == (copies / "out.bin",)
    assert (copies / "out.bin").read_bytes() != old
    assert {path.name for path in copies.iterdir()} == {"out.xml", "out.bin", "out.pt2"}
    (copies / "out.xml").unlink()  # a .bin file alone may be anyone's
    with pytest.raises(StorageError, match=r"out\.bin already exists and was not exported by Pellucid"):
        pellucid.export(trained, copies / "out.xml")


def test_a_pair_is_not_written_through_a_link(tagged_model: Path, copies: Path) -> None:
    """The graph would replace that of the link's target, whose numbers have another name."""
    before = {path.name: path.read_bytes() for path in copies.iterdir()}
    (copies / "link.xml").symlink_to("out.xml")
    with pytest.raises(StorageError, match=r"link\.xml is a link to out\.xml, and link\.bin belongs beside the file\."):
        pellucid.export(tagged_model / "model", copies / "link.xml", pictures=pictures())
    (copies / "link.xml").unlink()
    assert {path.name: path.read_bytes() for path in copies.iterdir()} == before


def test_a_comparison_that_fails_leaves_the_old_pair(
    trained: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in copies.iterdir()}

    def differs(*_: object) -> tuple[int, float]:
        raise ExportError("a probability differs")

    monkeypatch.setattr(exporting, "_compare", differs)
    with pytest.raises(ExportError, match="a probability differs"):
        pellucid.export(trained, copies / "out.xml")
    assert {path.name: path.read_bytes() for path in copies.iterdir()} == before


@pytest.mark.parametrize(
    ("out", "named", "message"),
    [
        ("a.onnx", "openvino", r"a\.onnx must end in \.xml, such as a\.xml\."),
        ("a.xml", "torch", r"a\.xml must end in \.pt2, such as a\.pt2\."),
        ("a.bin", None, r"must end in one of these: \.onnx \(onnx\), \.xml \(openvino\), \.pt2 \(torch\)"),
        ("a", None, r"a does not say its format\."),
        ("a.pt2", "pytorch", r"Format 'pytorch' is unknown\. Did you mean torch\? Formats: onnx, openvino, torch"),
    ],
)
def test_the_ending_and_the_format_agree(
    trained: Path, tmp_path: Path, out: str, named: str | None, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        pellucid.export(trained, tmp_path / out, format=named)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(trained: Path, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_models, "installed", lambda: False)
    with pytest.raises(ExportError, match=r"OpenVINO is not installed: pip install 'pellucid\[openvino\]'"):
        pellucid.export(trained, copies / "new.xml")
    with pytest.raises(ArtefactError, match=r"needs OpenVINO, which is not installed: pip install 'pellucid\[openvino"):
        pellucid.predict(copies / "out.xml", b"")
    assert not list(copies.glob("*new*"))
