"""The samples of a WebDataset tar: members with one key, such as 0001.jpg and 0001.cls, are one picture and its labels.

The key of a member is its name up to the first dot behind the last slash; the rest is its field, in lower case
(https://github.com/webdataset/webdataset#the-webdataset-format). Here the members of a key need not be neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pellucid.pictures.shards.naming import REST
from pellucid.pictures.shards.tar import Fault, Member, Opened, members

_NAMES = "jpg jpeg jpe jfif png gif bmp webp tif tiff heic heif avif ppm pgm pbm pnm img image jp2 ico tga"
PICTURES = frozenset(_NAMES.split())
"""Fields that hold a picture by their name."""
LABELS = ("cls", "class", "label")
_TEXTS = "cls class label json txt text caption captions index idx id inx count url"
_BESIDE = frozenset(_TEXTS.split())
_LARGEST = 1 << 20  # bytes of a label or of JSON


@dataclass(slots=True)
class Sample:
    """A picture of a tar, or what stands in its place: `fault` says why it cannot be used."""

    key: str
    picture: str = ""  # the member's name
    label: Any = None  # text, a number, a list; as in the tar
    about: dict[str, Any] = field(default_factory=dict)  # of its JSON
    fault: str | None = None

    @property
    def name(self) -> str:
        """The member that stands for the sample in a catalog."""
        return self.picture or self.key


@dataclass(slots=True)
class _Members:
    """The members of a key: field -> member."""

    of: dict[str, Member]
    fault: str | None = None
    cut: str = ""  # the name of a member that is not whole


def samples(file: Opened) -> Iterator[Sample]:
    """The samples in the order of their first members; then one with a fault if the tar cannot be read to its end."""
    by_key: dict[str, _Members] = {}
    others: list[Sample] = []
    try:
        for member in members(file):
            if member.kind == "file":
                _sort_in(member, by_key, others)
            elif member.kind == "other":
                others.append(Sample(member.name, fault="a link or a sparse file in the shard, which holds no bytes"))
    except Fault as fault:
        whole = sum(bool(_pictures(some.of)) for some in by_key.values())
        reason = f"its shard is {fault}; {whole:,} pictures before it are whole. Copy the shard again"
        cut = key_of(fault.member)[0] if fault.member is not None else ""
        if fault.member is not None:
            some = by_key.setdefault(cut, _Members({}))
            some.fault, some.cut = reason, fault.member
        else:
            others.append(Sample(REST, fault=reason))
    for key, some in by_key.items():
        yield _sample(file, key, some)
    yield from others


def key_of(name: str) -> tuple[str, str]:
    """(key, field) of a member: a/b.seg.png -> ("a/b", "seg.png")."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return folder + slash + stem, ending.lower()


def is_picture(name: str) -> bool:
    """Whether a member may be a picture: its field is not one for labels and texts."""
    return key_of(name)[1].rpartition(".")[2] not in _BESIDE


def _sort_in(member: Member, by_key: dict[str, _Members], others: list[Sample]) -> None:
    key, what = key_of(member.name)
    if not key.rpartition("/")[2]:
        return  # a hidden file
    some = by_key.setdefault(key, _Members({}))
    if what in some.of:
        reason = f"the shard holds two members {key}.{what}; the first is used"
        others.append(Sample(f"{member.name} (again)", fault=reason))
    else:
        some.of[what] = member


def _pictures(of: dict[str, Member]) -> list[Member]:
    """The pictures of a sample: named like one, or else whatever is neither a label nor a text."""
    own = [each for what, each in of.items() if what in PICTURES]
    inner = [each for what, each in of.items() if what.rpartition(".")[2] in PICTURES]
    return own or inner or [each for each in of.values() if is_picture(each.name)]


def _sample(file: Opened, key: str, some: _Members) -> Sample:
    pictures = _pictures(some.of)
    sample = Sample(key, pictures[0].name if pictures else some.cut, fault=some.fault)
    if some.fault is not None:
        return sample
    if len(pictures) != 1:
        fields = ", ".join(sorted(what or "a member without an ending" for what in some.of))
        sample.fault = f"its key has {'no picture' if not pictures else 'several pictures'}: {fields}"
        return sample
    try:
        if "json" in some.of:
            sample.about = _object(file, some.of["json"])
        label = next((some.of[name] for name in LABELS if name in some.of), None)
        if label is not None:
            sample.label = _cell(_text(file, label))
    except ValueError as error:
        sample.fault = str(error)
    return sample


def _object(file: Opened, member: Member) -> dict[str, Any]:
    """Raises ValueError."""
    try:
        about = json.loads(_text(file, member))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"its {_short(member)} is not JSON: {error}") from error
    return about if isinstance(about, dict) else {"label": about}


def _text(file: Opened, member: Member) -> str:
    """Raises ValueError."""
    if member.size > _LARGEST:
        raise ValueError(f"its {_short(member)} has {member.size / 1e6:.1f} MB, over the limit of 1 for a label")
    try:
        return file.read(member.offset, member.size).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"its {_short(member)} is not UTF-8 text") from error


def _short(member: Member) -> str:
    return member.name.rpartition("/")[2]


def _cell(text: str) -> Any:
    """A whole number if it is one: an index of a class, if a list of classes is beside the shard."""
    text = text.strip()
    return int(text) if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 10 else text
