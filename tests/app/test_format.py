"""Format numbers, times and names for people."""

from types import SimpleNamespace

import pytest

from pellucid.app import format as formats


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (0.6, "1 s"),
        (59.4, "59 s"),
        (59.5, "1:00 min"),
        (185, "3:05 min"),
        (3600, "1:00 h"),
        (7859, "2:10 h"),
        (100_000, "27:46 h"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert formats.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_764_000, "1.76 MB"),
        (999_600, "1 MB"),
        (2e9, "2 GB"),
        (3.5e12, "3.5 TB"),
        (946_256_304_640, "946 GB"),
    ],
)
def test_size(count: int, shown: str) -> None:
    assert formats.size(int(count)) == shown


def test_operations() -> None:
    assert [formats.operations(count) for count in (12, 1_314_240_000, 131_424_000)] == ["12", "1.31 G", "131 M"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b/ü.png", "a b/ü.png"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u2028\x85", "\\u2028\\x85"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\udce9"),
        ("[bold]", "[bold]"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert formats.printable(name) == shown


def test_many() -> None:
    assert [formats.many(count, "epoch") for count in (0, 1, 2, 1200)] == [
        "0 epochs",
        "1 epoch",
        "2 epochs",
        "1,200 epochs",
    ]


def test_share() -> None:
    metrics = SimpleNamespace(accuracy=0.5, pictures=1, interval=(0.1, 0.9), several=False)
    assert formats.share(metrics) == "50.0% of 1 picture, 95% interval 10.0% to 90.0%"  # type: ignore[arg-type]


def test_balanced_names_the_recalls_or_the_lowest_of_many() -> None:
    def metrics(recalls: list[float | None]) -> SimpleNamespace:
        classes = [SimpleNamespace(name=f"c{n}", recall=recall) for n, recall in enumerate(recalls)]
        return SimpleNamespace(balanced_accuracy=0.75, balanced_interval=(0.5, 0.9), classes=classes)

    start = "balanced accuracy 75.0%, 95% interval 50.0% to 90.0%; "
    assert formats.balanced(metrics([1.0, None, 0.5])) == f"{start}recall c0 100.0%, c2 50.0%"  # type: ignore[arg-type]
    many = metrics([0.9, 0.1, 0.8, 0.2, 0.7, 0.6])
    assert formats.balanced(many, 2) == f"{start}lowest recall c1 10.0%, c3 20.0%"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["a"], "class a"), (["a", "b\n"], "classes a, b\\n"), (list("abcdefg"), "classes a, b, c, d, e and 2 more")],
)
def test_few_names(names: list[str], message: str) -> None:
    assert formats.few(names) == message
