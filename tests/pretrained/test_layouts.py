"""Weights in the layout of timm's repositories: the outputs that timm recorded, and the refusals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from pellucid.classifier import store
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError
from pellucid.files import sha256
from pellucid.network.standardise import Standardise
from pellucid.network.text import parse
from pellucid.pictures.decode import Form
from pellucid.pretrained import described, layouts, lite0
from pellucid.pretrained.find import find
from pellucid.pretrained.known import Known

NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "mobilenetv2_100",
    "mobilenetv3_large_100",
    "efficientnet_lite0",
    "tf_efficientnet_lite0",
    "convnext_tiny",
)
SMALL = "mobilenetv2_100"


def outputs(known: Known, image: np.ndarray) -> np.ndarray:
    rows = len(known.tensors[f"{known.head}.bias"])
    module = known.network.module(image.shape, rows).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in known.tensors.items()})
    with torch.inference_mode():
        return module(torch.from_numpy(image)[None])[0].numpy()


def wave(size: int) -> np.ndarray:
    """The picture behind timm's recorded outputs, float32 (3, size, size)."""
    y, x, c = np.meshgrid(np.arange(size), np.arange(size), np.arange(3), indexing="ij")
    return (np.sin(x / 7 + c) * np.cos(y / 11 - c)).transpose(2, 0, 1).astype(np.float32)


@pytest.mark.parametrize("called", NAMES)
def test_the_outputs_are_those_that_timm_gave(called: str, save, recorded, tmp_path: Path) -> None:
    known = find(str(save(called)), tmp_path / "cache")
    expected = np.array(recorded[called]["logits"])
    logits = outputs(known, wave(224))[:10]

    assert (
        sum(array.size for name, array in known.tensors.items() if "running" not in name and array.ndim)
        == (recorded[called]["parameters"])
    )
    assert np.abs(logits - expected).max() <= 1e-4 * np.abs(expected).max()
    config = recorded[called]["pretrained_cfg"]
    assert known.form == Form(224, 224, 3, "crop", config["crop_pct"], "bicubic")
    assert (known.standardise.mean, known.standardise.deviation) == (tuple(config["mean"]), tuple(config["std"]))
    assert known.name == called.removeprefix("tf_")
    assert known.head == list(known.tensors)[-1].removesuffix(".bias")


def test_lite0s_real_weights_are_the_same_in_both_layouts(tmp_path: Path, save, config, timm) -> None:
    own = lite0.load(tmp_path)
    names = layouts.pairs(own.name, own.network, (3, 224, 224), 1000)
    theirs = {names[name]: array for name, array in own.tensors.items()}
    assert set(theirs) == set(timm("tf_efficientnet_lite0"))
    settings = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
    folder = save("tf_efficientnet_lite0", tensors=theirs, config=config("tf_efficientnet_lite0", **settings))
    read = find(str(folder), tmp_path)

    assert read.backbone_digest == own.backbone_digest
    assert (read.form, read.standardise, read.seen, read.name) == (own.form, own.standardise, own.seen, own.name)
    assert np.array_equal(outputs(read, wave(224)), outputs(own, wave(224)))

    # a file alone, whose network is named as in the zoo, is TensorFlow's variant too
    (folder / "config.json").unlink()
    alone = find(str(folder / "model.safetensors"), tmp_path, model="efficientnet_lite0")
    assert alone.backbone_digest == own.backbone_digest


def test_the_architecture_tells_the_two_variants_apart(save, tmp_path: Path) -> None:
    plain, own = (
        find(str(save(called, 4, folder=called)), tmp_path)
        for called in ("efficientnet_lite0", "tf_efficientnet_lite0")
    )
    assert "padding=same" not in str(plain.network)
    assert "eps=0.001" not in str(plain.network)
    assert str(own.network).count("padding=same") == 17
    assert str(own.network).count("batchnorm(eps=0.001)") == str(plain.network).count("batchnorm") == 49


