"""Open Inference Protocol v2 over gRPC: the same models, limits and token as over HTTP, in the protocol's messages.

Each method is declared as one that takes a stream. A client that sends one message, as the protocol says, sends the
same bytes. The server can then read the message itself, and refuse one that does not arrive in time.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import grpc
import grpc.aio
import numpy as np

from pellucid import __version__
from pellucid.errors import StorageError
from pellucid.serving import bodies, logs, open_inference, tensors
from pellucid.serving.entrance import Access
from pellucid.serving.handler import Handler, Picture
from pellucid.serving.messages import MESSAGES, SERVICE, has_more_fields
from pellucid.serving.refusal import Refusal, wrong
from pellucid.serving.tensors import Tensor
from pellucid.serving.wire import fault_sentence

DIALECT = "open_inference_grpc"  # under which metrics.py counts
HEALTH = ("ServerLive", "ServerReady")  # without the token, as over HTTP
CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,  # to try again does not help
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}
CONCURRENT = 1000  # requests at once, those that are refused as well
ARRIVING = 32  # messages that are read at once: gRPC states no length, so none can be refused before it is in memory
ABOUT = 65_536  # bytes of a message beside its pictures
FIELDS = 1000  # of a message: one of two bytes takes 84 bytes of memory once it is read
CANCELLED = 499  # the status of a request whose client went away, in log and counters

Context = Any  # grpc.aio.ServicerContext, whose type has parameters for the messages
Method = Callable[[Any], Awaitable[Any]]


class Rpc:
    """The service of one process. Start and end it on the event loop that the handler runs on."""

    def __init__(self, handler: Handler, access: Access, address: str) -> None:
        """`address`: host and port. Several processes may answer at the same one."""
        self._handler, self._access, self._address = handler, access, address
        self._methods: dict[str, Method] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server,
            "ModelMetadata": self._model,
            "ModelInfer": self._infer,
        }
        self._arriving = asyncio.Semaphore(ARRIVING)
        self._server_of_grpc: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises StorageError."""
        limits = self._handler.limits
        self._server_of_grpc = server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.body + ABOUT),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_concurrent_streams", CONCURRENT),
                ("grpc.so_reuseport", 1),
            ],
            maximum_concurrent_rpcs=CONCURRENT,
        )
        handlers = {
            name: grpc.stream_unary_rpc_method_handler(self._answering(name, work))
            for name, work in self._methods.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise StorageError(f"gRPC cannot listen at {self._address}. Choose another --grpc-port.") from error
        await server.start()

    async def end(self, seconds: float) -> None:
        """Take no more requests, and wait for those in work, so many seconds at most."""
        if self._server_of_grpc is not None:
            await self._server_of_grpc.stop(seconds)

    def _answering(self, name: str, work: Method) -> Callable[[AsyncIterator[bytes], Context], Awaitable[bytes]]:
        """A method around `work`: it checks access, reads, counts and logs, and hides every stack trace."""

        async def answering(messages: AsyncIterator[bytes], context: Context) -> bytes:
            begin, number = time.monotonic(), secrets.token_hex(8)
            status, sent, answer = HTTPStatus.OK.value, b"", b""
            try:
                if name not in HEALTH:
                    sent_with = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
                    self._access.check_token(sent_with.get("authorization", ""))
                    sent = await self._arrived(messages)
                self._handler.gate.take(len(sent))
                try:
                    answer = (await work(await _parsed(f"{name}Request", sent))).SerializeToString()
                finally:
                    self._handler.gate.free(len(sent))
                return answer
            except Refusal as refusal:
                status = refusal.status.value
                after = refusal.headers.get("Retry-After")
                metadata = (("retry-after", after),) if after else ()
                return await context.abort(CODES.get(refusal.status, grpc.StatusCode.UNKNOWN), str(refusal), metadata)
            except asyncio.CancelledError:
                status = CANCELLED
                raise
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # a fault of ours
                status = HTTPStatus.INTERNAL_SERVER_ERROR.value
                logs.line("fault", "error", id=number, path=name, trace=traceback.format_exception(error))
                return await context.abort(grpc.StatusCode.INTERNAL, fault_sentence(error))
            finally:
                seconds = time.monotonic() - begin
                self._handler.metrics.requested(DIALECT, status, seconds)
                logs.line(
                    "request",
                    id=number,
                    method="gRPC",
                    path=name,
                    status=status,
                    ms=round(seconds * 1000, 3),
                    bytes_in=len(sent),
                    bytes_out=len(answer),
                )

        return answering

    async def _arrived(self, messages: AsyncIterator[bytes]) -> bytes:
        limits = self._handler.limits
        try:
            async with asyncio.timeout(limits.seconds), self._arriving:
                async for message in messages:
                    return message
        except TimeoutError as error:
            late = f"The request did not arrive within {limits.seconds:g} s."
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, late) from error
        raise wrong("The request has no message.")

    async def _live(self, _request: Any) -> Any:
        return MESSAGES["ServerLiveResponse"](live=True)

    async def _ready(self, _request: Any) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=True)

    async def _model_ready(self, request: Any) -> Any:
        """Clients take false for a model that is not there, not an error."""
        try:
            self._handler.models.now(request.name, request.version)
        except Refusal:
            return MESSAGES["ModelReadyResponse"](ready=False)
        return MESSAGES["ModelReadyResponse"](ready=True)

    async def _server(self, _request: Any) -> Any:
        return MESSAGES["ServerMetadataResponse"](name="pellucid", version=__version__, extensions=["classification"])

    async def _model(self, request: Any) -> Any:
        described = open_inference.metadata(self._handler.models.now(request.name, request.version))
        return MESSAGES["ModelMetadataResponse"](**described)

    async def _infer(self, request: Any) -> Any:
        with self._handler.models.using(request.model_name, request.model_version) as served:
            inference, pictures = await asyncio.to_thread(_read, request)
            made = await open_inference.inferred(self._handler, served, inference, pictures)
            answer = MESSAGES["ModelInferResponse"](model_name=served.name, model_version=served.version, id=request.id)
            for tensor, _ in made:
                _write(answer, tensor, raw=bool(request.raw_input_contents))
            return answer


