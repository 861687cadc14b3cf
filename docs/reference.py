"""Print docs/reference.md from the code: `python docs/reference.py > docs/reference.md`. A test compares the two."""

import ast
import dataclasses
import inspect
import itertools
import re

import pellucid
from pellucid.app import cli
from pellucid.app.exits import Exit
from pellucid.glassbox.arithmetic.ops import aten
from pellucid.network import plan, published, text, zoo
from pellucid.network.layers import KINDS
from pellucid.training import recipe as recipes
from pellucid.training.recipe import PRESETS, Recipe

FILES = {
    "README.md": "the model card",
    "config.json": "network, classes in order, preprocessing, temperature, recipe, versions, fingerprints; sizes and "
    "hashes of the files beside it. A folder with this file can predict; the card and its plots are written later",
    "model.safetensors": "the weights",
    "graph.onnx": "the network as an ONNX graph that takes its weights from `model.safetensors`, and how far ONNX "
    "Runtime's answers were from PyTorch's. Predicting makes it anew where it is missing or belongs to other weights",
    "int8.json": "after `--precision int8`: the ranges of the network's maps, the accuracy in float32 and in int8, and "
    "on how many pictures both were measured. Predicting in int8 makes it anew where it is missing, changed or belongs "
    "to other weights",
    "program.pt2": "only for a module of your own that has no text: its computation, as a torch.export program without "
    "weights. It opens only with `--trust`",
    "optimizer.safetensors": "the optimizer's state at the saved weights, from which the next update is computed: as "
    "large as the weights for sgd, twice as large for adam, adamw and rmsprop. Nothing else needs it, and you may "
    "delete it",
    "metrics.json": "every figure of the card, the confusion matrix, the worst mistakes; the classes that a side lacks "
    "(`lacking`), and whether you may quote the test accuracy (`quotable`). With more than 100 classes, the matrix is "
    "stored by its counts above 0: for each true class, the classes `called` and how many `times`. With a "
    "cross-validation, `folds` holds the figures over all pictures and of `each` fold",
    "history.csv": "one line for each epoch",
    "split.csv": "every picture that was used: its class, its side, its SHA-256",
    "known.safetensors": "289 bytes for each picture that trained the model or chose its settings: coarse thumbnails, "
    "by which `evaluate` recognises copies. Nothing else needs it, and you may delete it; then copies are not "
    "recognised",
    "quarantine.csv": "every file that was not used, with the reason",
    "twins.csv": "pairs of near-duplicates, and whether both have the same class. If not, how they differ: copy, "
    "mirrored, partly (different in a part), unseen (not compared closely)",
    "curves.png, confusion.png, calibration.png, thumbnails/": "the pictures of the card",
    "replay/": "with `--replay`: how filters, maps, gradients and predictions of a few pictures changed in training",
    "debugging.json": "figures that `without` or `readout` measured on the model's own pictures, for `open` and "
    "`explain --html`. Nothing else needs it, and you may delete it",
    "life.json": "the training pictures that made each filter, as `makers` collected them, for `open` and "
    "`explain --html`. Nothing else needs it, and you may delete it",
    "folds/": "during a cross-validation (`--folds`): one training for each fold. The run deletes it at the end",
    ".pellucid.lock": "during a training, and after one that was killed: the process that writes here, and since when",
    "checkpoint/": "the state of an unfinished training; `--resume` continues from it",
}