@pytest.mark.parametrize("called", ["tf_mobilenetv3_large_100", "mobilenetv3_large_100.ra_in1k"])
def test_other_names_of_an_architecture(called: str) -> None:
    architecture = layouts.architecture(called)
    assert architecture == ("mobilenetv3_large_100", called.startswith("tf_"))


@pytest.mark.parametrize("called", ["resnet101", "tf_resnet18", "vit_base_patch16_224", "", "tf_"])
def test_an_architecture_that_cannot_be_read_is_refused_with_those_that_can(called, save, config, tmp_path) -> None:
    folder = save(SMALL, 2, config={**config(SMALL, 2), "architecture": called})
    with pytest.raises(ArtefactError) as raised:
        find(str(folder), tmp_path)
    assert str(raised.value) == (
        f"{folder / 'config.json'}: the architecture {called!r} cannot be read. These can: resnet18, resnet34, "
        "resnet50, mobilenetv2_100, mobilenetv3_large_100, efficientnet_lite0, convnext_tiny, "
        "tf_mobilenetv3_large_100, tf_efficientnet_lite0."
    )


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(kind: torch.dtype, save, timm, tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in timm(SMALL, 5).items()}
    folder = save(SMALL, 5)
    whole = find(str(folder), tmp_path)
    save_torch(
        {name: each.to(kind) if each.is_floating_point() else each for name, each in tensors.items()},
        folder / "model.safetensors",
    )
    known = find(str(folder), tmp_path)
    assert {array.dtype for name, array in known.tensors.items() if array.ndim} == {np.dtype(np.float32)}
    worst = {torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.float64: 0}[kind]
    for name, array in known.tensors.items():
        assert np.allclose(array, whole.tensors[name], rtol=worst, atol=1e-7), name


def test_counters_may_be_absent(save, timm, tmp_path: Path) -> None:
    tensors = {name: array for name, array in timm(SMALL, 3).items() if not name.endswith("num_batches_tracked")}
    known = find(str(save(SMALL, 3, tensors=tensors)), tmp_path)
    assert known.tensors["batchnorm1.num_batches_tracked"] == 0
    assert outputs(known, wave(64)).shape == (3,)


# --- what is refused -------------------------------------------------------------------------------------------------


