"""Why an address cannot be read, as a phrase, and whether a second try may help.

The packages behind fsspec raise errors of their own. They are recognised by their classes' names: importing aiohttp or
botocore to compare classes would cost every run half a second.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator

from pellucid.errors import did_you_mean

_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # HTTP: too slow, too many requests, or the server's own fault
_PASSING_ERRNO = {
    errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.ETIMEDOUT, errno.EBUSY,
    errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EAGAIN,
}  # fmt: skip
_BUSY = re.compile(r"slow ?down|throttl|too many requests|your request rate|request(limit|timeout)", re.IGNORECASE)
_EXTRAS = {"s3fs": "pip install 'pellucid[s3]'", "huggingface_hub": "pip install 'pellucid[hub]'"}
_TIMEOUTS = {
    "TimeoutError", "FSTimeoutError", "ConnectTimeoutError", "ReadTimeoutError", "ServerTimeoutError",
    "ConnectionTimeoutError", "SocketTimeoutError", "ConnectTimeout", "ReadTimeout",
}  # fmt: skip
_REFUSED = {"EndpointConnectionError", "ClientConnectorError", "ConnectionRefusedError", "ConnectError"}
_LOST = {
    "ServerDisconnectedError", "ClientOSError", "ClientPayloadError", "IncompleteRead", "IncompleteReadError",
    "ConnectionClosedError", "ConnectionResetError", "ResponseStreamingError", "BrokenPipeError", "HTTPClientError",
    "ClientConnectionError", "ConnectionError", "ResponseParserError", "ChecksumError", "FlexibleChecksumError",
    "RemoteProtocolError", "ContentLengthError",
}  # fmt: skip
_NO_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "DefaultCredentialsError",
    "ProfileNotFound", "TokenRetrievalError", "LocalTokenNotFoundError", "RefreshError",
}  # fmt: skip
CREDENTIALS = "credentials are missing: set them where its own tools read them, such as AWS_PROFILE or ~/.aws"


class CutShort(OSError):
    """Fewer bytes came than the store states for a file."""


def phrase(error: BaseException) -> tuple[str, bool]:
    """(why an address cannot be read, whether another try may help)."""
    chain = list(_chain(error))
    names = {base.__name__ for one in chain for base in type(one).__mro__}
    status = next((each for each in map(_status, chain) if each is not None), None)
    text = " ".join(str(error).split())
    if names & _NO_CREDENTIALS:
        return CREDENTIALS, False
    if status in _AGAIN or _BUSY.search(text):
        return f"the server answers {status}" if status in _AGAIN else "the server is too busy", True
    if _is_unknown_host(chain):
        return "there is no server of this name", True
    if names & {"ClientConnectorCertificateError", "SSLCertVerificationError", "SSLError"}:
        return f"the server's certificate is refused: {_short(text)}", False
    if names & _TIMEOUTS:
        return "the server does not answer", True
    if names & _REFUSED:
        return "the server cannot be reached", True
    if isinstance(error, CutShort):
        return "the connection was lost", True
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        return "there is no such bucket", False
    if isinstance(error, PermissionError) or status in (401, 403) or "GatedRepoError" in names:
        return "no permission", False
    if names & _LOST or any(isinstance(one, OSError) and one.errno in _PASSING_ERRNO for one in chain):
        return "the connection was lost", True  # of HTTP, fsspec makes this a file that is not found
    if isinstance(error, FileNotFoundError) or status in (404, 410) or "EntryNotFoundError" in names:
        return "not found", False
    if isinstance(error, ImportError):
        return _missing_package(error), False
    return f"cannot be read: {_short(text) or type(error).__name__}", False


def sentence(error: BaseException, name: str) -> str:
    """What is wrong with an address as a whole: with its store, its protocol, or the way to it. `name`: as shown."""
    text = str(error)
    protocol = name.partition("://")[0].rpartition("::")[2]
    if isinstance(error, ImportError):
        return f"{name} cannot be read: {_missing_package(error)}."
    if "Protocol not known" in text or "Unsupported filesystem" in text:
        from fsspec import available_protocols

        hint = did_you_mean(protocol, available_protocols())
        return f"{name}: no store is known for {protocol}://.{hint} Usual ones are s3://, gs://, hf:// and https://."
    reason, passing = phrase(error)
    reason = reason.removeprefix("cannot be read: ")
    end = " Look at the network and the address, then try again." if passing else ""
    return f"{name} cannot be read: {reason}.{end}"


def _missing_package(error: ImportError) -> str:
    stated = re.search(r"(?:install|requires) \W*([\w-]+)", str(error), re.IGNORECASE)
    package = (error.name or (stated[1] if stated else "")).partition(".")[0]
    package = {"aiobotocore": "s3fs", "botocore": "s3fs"}.get(package, package)
    if not package:
        return f"a package is missing: {_short(str(error))}"
    return f"it needs the package {package}: {_EXTRAS.get(package, f'pip install {package}')}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error of aiohttp, botocore, httpx or requests."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status", None) or getattr(response, "status_code", None)
        if status is None and not hasattr(error, "status"):  # aiohttp warns of its `code`
            status = getattr(error, "code", None)
    return status if isinstance(status, int) and 300 <= status < 600 else None


def _is_unknown_host(chain: list[BaseException]) -> bool:
    return any(
        isinstance(one, socket.gaierror)
        or type(one).__name__ in ("ClientConnectorDNSError", "NameResolutionError")
        or "Name or service not known" in str(one)
        or "Temporary failure in name resolution" in str(one)
        for one in chain
    )


def _short(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:160].rstrip(". ")