def main() -> None:
    print("# Reference\n\n`docs/reference.py` makes this page from the code; a test keeps it true.\n")
    print(f"## Commands\n\n```text\n{cli.USAGE}```\n")
    print("| exit status | |\n|---|---|")
    for status in Exit:
        print(f"| {int(status)} | {status.meaning} |")
    print("\n## Python\n")
    print(
        "These names are all that a user imports. `help(pellucid.train)` says what each takes, returns and raises; "
        "`**settings` are the settings of the next section.\n"
    )
    print("| name | |\n|---|---|")
    for name, words in public_names().items():
        print(f"| `{name}` | {words} |")
    print("\n## Settings of a training\n")
    print(
        "Each setting is a flag of `pellucid train` (`--learning-rate 0.001`), a key of a TOML file for `--recipe` "
        "(`learning_rate = 0.001`), an argument of `pellucid.train(...)`, and stored in `config.json`. An empty "
        "default is chosen from the pictures; the run prints the choice and its reason.\n"
    )
    print("| setting | values | default | |\n|---|---|---|---|")
    for name, words in explanations().items():
        field = Recipe.__dataclass_fields__[name]
        default = "" if field.default is None else f"`{field.default}`"
        print(f"| `{name}` | {values(str(field.type))} | {default} | {words} |")
    print("\nA named network may have defaults of its own:\n")
    for name, settings in PRESETS.items():
        print(f"- `{name}`: {', '.join(f'{key} {value}' for key, value in settings.items())}")
    print("\n## Networks by name\n\n| name | made for | text |\n|---|---|---|")
    for name in zoo.NAMES:
        named = zoo.find(name)
        size = f"{named.input[1]}x{named.input[2]}x{named.input[0]}" if named.input else "any from 28x28 up"
        written = f"`{text.write(named.network).replace('|', chr(92) + '|')}`"
        if name in published.NAMES:
            parameters = plan.plan(named.network, (3, 224, 224), 1000).parameters
            written = (
                f"as published, {parameters:,} parameters for 1,000 classes; `pellucid plan {name}` shows its layers"
            )
        print(f"| `{name}` | {size} | {written} |")
    print("\n## Layers\n\n| as written | |\n|---|---|")
    for kind in KINDS:
        words = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        print(f"| `{text.signature(kind).replace('|', chr(92) + '|')}` | {words} |")
    print(
        "\n`3*(conv(64, 3) relu)` repeats. `padding=same` keeps the size; with a stride S it gives "
        "ceil(W / S), as in TensorFlow. The last `dense` without a number gets as "
        "many outputs as there are classes.\n"
    )
    print("## Operators whose arithmetic is shown\n")
    print(
        "Pellucid takes every number that these operators compute apart into its terms, forward and backward, in any "
        "module. For any other operator it shows the values, but not the arithmetic. The names are those of PyTorch "
        "(`torch.ops.aten`). An operator that changes its input in place counts as the one that does not.\n"
    )
    print("| | operators |\n|---|---|")
    for words, names in operators().items():
        print(f"| {words} | {', '.join(f'`{name}`' for name in names)} |")
    print("\n## The model folder\n\n| file | holds |\n|---|---|")
    for name, words in FILES.items():
        print(f"| `{name}` | {words} |")


def public_names() -> dict[str, str]:
    """Each public name, a verb with its arguments, and the first sentence of its docstring."""
    homes = {}
    for name in pellucid.__all__:
        thing = getattr(pellucid, name)
        first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ").split(". ")[0]
        words = first.rstrip(".:").replace("|", "\\|")
        if inspect.ismodule(thing):
            names = ", ".join(f"`{each}`" for each in thing.__all__)
            homes[f"pellucid.{name}"] = f"{words}. It holds {names}"
        else:
            arguments = f"({', '.join(inspect.signature(thing).parameters)})" if inspect.isfunction(thing) else ""
            homes[f"pellucid.{name}{arguments}"] = words
    return homes


def operators() -> dict[str, list[str]]:
    """The title of each file of declarations -> the operators that it declares."""
    by_kind: dict[str, list[str]] = {}
    for name, declaration in aten.DECLARATIONS.items():
        words = (inspect.getdoc(inspect.getmodule(declaration)) or "").split("\n\n")[0]
        by_kind.setdefault(words.replace("\n", " ").rstrip("."), []).append(name)
    return by_kind


def explanations() -> dict[str, str]:
    """The docstring of each field of Recipe, by its name."""
    body = ast.parse(inspect.getsource(recipes)).body
    fields = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == "Recipe").body
    texts = {}
    for node, after in itertools.pairwise(fields):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            texts[node.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    assert list(texts) == [field.name for field in dataclasses.fields(Recipe)]
    return texts


def values(annotation: str) -> str:
    """`Literal["sgd", "adam"] | None` as "sgd, adam"."""
    named = {
        "bool": "true, false",
        "Fit": "pad, crop, stretch",
        "Precision": "auto, float32, bfloat16",
        "AugmentChoice": "auto, none, light, strong",
    }
    plain = re.sub(r"Literal\[(.*?)\]", lambda match: match[1].replace('"', "").replace("'", ""), annotation).replace(
        " | None", ""
    )
    return {**named, "str": "text", "int": "whole number", "float": "number"}.get(plain, plain)


if __name__ == "__main__":
    main()