def refused(folder: Path, tmp_path: Path) -> str:
    with pytest.raises(ArtefactError) as raised:
        find(str(folder), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_weights_of_another_network_are_refused_with_the_first_names(save, timm, tmp_path: Path) -> None:
    folder = save("efficientnet_lite0", 4, tensors=timm(SMALL, 4))
    assert refused(folder, tmp_path) == (
        f"{folder / 'model.safetensors'} holds the weights of another network than efficientnet_lite0: it lacks "
        "blocks.5.3.conv_pw.weight, blocks.5.3.bn1.weight, blocks.5.3.bn1.bias and 12 more; it adds "
        "blocks.2.2.bn1.bias, blocks.2.2.bn1.num_batches_tracked, blocks.2.2.bn1.running_mean and 33 more; it differs "
        "in blocks.2.0.conv_dw.weight [144, 1, 3, 3] instead of [144, 1, 5, 5], blocks.2.0.conv_pwl.weight "
        "[32, 144, 1, 1] instead of [40, 144, 1, 1], blocks.2.0.bn3.weight [32] instead of [40] and 164 more."
    )


def test_a_shape_that_differs_is_named(save, timm, tmp_path: Path) -> None:
    tensors = timm(SMALL, 4)
    tensors["conv_stem.weight"] = tensors["conv_stem.weight"][:, :, :2]
    folder = save(SMALL, 4, tensors=tensors)
    assert refused(folder, tmp_path) == (
        f"{folder / 'model.safetensors'} holds the weights of another network than {SMALL}: it differs in "
        "conv_stem.weight [32, 3, 2, 3] instead of [32, 3, 3, 3]."
    )


def test_numbers_in_another_order_are_not_reshaped(save, timm, tmp_path: Path) -> None:
    """An equal number of elements is not enough: only trailing sides of 1 may differ."""
    tensors = timm(SMALL, 4)
    tensors["classifier.weight"] = tensors["classifier.weight"].reshape(4, 40, 32)
    assert "classifier.weight [4, 40, 32] instead of [4, 1280]" in refused(save(SMALL, 4, tensors=tensors), tmp_path)


def test_a_wrong_head_size_is_named(save, config, tmp_path: Path) -> None:
    folder = save(SMALL, 7, config=config(SMALL, 1000))
    assert refused(folder, tmp_path) == (
        f"{folder / 'model.safetensors'}: its head, classifier.weight, is [7, 1280], and config.json says num_classes "
        "1,000. One of the two files is another model's."
    )


@pytest.mark.parametrize("keep", [0, 4, 5000, -1])
def test_a_truncated_file_is_refused(keep: int, save, tmp_path: Path) -> None:
    folder = save(SMALL, 2)
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    message = refused(folder, tmp_path)
    assert message.startswith(f"{path} is not a safetensors file, or is damaged: ")
    assert message.endswith("Download it again.")


def test_numbers_that_are_not_weights_are_refused(save, timm, tmp_path: Path) -> None:
    tensors = {**timm(SMALL, 2), "bn1.weight": np.ones(32, np.int8)}
    assert "bn1.weight (I8)" in refused(save(SMALL, 2, tensors=tensors), tmp_path)
    (tmp_path / "weights").rename(tmp_path / "first")
    tensors["bn1.weight"] = np.full(32, np.nan, np.float32)
    assert "bn1.weight holds numbers that are not finite" in refused(save(SMALL, 2, tensors=tensors), tmp_path)


# --- config.json -----------------------------------------------------------------------------------------------------


def read(tmp_path: Path, config: Any) -> described.Description:
    path = tmp_path / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return described.read(path)


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({"interpolation": "bilinear", "crop_pct": 1.0}, Form(224, 224, 3, "crop", 1.0, "bilinear")),
        ({"input_size": [3, 160, 192], "crop_pct": 0.9}, Form(160, 192, 3, "crop", 0.9, "bicubic")),
        ({"crop_mode": "squash", "crop_pct": 1.0}, Form(224, 224, 3, "stretch", 1.0, "bicubic")),
        ({"crop_mode": "border", "crop_pct": 1}, Form(224, 224, 3, "pad", 1.0, "bicubic")),
        ({"crop_mode": None, "crop_pct": None, "interpolation": None}, Form(224, 224, 3, "crop", 0.875, "bicubic")),
        ({"input_size": [1, 64, 64], "mean": [0.5], "std": [0.25]}, Form(64, 64, 1, "crop", 0.875, "bicubic")),
    ],
)
def test_the_form_is_what_it_says(settings: dict[str, Any], form: Form, config, tmp_path: Path) -> None:
    assert read(tmp_path, config(SMALL, **settings)).form == form


def test_the_older_layout_has_everything_in_one_object(config, tmp_path: Path) -> None:
    content = config(SMALL, 12)
    older = {"architecture": SMALL, "num_classes": 12, **content["pretrained_cfg"]}
    assert read(tmp_path, older) == read(tmp_path, content)


