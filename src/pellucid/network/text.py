"""A network as a line of text, `conv(10, 5) relu maxpool(2) flatten dense`, and back.

    network  = item item ...                              spaces, new lines or commas between them
    item     = [count *] layer | [count *] ( network )    `2*(conv(8, 3) relu)` is expanded when read
    layer    = word [ ( setting, ..., name=setting, ... ) ]
    residual = residual ( network [ | network ] )         body | shortcut
    gate     = gate ( network )
    setting  = 3 | 3x5 (height x width) | 0.5 | true | same | ...

Only a layer's dataclass defines its settings, their order, defaults and ranges (layers.py).
"""

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pellucid.errors import NetworkError, nearest
from pellucid.network.layer import Layer, out_of_range
from pellucid.network.layers import WORDS, Branched
from pellucid.network.network import Network
from pellucid.network.window import Pair, pair

MOST_LAYERS = 10_000  # after expansion of `1000*(1000*(...))`
DEEPEST = 50  # nested parentheses

_TOKEN = re.compile(
    r"\s*(?:(?P<pair>\d+x\d+\b)"
    r"|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<mark>[(),=*|])"
    r"|(?P<end>\Z))"
)

_NOT_A_LAYER = {
    "softmax": "the network ends with its scores; softmax belongs to the loss and to the prediction",
    "input": "the size of the picture is not a part of the network",
}


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Network:
    """The network that a line of text describes; its `module(shape, classes)` is a torch.nn.Sequential.

    Raises NetworkError with the line, a caret under the character, the error and what would be accepted.
    """
    return _Parser(text).network()


def write(network: Network) -> str:
    """The canonical text: `parse(write(network)) == network`."""
    return str(network)


def signature(kind: type[Layer]) -> str:
    """`conv(filters, size, stride=1, ...)`: the notation of a layer, with its defaults."""
    if issubclass(kind, Branched):
        return f"{kind.word}({' | '.join(kind.rows)})"
    settings = [
        each.name if each.default in (MISSING, None) else f"{each.name}={_shown(each.default)}" for each in fields(kind)
    ]
    return f"{kind.word}({', '.join(settings)})" if settings else kind.word


