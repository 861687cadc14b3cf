"""A multipart body that is in memory already -> its files and fields, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pellucid.serving.limits import Limits
from pellucid.serving.refusal import too_large, wrong

FIELDS = 50  # of a form, beside its files
FIELD = 10_000  # bytes of one


@dataclass(frozen=True)
class FilePart:
    """One file of a form."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """What a browser or `curl -F` sends. A field may come several times."""

    files: tuple[FilePart, ...]
    fields: dict[str, list[str]]


def read(kind: str, content: bytes, limits: Limits) -> Form:
    """`kind`: the Content-Type header. Raises Refusal."""
    boundary = parse_options_header(kind.encode("latin-1", "replace"))[1].get(b"boundary", b"")
    if not boundary:
        raise wrong("The form's Content-Type has no boundary.")
    collected = _Collected(limits)
    try:
        parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
        parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise wrong(f"The form is damaged: {str(error)[:120].rstrip('.')}.") from error
    if not collected.ended:
        raise wrong("The form did not arrive whole: its last boundary is missing.")
    return Form(tuple(collected.files), collected.fields)


@dataclass(eq=False)
class _Collected:
    """What the parser has told so far."""

    limits: Limits
    files: list[FilePart] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    ended: bool = False
    _content: bytearray = field(default_factory=bytearray)
    _header: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    _headers: dict[bytes, bytes] = field(default_factory=dict)

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_ended,
            "on_end": self._ended,
        }

    def _begin(self) -> None:
        self._content, self._headers = bytearray(), {}

    def _header_ended(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = bytearray(), bytearray()

    def _end(self) -> None:
        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" in options or self._headers.get(b"content-type", b"").startswith(b"image/"):
            if len(self.files) == self.limits.pictures:
                raise too_large(f"There are more than {self.limits.pictures} pictures in the request.")
            called = options.get(b"filename", b"").decode("utf-8", "replace")
            self.files.append(FilePart(called or name or "picture", bytes(self._content)))
            return
        if not name:
            raise wrong("The form has a part without a name.")
        if len(self._content) > FIELD or sum(map(len, self.fields.values())) >= FIELDS:
            raise wrong(f"The form's fields are more than {FIELDS}, or one is longer than {FIELD:,} bytes.")
        self.fields.setdefault(name, []).append(self._content.decode("utf-8", "replace"))

    def _ended(self) -> None:
        self.ended = True