def test_names_of_classes(config, tmp_path: Path) -> None:
    content = {**config(SMALL, 2), "label_names": ["n01", "n02"], "label_descriptions": {"n01": "cat", "n02": "dog"}}
    assert read(tmp_path, content).names == ("cat", "dog")
    content["label_descriptions"] = {"n01": "crane", "n02": "crane"}
    assert read(tmp_path, content).names == ("n01", "n02")
    content["label_names"] = ["n01"]
    with pytest.raises(ArtefactError, match=r"label_names has 1 names for 2 classes\."):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"interpolation": "nearest"}, "interpolation is 'nearest'; it must be bilinear or bicubic."),
        ({"interpolation": "random"}, "interpolation is 'random'; it must be bilinear or bicubic."),
        ({"crop_mode": "corner"}, "crop_mode is 'corner'; it must be center, squash, border."),
        ({"crop_mode": "squash"}, "crop_pct is 0.875; it must be 1 with crop_mode squash, since no part"),
        ({"crop_pct": 1.2}, "Crop 1.2 must be above 0 and at most 1"),
        ({"crop_pct": "all"}, "crop_pct is 'all'; it must be a number above 0 and at most 1."),
        ({"mean": None}, "mean is missing; it must be 3 numbers, one for each channel."),
        ({"mean": [0.5]}, "mean is [0.5]; it must be 3 numbers, one for each channel."),
        ({"std": [0.5, 0.5, 0]}, "std is [0.5, 0.5, 0.0]; it must be above 0."),
        ({"std": [0.5, 0.5, float("nan")]}, "std is [0.5, 0.5, nan]; it must be 3 numbers"),
        ({"input_size": 224}, "input_size is 224; it must be [channels, height, width], with 1 or 3 channels."),
        ({"input_size": [4, 224, 224]}, "input_size is [4, 224, 224]; it must be [channels, height, width]"),
        (
            {"input_size": [3, 224, 99999]},
            "input_size is [3, 224, 99999]; it must be 8 to 4096 pixels high and wide.",
        ),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str, config, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError) as raised:
        read(tmp_path, config(SMALL, **settings))
    assert str(raised.value).startswith(f"{tmp_path / 'config.json'}: {message}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", " is not JSON: "),
        ("[]", " is not the config.json of a model: it holds list, not an object."),
        ({"num_classes": 3}, ": architecture is missing; it must be one of resnet18, "),
        ({"architecture": SMALL}, ": num_classes is missing; it must be a whole number, 1 or more"),
        ({"architecture": SMALL, "num_classes": 0}, ": num_classes is 0; it must be a whole number, 1 or more"),
        (
            {"architecture": SMALL, "num_classes": 3, "model_args": {"act_layer": "gelu"}},
            ": model_args is {'act_layer'",
        ),
        ({"architecture": SMALL, "num_classes": 3, "global_pool": "max"}, ": global_pool is 'max'; it must be avg"),
        ({"architecture": SMALL, "num_classes": 3, "pretrained_cfg": []}, ": pretrained_cfg is []; "),
    ],
)
def test_files_that_are_refused(config: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError) as raised:
        read(tmp_path, config)
    assert str(raised.value).startswith(f"{tmp_path / 'config.json'}{message}")


@pytest.mark.parametrize(
    ("tag", "seen"),
    [
        ("a1_in1k", lite0.SEEN),
        ("in12k_ft_in1k", f"ImageNet-12k, then {lite0.SEEN}"),
        ("fb_swsl_ig1b_ft_in1k", f"a billion Instagram pictures, then {lite0.SEEN}"),
        ("secret_ft_in1k", f"other pictures (secret_ft_in1k), then {lite0.SEEN}"),
        ("mine", "unknown pictures: WEIGHTS does not say which"),
    ],
)
def test_what_the_weights_had_seen(tag: str, seen: str, save, config, tmp_path: Path) -> None:
    folder = save(SMALL, 2, config=config(SMALL, 2, hf_hub_id=f"timm/{SMALL}.{tag}"))
    known = find(str(folder), tmp_path)
    assert known.source == f"weights (SHA-256 {sha256(folder / 'model.safetensors')[:16]})"
    assert known.seen == seen.replace("WEIGHTS", known.source)


# --- what find understands -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["imagenet", " efficientnet_lite0"])
def test_names(name: str, tmp_path: Path) -> None:
    assert find(name, tmp_path).source == f"{lite0.PACKAGE} {lite0.VERSION}"