class _Parser:
    """Reads from left to right; `self.here` is the current token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._split())
        self.position = 0
        self.depth = 0
        self.times = 1  # the product of the counts around `here`
        self.layers = 0  # so far, expanded

    @property
    def here(self) -> _Token:
        return self.tokens[self.position]

    def network(self) -> Network:
        if self.here.kind == "end":
            raise self._error("the text is empty; write layers, conv(10, 5) relu maxpool(2) flatten dense")
        layers = self._row()
        if self.here.kind != "end":
            raise self._error(f"{self.here.text!r} does not belong here; expected a layer")
        return Network(tuple(layers))

    def _row(self) -> list[Layer]:
        """Layers up to the end, a closing parenthesis or a bar."""
        layers: list[Layer] = []
        while self.here.kind != "end" and self.here.text not in (")", "|"):
            layers += self._item()
            self._skip(",")
        return layers

    def _item(self) -> list[Layer]:
        count = self._count() if self.here.kind == "number" else 1
        self.times *= count
        layers = [self._layer()] if self.here.kind == "word" else self._group()
        self.times //= count
        return layers * count

    def _count(self) -> int:
        token = self._next()
        example = "2*(conv(8, 3) relu)"
        if not re.fullmatch(r"\d{1,5}", token.text) or not 1 <= int(token.text) <= MOST_LAYERS:
            raise self._error(f"a count is a whole number from 1 to {MOST_LAYERS:,}, {example}", token)
        if not self._skip("*"):
            raise self._error(f"expected * after a count, {example}, found {self._next_text()}")
        return int(token.text)

    def _group(self) -> list[Layer]:
        if not self._skip("("):
            raise self._error(f"expected a layer, found {self._next_text()}")
        opened = self._down()
        layers = self._row()
        self._close(opened)
        if not layers:
            raise self._error("these parentheses are empty; write layers, 2*(conv(8, 3) relu)", opened)
        return layers

    def _layer(self) -> Layer:
        word = self._next()
        self.layers += self.times
        if self.layers > MOST_LAYERS:
            raise self._error(f"written out, the network has more than {MOST_LAYERS:,} layers", word)
        kind = WORDS.get(word.text)
        if kind is None:
            raise self._error(_unknown_layer(word.text), word)
        settings: dict[str, Any] = {}
        if issubclass(kind, Branched):
            settings = self._branches(kind)
        elif self._skip("("):
            settings = self._settings(kind)
        else:
            self._check_complete(kind, settings, self.tokens[self.position - 1], after=True)
        try:
            return kind(**settings)
        except NetworkError as error:
            raise self._error(str(error).removesuffix("."), word) from None

    def _branches(self, kind: type[Branched]) -> dict[str, Any]:
        if not self._skip("("):
            several = f", or {signature(kind)}" if len(kind.rows) > 1 else ""
            raise self._error(f"expected ( after {kind.word}: {kind.example}{several}")
        opened = self._down()
        first, *further = kind.rows
        branches = {first: tuple(self._row())}
        for row in further:
            if self._skip("|"):
                branches[row] = tuple(self._row())
        self._close(opened)
        return branches

    def _settings(self, kind: type[Layer]) -> dict[str, Any]:
        """The settings in a layer's parentheses, up to and including the closing one."""
        opened = self.tokens[self.position - 1]
        settings: dict[str, Any] = {}
        types = get_type_hints(kind)
        while self.here.text != ")":
            self._check_closed(opened)
            each = self._setting(kind, settings)
            self._check_closed(opened)
            settings[each.name] = self._value(each, types[each.name], kind)
            self._check_closed(opened)
            if self.here.text != ")" and not self._skip(","):
                raise self._error(f"expected , or ) after {each.name}, found {self._next_text()}")
        self._check_complete(kind, settings, self.here)
        self._next()
        return settings

    def _setting(self, kind: type[Layer], settings: dict[str, Any]) -> Field[Any]:
        """The field of the next setting: the named one, or else the next in order."""
        by_name = {each.name: each for each in fields(kind)}
        token = self.here
        if token.kind == "word" and self.tokens[self.position + 1].text == "=":
            if token.text not in by_name:
                raise self._error(_unknown_setting(token.text, kind), token)
            if token.text in settings:
                raise self._error(f"{token.text} is given twice", token)
            self.position += 2
            return by_name[token.text]
        open_ones = [each for each in fields(kind) if each.name not in settings]
        if not fields(kind):
            raise self._error(f"{kind.word} has no settings", token)
        if not open_ones or open_ones[0].kw_only:
            names = ", ".join(f"{each.name}=" for each in open_ones)
            what = f"name the others, {names}" if names else "all are set"
            raise self._error(f"{kind.word} has no further setting without a name; {what}", token)
        return open_ones[0]

    def _value(self, setting: Field[Any], type_: Any, kind: type[Layer]) -> Any:
        token = self._next()
        value = _read(token, type_)
        if value is None:
            message = f"{setting.name} of {kind.word} is {_accepted(type_)}, not {token.text!r}"
            near = nearest(token.text, _words(type_)) if token.kind == "word" else []
            raise self._error(message + (f"; did you mean {near[0]}?" if near else ""), token)
        if complaint := out_of_range(setting, value):
            raise self._error(f"{kind.word}: {complaint}", token)
        return value

    def _check_complete(self, kind: type[Layer], settings: dict[str, Any], at: _Token, after: bool = False) -> None:
        for each in fields(kind):
            if each.name not in settings and each.default is MISSING:
                place = at._replace(at=at.at + len(at.text)) if after else at
                raise self._error(f"{kind.word} needs its {each.name}: {signature(kind)}", place)

    # --- tokens ---

    def _split(self) -> Iterator[_Token]:
        at = 0
        while True:
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                at += len(self.text[at:]) - len(self.text[at:].lstrip())
                bad = _Token("mark", self.text[at], at)
                raise self._error(f"{bad.text!r} has no meaning; expected a layer, a setting or ( ) , = * |", bad)
            yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
            if match.lastgroup == "end":
                return
            at = match.end()

    def _next(self) -> _Token:
        token = self.here
        if token.kind != "end":
            self.position += 1
        return token

    def _skip(self, mark: str) -> bool:
        if self.here.kind == "mark" and self.here.text == mark:
            self.position += 1
            return True
        return False

    def _down(self) -> _Token:
        """The parenthesis that was just opened, one level deeper."""
        opened = self.tokens[self.position - 1]
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._error(f"parentheses are nested more than {DEEPEST} deep", opened)
        return opened

    def _close(self, opened: _Token) -> None:
        self._check_closed(opened)
        if not self._skip(")"):
            raise self._error(f"expected a layer or ), found {self._next_text()}")
        self.depth -= 1

    def _check_closed(self, opened: _Token) -> None:
        if self.here.kind == "end":
            raise self._error("this parenthesis is not closed", opened)

    def _next_text(self) -> str:
        return "the end" if self.here.kind == "end" else repr(self.here.text)

    def _error(self, message: str, token: _Token | None = None) -> NetworkError:
        line, column = _excerpt(self.text, (token or self.here).at)
        stop = "" if message.endswith("?") else "."
        return NetworkError(f"{line}\n{' ' * column}^\n{message}{stop}")


