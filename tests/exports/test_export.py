"""Exporting a model folder as one ONNX file: its content, its agreement with the model, and the errors."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import pellucid
from pellucid.classifier import store
from pellucid.classifier.predict.exported_readers import ABOUT, CARD, CLASSES
from pellucid.classifier.predict.seal import KEY, sealed
from pellucid.errors import ArtefactError, ExportError, RecipeError, StorageError
from pellucid.exports import exporting, formats, pipeline
from pellucid.network.text import parse
from pellucid.pictures.decode import Form, decode

SEAL = len(sealed(b""))


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "colours.onnx"
    pellucid.export(trained, out)
    return out


@pytest.fixture
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))[::5]


def probabilities(answers: list[pellucid.Prediction]) -> np.ndarray:
    return np.array([list((answer.probabilities or {}).values()) for answer in answers])


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def test_the_command_prints_the_file_and_the_comparison(
    trained: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pellucid.app.cli import main

    out = tmp_path / "a.onnx"
    assert main(["export", str(trained), str(out), "--json"]) == 0
    written = json.loads(capfd.readouterr().out)
    assert written["path"] == str(out)
    assert written["bytes"] == out.stat().st_size
    assert 0 <= written["difference"] <= written["bound"] == 1e-4
    assert written["pictures"] >= 4
    assert main(["export", str(trained), str(out)]) == 0  # an earlier export is replaced
    size = f"{written['bytes'] / 1000:.3g} kB"
    assert f"{out}: {size}.\nCompared with the model on {written['pictures']} pictures: no" in capfd.readouterr().out


def test_other_programs_get_probabilities_from_pixels(exported: Path, trained: Path, files: list[Path]) -> None:
    onnx.checker.check_model(str(exported), full_check=True)
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    expected = pellucid.load(trained).predict([str(path) for path in files])
    for path, answer in zip(files, expected, strict=True):
        p, logits = session.run(["probabilities", "logits"], {"image": decode(path.read_bytes())})
        assert np.abs(p - list((answer.probabilities or {}).values())).max() <= 1e-6
        assert np.abs(logits - answer.logits).max() <= 1e-5
    assert json.loads(metadata(exported)[CLASSES]) == list(pellucid.load(trained).classes)
    assert metadata(exported)[CARD] == (trained / "README.md").read_text()


def test_predict_accepts_the_file_like_the_folder(
    exported: Path, trained: Path, photos: Path, files: list[Path]
) -> None:
    theirs, ours = (list(pellucid.predict(model, [photos, "nowhere.png"])) for model in (trained, exported))
    assert [(each.source, each.label, each.error) for each in ours] == [
        (each.source, each.label, each.error) for each in theirs
    ]
    assert len(ours) == 33
    assert np.abs(probabilities(ours[:-1]) - probabilities(theirs[:-1])).max() <= 1e-6
    (of_an_array,) = pellucid.predict(exported, decode(files[0].read_bytes()))
    assert (
        np.abs(probabilities([of_an_array]) - probabilities(list(pellucid.predict(trained, files[:1])))).max() <= 1e-6
    )


def test_without_torch(exported: Path, files: list[Path]) -> None:
    code = f"""
import sys
sys.modules["torch"] = None  # importing it fails
import json, onnxruntime
from PIL import Image
import numpy as np
session = onnxruntime.InferenceSession({str(exported)!r}, providers=["CPUExecutionProvider"])
image = np.asarray(Image.open({str(files[0])!r}).convert("RGB"))
p = session.run(["probabilities"], {{"image": image}})[0]
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
from pellucid.app.cli import main
assert main(["predict", {str(exported)!r}, {str(files[0])!r}, "--format", "jsonl"]) == 0
print(classes[int(p.argmax())])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    row, label = result.stdout.splitlines()
    assert json.loads(row)["label"] == label == "blue"


@pytest.mark.parametrize(
    "form", [Form(20, 30, 1, "crop", 0.8, "bicubic"), Form(12, 12, 3, "pad", 1.0, "plain")], ids=str
)
@pytest.mark.parametrize("thresholds", [None, (0.3, 0.6, 0.5)])
def test_every_form_and_several_labels(
    trained: Path, tmp_path: Path, files: list[Path], form: Form, thresholds: tuple[float, ...] | None
) -> None:
    network = parse(
        "conv(4, 3, padding=same, stride=2) batchnorm relu6 gate(globalavgpool dense(4) sigmoid) flatten dense"
    )
    classifier, scale = pellucid.load(trained), pellucid.load(trained).standardise
    few = replace(scale, mean=scale.mean[: form.channels], deviation=scale.deviation[: form.channels])
    module = network.module((form.channels, form.height, form.width), 3).eval()
    about = {"classes": ("a", "ö", "c, d"), "temperature": 1.7, "thresholds": thresholds, "standardise": few}
    store.save(tmp_path / "model", replace(classifier, network=network, module=module, form=form, **about), {})
    out = tmp_path / "out.onnx"
    done = pellucid.export(tmp_path / "model", out, pictures=files)
    assert done.pictures == len(files)
    ours, theirs = list(pellucid.predict(out, files)), pellucid.load(tmp_path / "model").predict(files)
    assert np.abs(probabilities(ours) - probabilities(theirs)).max() <= 1e-6
    assert [each.labels for each in ours] == [each.labels for each in theirs]
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    p = session.run(["probabilities"], {"image": decode(files[0].read_bytes())})[0]
    assert np.abs(p - probabilities(ours)[0]).max() <= 1e-6