def test_a_file_alone_needs_its_network(save, tmp_path: Path) -> None:
    folder = save("resnet18", 6)
    path = folder / "model.safetensors"
    (folder / "config.json").unlink()
    with pytest.raises(
        ArtefactError, match=r"Put its config\.json beside it, or name the network with --model: resnet18"
    ):
        find(str(path), tmp_path)
    with pytest.raises(ArtefactError, match=r"Put its config\.json beside it"):
        find(str(path), tmp_path, model="compact")
    known = find(str(path), tmp_path, model="resnet18")
    assert known.tensors[f"{known.head}.weight"].shape == (6, 512)
    assert known.standardise.mean == (0.485, 0.456, 0.406)
    assert known.source == f"model.safetensors (SHA-256 {sha256(path)[:16]})"
    assert known.seen == f"unknown pictures: {known.source} does not say which"
    with pytest.raises(ArtefactError, match=r"another network than resnet34: it lacks layer1\.2\.conv1\.weight, "):
        find(str(path), tmp_path, model="resnet34")


def test_a_file_with_its_config_beside_it(save, tmp_path: Path) -> None:
    folder = save(SMALL, 6)
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    assert find(str(folder / "mine.safetensors"), tmp_path).name == SMALL


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, r"holds no model\.safetensors\. Write imagenet, OWNER/NAME"),
        (lambda folder: folder / "absent.safetensors", r"There is no file .*absent\.safetensors\."),
        (lambda folder: "resnet50", r"resnet50 comes without weights\."),
        (lambda folder: "imagenett", r"There are no known weights 'imagenett'\. Did you mean imagenet\?"),
        (lambda folder: "", r"There are no known weights ''"),
    ],
)
def test_what_is_not_there(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(ArtefactError, match=message):
        find(str(make(folder)) or "", tmp_path)


def test_a_folder_without_config(save, tmp_path: Path) -> None:
    folder = save(SMALL, 2)
    (folder / "config.json").unlink()
    assert "holds no config.json, which says what network its weights are for." in refused(folder, tmp_path)


@pytest.mark.parametrize("name", ["mine", "mine/model.safetensors"])
def test_a_model_folder_of_ours(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "conv(4, 3) layernorm gate(globalavgpool dense(2) relu dense(4) hardsigmoid) scale(0.5) globalavgpool dense"
    network, form = parse(text), Form(16, 16)
    module = network.module((3, 16, 16), 2).eval()
    scale = Standardise((0.5,) * 3, (0.25,) * 3)
    store.save(tmp_path / "mine", Classifier(network, module, ("cat", "dog"), form, scale, 1.0), {})
    known = find(name, tmp_path / "cache")
    assert (known.network, known.form, known.standardise, known.classes) == (network, form, scale, ("cat", "dog"))
    assert np.array_equal(known.tensors["scale1.weight"], np.full(4, 0.5, np.float32))
    image = wave(16)
    with torch.inference_mode():
        assert np.array_equal(outputs(known, image), module(torch.from_numpy(image)[None])[0].numpy())


@pytest.mark.parametrize("file", [True, False])
def test_a_pickle_is_refused(file: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights" / "pytorch_model.bin"
    path.parent.mkdir()
    path.write_bytes(b"\x80\x02.")
    message = refused(path if file else path.parent, tmp_path)
    assert message.startswith(f"{path} is a pickle, which can run code when it is read, so it is refused.")


def test_a_file_that_cannot_be_read_is_named(save, tmp_path: Path) -> None:
    folder = save(SMALL, 2)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "model.safetensors")  # a loop
    path = folder / "elsewhere.safetensors"
    path.mkdir()
    assert refused(folder, tmp_path).startswith(f"{folder} holds no model.safetensors")
    assert refused(path, tmp_path).startswith(f"{path} holds no model.safetensors")


def test_metadata_in_a_file_does_no_harm(save, timm, tmp_path: Path) -> None:
    folder = save(SMALL, 2)
    save_file(timm(SMALL, 2), folder / "model.safetensors", {"format": "pt"})
    assert find(str(folder), tmp_path).name == SMALL
