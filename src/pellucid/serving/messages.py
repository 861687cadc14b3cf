"""The messages of Open Inference Protocol v2 over gRPC, as the protocol numbers their fields.

They stand here as text instead of generated code: the table is what a reader wants to see, and no compiler has to run.
They live in a pool of their own. Clients bring messages of the same names, and one pool holds a name only once.
Source: open_inference_grpc.proto, "Open Inference Protocol", KServe. Triton Inference Server numbers its fields alike.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

_TENSOR = ("string name = 1", "string datatype = 2", "repeated int64 shape = 3")
_MODEL = ("string name = 1", "string version = 2")
_MESSAGES: dict[str, tuple[str, ...]] = {
    "InferParameter": (
        "choice bool bool_param = 1",
        "choice int64 int64_param = 2",
        "choice string string_param = 3",
        "choice double double_param = 4",
        "choice uint64 uint64_param = 5",
    ),
    "InferTensorContents": (
        "repeated bool bool_contents = 1",
        "repeated int32 int_contents = 2",
        "repeated int64 int64_contents = 3",
        "repeated uint32 uint_contents = 4",
        "repeated uint64 uint64_contents = 5",
        "repeated float fp32_contents = 6",
        "repeated double fp64_contents = 7",
        "repeated bytes bytes_contents = 8",
    ),
    "TensorMetadata": _TENSOR,
    "InferTensor": (*_TENSOR, "map InferParameter parameters = 4", "InferTensorContents contents = 5"),
    "InferRequestedOutputTensor": ("string name = 1", "map InferParameter parameters = 2"),
    "ServerLiveRequest": (),
    "ServerLiveResponse": ("bool live = 1",),
    "ServerReadyRequest": (),
    "ServerReadyResponse": ("bool ready = 1",),
    "ModelReadyRequest": _MODEL,
    "ModelReadyResponse": ("bool ready = 1",),
    "ServerMetadataRequest": (),
    "ServerMetadataResponse": ("string name = 1", "string version = 2", "repeated string extensions = 3"),
    "ModelMetadataRequest": _MODEL,
    "ModelMetadataResponse": (
        "string name = 1",
        "repeated string versions = 2",
        "string platform = 3",
        "repeated TensorMetadata inputs = 4",
        "repeated TensorMetadata outputs = 5",
    ),
    "ModelInferRequest": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "map InferParameter parameters = 4",
        "repeated InferTensor inputs = 5",
        "repeated InferRequestedOutputTensor outputs = 6",
        "repeated bytes raw_input_contents = 7",
    ),
    "ModelInferResponse": (
        "string model_name = 1",
        "string model_version = 2",
        "string id = 3",
        "map InferParameter parameters = 4",
        "repeated InferTensor outputs = 5",
        "repeated bytes raw_output_contents = 6",
    ),
}


def _described() -> FileDescriptorProto:
    file = FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add(message, f".{PACKAGE}.{name}", field)
    return file


def _add(message: DescriptorProto, place: str, text: str) -> None:
    """A field, as in a .proto file; `map` is from text, and of the fields that are a `choice` one is there."""
    *label, kind, name, _, number = text.split()
    field = message.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    if label == ["map"]:
        entry = message.nested_type.add(name="ParametersEntry")
        entry.options.map_entry = True
        _add(entry, place, "string key = 1")
        _add(entry, place, f"{kind} value = 2")
        kind = f"{place}.{entry.name}"
    if label in (["map"], ["repeated"]):
        field.label = FieldDescriptorProto.LABEL_REPEATED
    if label == ["choice"]:
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index = 0
    if hasattr(FieldDescriptorProto, f"TYPE_{kind.upper()}"):
        field.type = getattr(FieldDescriptorProto, f"TYPE_{kind.upper()}")
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f".{PACKAGE}.{kind}"


def _classes() -> dict[str, type[Any]]:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_described().SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _MESSAGES
    }


MESSAGES = _classes()
"""Each message's class by its name, such as ModelInferRequest."""


def has_more_fields(sent: bytes, count: int) -> bool:
    """Whether a message's bytes have more than `count` fields, not counting those inside other fields.

    Raises IndexError, KeyError or ValueError if they are no message. Source: "Encoding", documentation of Protocol
    Buffers.
    """
    place = 0

    def number() -> int:
        nonlocal place
        value = 0
        for shift in range(0, 70, 7):
            byte = sent[place]
            place, value = place + 1, value | (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("a number of more than 10 bytes")

    for _ in range(count):
        if place >= len(sent):
            return False
        kind = number() & 7
        if kind == 0:
            number()
        else:
            length = number() if kind == 2 else {1: 8, 5: 4}[kind]
            place += length
    return place < len(sent)