def test_an_export_that_disagrees_is_refused_and_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def colder(saved, metadata):
        """The logits are right; only the probabilities that other programs read are wrong."""
        return pipeline.write(replace(saved, temperature=saved.temperature * 2), metadata)

    monkeypatch.setitem(formats.FORMATS, "onnx", replace(formats.FORMATS["onnx"], write=colder))
    with pytest.raises(
        ExportError, match=r"was not exported: a probability of .* differs by .*; at most 0\.0001 is allowed"
    ):
        pellucid.export(trained, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(formats.FORMATS, "onnx", replace(formats.FORMATS["onnx"], write=lambda *_: {".onnx": b"none"}))
    with pytest.raises(ExportError, match=r"was not exported: .* is damaged, or not an ONNX file"):
        pellucid.export(trained, tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_cards_pictures_replace_missing_ones(model: Path, tmp_path: Path, files: list[Path]) -> None:
    (model / "split.csv").unlink()
    count = len(list((model / "thumbnails").iterdir()))
    assert count > 0
    assert pellucid.export(model, tmp_path / "a.onnx").pictures == count
    for thumbnail in (model / "thumbnails").iterdir():
        thumbnail.unlink()
    with pytest.raises(ExportError, match=r"no usable pictures to check the export of .*\. Name some with --pictures"):
        pellucid.export(model, tmp_path / "b.onnx")
    assert not (tmp_path / "b.onnx").exists()
    assert pellucid.export(model, tmp_path / "b.onnx", pictures=files[0]).pictures == 1
    assert exporting.CHECKED == 32


@pytest.mark.parametrize(
    ("out", "content", "kind", "message"),
    [
        ("a.pt", None, RecipeError, r"a\.pt does not say its format\. It must end in one of these: \.onnx \(onnx\)"),
        ("a.onnx", b"diary", StorageError, "already exists and was not exported by Pellucid: nothing of yours"),
        ("none/a.onnx", None, StorageError, "could not be written: No such file or directory"),
    ],
)
def test_places_that_are_refused(trained: Path, tmp_path: Path, out, content, kind, message) -> None:
    if content is not None:
        (tmp_path / out).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind, match=message):
        pellucid.export(trained, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before
    if content is not None:
        assert (tmp_path / out).read_bytes() == content


def test_an_unknown_format_is_an_error(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Format 'onx' is unknown\. Did you mean onnx\? Formats: onnx, ope"):
        pellucid.export(trained, tmp_path / "a.onnx", format="onx")
    with pytest.raises(RecipeError, match=r"a\.xyz must end in \.onnx, such as a\.onnx\."):
        pellucid.export(trained, tmp_path / "a.xyz", format="onnx")


def test_damaged_and_foreign_files_give_one_line(exported: Path, tmp_path: Path, pellucid_line: Callable) -> None:
    whole = exported.read_bytes()
    foreign = onnx.load_from_string(whole)
    del foreign.metadata_props[:]
    broken = onnx.load_from_string(whole)
    next(entry for entry in broken.metadata_props if entry.key == ABOUT).value = '{"format": 9}'
    del broken.metadata_props[-1]  # the seal
    bare = onnx.load_from_string(whole)
    del bare.metadata_props[-1]
    wide = onnx.ModelProto()
    wide.CopyFrom(bare)
    wide.graph.input.append(onnx.helper.make_tensor_value_info("second", onnx.TensorProto.UINT8, [1]))
    cases = {
        "cut": (whole[:-900], "is damaged, or not an ONNX file"),
        "empty": (b"", "is damaged, or not an ONNX file"),
        "foreign": (foreign.SerializeToString(), "was not exported by Pellucid"),
        "later": (sealed(broken.SerializeToString()), "its format is 9"),
        "unsealed and later": (broken.SerializeToString(), "its format is 9"),
        "of two inputs": (wide.SerializeToString(), "it has 2 inputs instead of one"),
        "not UTF-8": (bare.SerializeToString().replace(b'"temperature"', b'"temper\xffture"'), "is not UTF-8"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match=message):
            list(pellucid.predict(path, b""))
        assert message in pellucid_line("predict", path, path)


def test_a_changed_byte_is_an_error_and_never_another_answer(exported: Path, tmp_path: Path, files: list[Path]) -> None:
    whole, path = exported.read_bytes(), tmp_path / "changed.onnx"
    for place in np.random.default_rng(0).choice(len(whole), 60, replace=False):
        changed = bytearray(whole)
        changed[place] ^= 4
        path.write_bytes(changed)
        if place < len(whole) - SEAL:
            with pytest.raises(ArtefactError, match="its checksum is wrong"):
                list(pellucid.predict(path, files[:1]))


def test_a_file_of_before_the_seal_still_opens(exported: Path, tmp_path: Path, files: list[Path]) -> None:
    path = tmp_path / "older.onnx"
    path.write_bytes(exported.read_bytes()[:-SEAL])
    assert KEY in metadata(exported)
    assert KEY not in metadata(path)
    assert [each.label for each in pellucid.predict(path, files[:2])] == [
        each.label for each in pellucid.predict(exported, files[:2])
    ]


@pytest.fixture
def pellucid_line(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command and returns its one line of error."""
    from pellucid.app.cli import main

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def test_named_pictures_are_compared_or_nothing_is_written(trained: Path, tmp_path: Path) -> None:
    """The pictures of the model do not stand in for those that the user named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    for named in (tmp_path / "empty", tmp_path / "broken.jpg", []):
        with pytest.raises(ExportError, match="no usable pictures to check the export"):
            pellucid.export(trained, tmp_path / "a.onnx", pictures=named)
    assert not (tmp_path / "a.onnx").exists()