async def _parsed(name: str, sent: bytes) -> Any:
    try:
        many = has_more_fields(sent, FIELDS)
        if not many:
            return await bodies.aside(sent, lambda: MESSAGES[name].FromString(sent))
    except Exception as error:  # protobuf's DecodeError, and its own errors of text that is no UTF-8
        raise wrong(f"The message is no {name}.") from error
    raise wrong(f"The message has more than {FIELDS:,} fields. Send all pictures in one input.")


def _read(request: Any) -> tuple[dict[str, Any], list[Picture]]:
    """The outputs and parameters as in JSON, and the pictures. Raises Refusal."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise wrong(f"There are {len(request.inputs)} inputs and {len(raw)} raw_input_contents; each input has one.")
    if not request.inputs:
        raise wrong("The request has no inputs.")
    inputs = [_tensor(each, raw[place] if raw else None) for place, each in enumerate(request.inputs)]
    outputs = [{"name": each.name, "parameters": _parameters(each.parameters)} for each in request.outputs]
    return {"outputs": outputs, "parameters": _parameters(request.parameters)}, open_inference.pictures_of(inputs)


def _tensor(described: Any, raw: bytes | None) -> Tensor:
    name, datatype, shape = tensors.stated(described.name, described.datatype, list(described.shape))
    if raw is not None:
        return tensors.of_bytes(name, datatype, shape, raw)
    contents = described.contents
    if datatype == "BYTES":
        return tensors.of_elements(name, shape, list(contents.bytes_contents))
    values = contents.uint_contents if datatype == "UINT8" else contents.fp32_contents
    if len(values) > bodies.VALUES:
        raise wrong(
            f"The input {name!r} has {len(values):,} values. More than {bodies.VALUES:,} go into raw_input_contents."
        )
    numbers = np.uint32 if datatype == "UINT8" else np.float32
    return tensors.of_numbers(name, datatype, shape, np.fromiter(values, numbers, len(values)))


def _parameters(parameters: Any) -> dict[str, Any]:
    chosen = {name: (value, value.WhichOneof("parameter_choice")) for name, value in parameters.items()}
    return {name: getattr(value, choice) for name, (value, choice) in chosen.items() if choice is not None}


def _write(answer: Any, tensor: Tensor, raw: bool) -> None:
    """Add a tensor. `raw`: all of them as bytes, as the client has sent its own."""
    described = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    if raw:
        answer.raw_output_contents.append(tensors.as_binary(tensor)[1])
    elif isinstance(tensor.values, list):
        described.contents.bytes_contents.extend(tensors.elements(tensor.values))
    else:
        described.contents.fp32_contents.extend(tensor.values.reshape(-1).tolist())