def _excerpt(text: str, at: int, most: int = 100) -> tuple[str, int]:
    """The line of `text` that contains `at`, at most about `most` characters of it, and the caret's column."""
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line, column = text[start : end if end >= 0 else len(text)], at - start
    line = re.sub(r"\s", " ", line)
    if len(line) > most:
        left = min(max(0, column - most // 2), len(line) - most)
        before, after = "... " if left else "", " ..." if left + most < len(line) else ""
        line, column = before + line[left : left + most] + after, column - left + len(before)
    return line, column


def _read(token: _Token, type_: Any) -> Any:
    """The token's value as one of the types that the setting takes, or None."""
    for each in _alternatives(type_):
        if each is bool and token.text in ("true", "false"):
            return token.text == "true"
        if each is int and re.fullmatch(r"[-+]?\d{1,18}", token.text):
            return int(token.text)
        if each is float and token.kind == "number":
            return float(token.text)
        if each == Pair and token.kind == "pair":
            return _both([int(side) for side in token.text[:40].split("x")])
        if each == Pair and re.fullmatch(r"[-+]?\d{1,18}", token.text):
            return _both([int(token.text)] * 2)
        if get_origin(each) is Literal and token.text in get_args(each):
            return token.text
    return None


def _both(sides: list[int]) -> Pair:
    return sides[0], sides[1]


def _accepted(type_: Any) -> str:
    """The values that a setting of this type takes, in words."""
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        Pair: "a whole number or two (3x5)",
    }
    return ", or ".join(names.get(each) or " or ".join(_words(each)) for each in _alternatives(type_))


def _words(type_: Any) -> list[str]:
    return [word for each in _alternatives(type_) if get_origin(each) is Literal for word in get_args(each)]


def _alternatives(type_: Any) -> tuple[Any, ...]:
    if get_origin(type_) in (None, Literal, tuple):
        return (type_,)
    return tuple(each for each in get_args(type_) if each is not type(None))


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return pair(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unknown_layer(word: str) -> str:
    if word.lower() in _NOT_A_LAYER:
        return f"{word} is not written: {_NOT_A_LAYER[word.lower()]}"
    near = nearest(word.lower(), WORDS)
    hint = f"did you mean {near[0]}? Layers" if near else "layers"
    return f"there is no layer {word}; {hint}: {', '.join(WORDS)}"


def _unknown_setting(word: str, kind: type[Layer]) -> str:
    names = [each.name for each in fields(kind)]
    near = nearest(word, names)
    hint = f"did you mean {near[0]}? It" if near else "it"
    return f"{kind.word} has no setting {word}; {hint} is written {signature(kind)}"
