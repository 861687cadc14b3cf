"""The text in both directions, and every refusal, with the caret in its place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import NetworkError
from pellucid.network.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Elu,
    Flatten,
    Gate,
    Gelu,
    GlobalAvgPool,
    Hardswish,
    L2Pool,
    Layer,
    LeakyRelu,
    MaxPool,
    Relu,
    Residual,
    Sigmoid,
    Silu,
    Tanh,
)
from pellucid.network.network import Network
from pellucid.network.text import parse, signature, write

LAYERS = (
    "conv, dense, batchnorm, layernorm, scale, relu, relu6, leaky_relu, elu, gelu, silu, hardswish, hardsigmoid, "
    "sigmoid, tanh, maxpool, avgpool, l2pool, globalavgpool, flatten, dropout, residual, gate"
)
CONV = "conv(filters, size, stride=1, padding=0, dilation=1, groups=1, bias=true, init=he)"


def test_the_articles_network() -> None:
    expected = (Conv(10, (5, 5)), Relu(), MaxPool((2, 2)), Flatten(), Dense())
    assert parse("conv(10, 5) relu maxpool(2) flatten dense") == Network(expected)
    assert write(Network(expected)) == "conv(10, 5) relu maxpool(2) flatten dense"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("  conv( 10 ,5 )\n relu,\tflatten ,dense\n", "conv(10, 5) relu flatten dense"),
        ("conv(size=3x5, filters=8)", "conv(8, 3x5)"),
        ("conv(8, 3x3, stride=1)", "conv(8, 3)"),
        ("conv(8, 3, init=xavier, padding=valid)", "conv(8, 3, init=glorot)"),
        ("conv(8, 3, bias=false, padding=same)", "conv(8, 3, padding=same, bias=false)"),
        ("conv(8, 3, stride=2x1, padding=1x0, dilation=2, groups=4)",) * 2,
        ("maxpool(3, stride=3)", "maxpool(3)"),
        ("maxpool(3, stride=2, padding=1)",) * 2,
        ("relu() leaky_relu leaky_relu(1e-5) dropout", "relu leaky_relu(0.01) leaky_relu(1e-05) dropout(0.5)"),
        ("2*relu tanh", "relu relu tanh"),
        ("(relu tanh)", "relu tanh"),
        ("2 * (relu 2*(tanh) )", "relu tanh tanh relu tanh tanh"),
        ("residual(conv(8, 3, padding=same))",) * 2,
        ("residual(conv(8, 3, stride=2, padding=1), relu | conv(8, 1, stride=2)) relu",) * 2,
        ("residual(relu|)", "residual(relu)"),
        ("gate(globalavgpool, dense(4) sigmoid)", "gate(globalavgpool dense(4) sigmoid)"),
        (
            "layernorm(eps=0.00001) layernorm(eps=1e-6) scale scale(1)",
            "layernorm(eps=1e-05) layernorm scale(1e-06) scale(1.0)",
        ),
        ("dense(bias=false)",) * 2,
    ],
)
def test_canonical(text: str, canonical: str) -> None:
    assert write(parse(text)) == canonical.replace("), relu |", ") relu |")
    assert parse(write(parse(text))) == parse(text)


def pairs(least: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, 999), st.integers(least, 999))


inits = st.sampled_from(["he", "glorot", "xavier", "lecun", "normal"])
convolutions = st.builds(
    lambda groups, share, size, dilation, bias, init, other: Conv(
        groups * share, size, dilation=dilation, groups=groups, bias=bias, init=init, **other
    ),
    st.integers(1, 9),
    st.integers(1, 99),
    st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 7])),
    pairs(1),
    st.booleans(),
    inits,
    st.fixed_dictionaries({"padding": st.sampled_from(["same", "valid"])})
    | st.fixed_dictionaries({"padding": pairs(0), "stride": pairs(1)}),
)
padded = st.builds(
    lambda kind, half, stride: kind((2 * half[0], 2 * half[1] + 1), stride=stride, padding=half),
    st.sampled_from([MaxPool, AvgPool]),
    pairs(1),
    st.none() | pairs(1),
)
plain: st.SearchStrategy[Layer] = st.one_of(
    convolutions,
    padded,
    st.builds(L2Pool, pairs(1), stride=st.none() | pairs(1)),
    st.builds(Dense, st.none() | st.integers(1, 9999), bias=st.booleans(), init=inits),
    st.builds(Dropout, st.floats(0, 1, exclude_max=True)),
    st.builds(LeakyRelu, st.floats(0, 10)),
    st.sampled_from(
        [BatchNorm(), Relu(), Elu(), Gelu(), Silu(), Hardswish(), Sigmoid(), Tanh(), GlobalAvgPool(), Flatten()]
    ),
)
layers = st.recursive(
    plain,
    lambda inner: st.builds(
        Residual, st.lists(inner, min_size=1, max_size=3).map(tuple), st.lists(inner, max_size=2).map(tuple)
    ),
    max_leaves=8,
)
networks = st.lists(layers, min_size=1, max_size=6).map(lambda drawn: Network(tuple(drawn)))


@given(networks)
@settings(max_examples=150, deadline=None)
def test_round_trip(network: Network) -> None:
    assert parse(write(network)) == network
    assert write(parse(write(network))) == write(network)


@given(st.text(alphabet="conv relu(10,5=)|*x.-\n%é2residual", max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused_with_a_caret(text: str) -> None:
    try:
        parse(text)
    except NetworkError as error:
        line, caret, _explanation = str(error).split("\n")
        assert caret.strip() == "^"
        assert len(caret) <= len(line) + 1


REFUSED = [
    ("", 0, "the text is empty; write layers, conv(10, 5) relu maxpool(2) flatten dense."),
    ("conv(10, 5) rellu", 12, f"there is no layer rellu; did you mean relu? Layers: {LAYERS}."),
    ("maxpol(2)", 0, f"there is no layer maxpol; did you mean maxpool? Layers: {LAYERS}."),
    ("Conv2D(8, 3)", 0, f"there is no layer Conv2D; did you mean conv? Layers: {LAYERS}."),
    ("relu zzz", 5, f"there is no layer zzz; layers: {LAYERS}."),
    (
        "dense softmax",
        6,
        "softmax is not written: the network ends with its scores; softmax belongs to the loss and to the prediction.",
    ),
    ("input conv(8, 3)", 0, "input is not written: the size of the picture is not a part of the network."),
    ("relu % tanh", 5, "'%' has no meaning; expected a layer, a setting or ( ) , = * |."),
    ("conv", 4, f"conv needs its filters: {CONV}."),
    ("conv(10)", 7, f"conv needs its size: {CONV}."),
    ("conv(stride=2, 10)", 17, f"conv needs its size: {CONV}."),
    ("conv(", 4, "this parenthesis is not closed."),
    ("relu conv(10, 5", 9, "this parenthesis is not closed."),
    ("conv(10,", 4, "this parenthesis is not closed."),
    ("conv(10, 5, stride=", 4, "this parenthesis is not closed."),
    ("residual(relu", 8, "this parenthesis is not closed."),
    ("conv(10 5)", 8, "expected , or ) after filters, found '5'."),
    (
        "conv(10, 5, 2)",
        12,
        "conv has no further setting without a name; name the others, stride=, padding=, dilation=, "
        "groups=, bias=, init=.",
    ),
    ("dropout(0.5, 1)", 13, "dropout has no further setting without a name; all are set."),
    ("relu(1)", 5, "relu has no settings."),
    ("conv(10, 5, strid=2)", 12, f"conv has no setting strid; did you mean stride? It is written {CONV}."),
    ("conv(10, 5, q=2)", 12, f"conv has no setting q; it is written {CONV}."),
    ("conv(10, 5, size=3)", 12, "size is given twice."),
    ("conv(ten, 5)", 5, "filters of conv is a whole number, not 'ten'."),
    ("conv(1.5, 5)", 5, "filters of conv is a whole number, not '1.5'."),
    ("conv(10, five)", 9, "size of conv is a whole number or two (3x5), not 'five'."),
    ("conv(10, 5, bias=maybe)", 17, "bias of conv is true or false, not 'maybe'."),
    (
        "conv(10, 5, padding=sme)",
        20,
        "padding of conv is a whole number or two (3x5), or same or valid, not 'sme'; did you mean same?",
    ),
    (
        "conv(10, 5, init=xavir)",
        17,
        "init of conv is he or glorot or xavier or lecun or normal, not 'xavir'; did you mean xavier?",
    ),
    ("dropout(x)", 8, "rate of dropout is a number, not 'x'."),
    ("conv(0, 5)", 5, "conv: filters must be 1 or more, not 0."),
    ("conv(8, 3x0)", 8, "conv: size must be 1 or more, not 0."),
    ("conv(8, -3)", 8, "conv: size must be 1 or more, not -3."),
    ("conv(1000000000, 5)", 5, "conv: filters must be at most 100,000,000, not 1,000,000,000."),
    ("dropout(1)", 8, "dropout: rate must be less than 1, not 1.0."),
    ("relu conv(10, 5, groups=3)", 5, "conv: 10 filters cannot be shared among 3 groups."),
    ("relu | relu", 5, "'|' does not belong here; expected a layer."),
    ("relu)", 4, "')' does not belong here; expected a layer."),
    ("relu = tanh", 5, "expected a layer, found '='."),
    (
        "residual relu",
        9,
        "expected ( after residual: residual(conv(64, 3, padding=1) relu), or residual(body | shortcut).",
    ),
    ("residual()", 0, "residual: its body is empty; write layers, residual(conv(64, 3, padding=1) relu)."),
    ("gate relu", 5, "expected ( after gate: gate(globalavgpool dense(8) relu dense(32) sigmoid)."),
    ("gate()", 0, "gate: its body is empty; write layers, gate(globalavgpool dense(8) relu dense(32) sigmoid)."),
    ("gate(globalavgpool | relu)", 19, "expected a layer or ), found '|'."),
    ("scale(-1)", 6, "scale: init must be 0 or more, not -1.0."),
    ("residual(relu | tanh | elu)", 21, "expected a layer or ), found '|'."),
    ("0*relu", 0, "a count is a whole number from 1 to 10,000, 2*(conv(8, 3) relu)."),
    ("1.5*relu", 0, "a count is a whole number from 1 to 10,000, 2*(conv(8, 3) relu)."),
    ("3 relu", 2, "expected * after a count, 2*(conv(8, 3) relu), found 'relu'."),
    ("3*", 2, "expected a layer, found the end."),
    ("2*()", 2, "these parentheses are empty; write layers, 2*(conv(8, 3) relu)."),
    ("9999*relu tanh elu", 15, "written out, the network has more than 10,000 layers."),
    ("100*(residual(101*relu))", 18, "written out, the network has more than 10,000 layers."),
    ("(" * 51 + "relu", 50, "parentheses are nested more than 50 deep."),
]


@pytest.mark.parametrize(("text", "column", "explanation"), REFUSED, ids=[each[0][:24] for each in REFUSED])
def test_refused(text: str, column: int, explanation: str) -> None:
    with pytest.raises(NetworkError) as raised:
        parse(text)
    assert str(raised.value) == f"{text}\n{' ' * column}^\n{explanation}"


def test_caret_in_the_line_where_the_fault_is() -> None:
    with pytest.raises(NetworkError) as raised:
        parse("conv(10, 5)\n\trelu dens\nflatten")
    line, caret, _ = str(raised.value).split("\n")
    assert line == " relu dens"
    assert caret == "      ^"


def test_caret_in_a_long_line() -> None:
    with pytest.raises(NetworkError) as raised:
        parse("relu " * 60 + "dens " + "relu " * 60)
    line, caret, _ = str(raised.value).split("\n")
    assert line.startswith("... ")
    assert line.endswith(" ...")
    assert len(line) < 110
    assert line[caret.index("^") :].startswith("dens ")


def test_signature() -> None:
    assert signature(Conv) == CONV
    assert signature(Dense) == "dense(units, bias=true, init=glorot)"
    assert signature(MaxPool) == "maxpool(size, stride, padding=0)"
    assert signature(Relu) == "relu"
    assert signature(Residual) == "residual(body | shortcut)"
    assert signature(Gate) == "gate(body)"
