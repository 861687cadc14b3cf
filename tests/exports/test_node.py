"""Node.js runs the exported ONNX file with onnxruntime-web, with the code in docs/how-to.md too."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest

import pellucid
from pellucid.exports import browser_runtime
from pellucid.exports.browser_runtime import BrowserRuntime
from pellucid.pictures.decode import decode

HOW_TO = Path(__file__).parents[2] / "docs/how-to.md"
PARTS = "ort.node.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"
MEMBERS = ("package.json", *(f"dist/{part}" for part in PARTS))
SCRIPT = """
import { readFile } from "node:fs/promises";
import { InferenceSession, Tensor } from "onnxruntime-web";

const [model, pictures] = process.argv.slice(2);
const session = await InferenceSession.create(model);
const answers = [];
for (const { pixels, height, width } of JSON.parse(await readFile(pictures, "utf-8"))) {
  const image = new Tensor("uint8", Uint8Array.from(pixels), [height, width, 3]);
  const { probabilities } = await session.run({ image });
  answers.push(Array.from(probabilities.data));
}
console.log(JSON.stringify(answers));
await import("./documented.mjs");
"""


@pytest.fixture
def project(runtime: BrowserRuntime, tmp_path: Path) -> Path:
    """A folder in which a module may import onnxruntime-web."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("NOT TESTED: the exported file in Node.js; there is no Node.js here")
    common = f"onnxruntime-common@{browser_runtime.VERSION}"
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=0", common]
    if subprocess.run(install, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip(f"NOT TESTED: the exported file in Node.js; npm could not get {common}")
    package = tmp_path / "node_modules" / browser_runtime.NAME
    (package / "dist").mkdir(parents=True)
    with tarfile.open(browser_runtime.place(browser_runtime.default_cache()), "r:gz") as files:
        for entry in files:
            name = entry.name.removeprefix("package/")
            if name in MEMBERS and (content := files.extractfile(entry)) is not None:
                (package / name).write_bytes(content.read())
    return tmp_path


def test_node_answers_as_predict_does(project: Path, trained: Path, photos: Path) -> None:
    pellucid.export(trained, project / "colours.onnx")
    (project / "run.mjs").write_text(SCRIPT)
    (documented,) = re.findall(
        r"^```javascript\n(.*?)^```$", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (project / "documented.mjs").write_text(documented.replace("cats.onnx", "colours.onnx"))
    files = sorted(photos.rglob("*.png"))[::7]
    images = [decode(path.read_bytes()) for path in files]
    images += [np.random.default_rng(size).integers(0, 256, (size, 3 * size, 3), np.uint8) for size in (1, 9, 80)]
    listed = [{"pixels": image.ravel().tolist(), "height": image.shape[0], "width": image.shape[1]} for image in images]
    (project / "pictures.json").write_text(json.dumps(listed))
    (project / "picture.json").write_text(json.dumps(listed[0]))
    command = ["node", "run.mjs", "colours.onnx", "pictures.json"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    answers, alone = map(json.loads, result.stdout.splitlines())
    assert len(answers) == len(images) > 6
    assert alone == answers[0]
    for image, answer in zip(images, answers, strict=True):
        (expected,) = pellucid.predict(trained, image)
        assert np.abs(np.array(answer) - list((expected.probabilities or {}).values())).max() <= 1e-6
