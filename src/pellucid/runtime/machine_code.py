"""Keep the machine code of a compiled function in a file: a later process runs it without importing Numba or LLVM.

Numba and LLVM take 0.5 s of processor time and 130 MB before a kernel that was compiled long ago can run
(docs/why/cold.md). A function of a few loops needs none of that. It reads and writes memory at the addresses that
it receives, calls nothing, and its code may lie anywhere.

This works on Linux with 64-bit x86 processors. Elsewhere, and if the system forbids it, the functions here return None.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import platform
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pellucid import files
from pellucid.errors import StorageError

Function = Callable[[int], object]
"""A compiled function of one argument, the address of its numbers. It releases Python's lock."""

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
CACHED = "kernels"
"""The folder in a cache."""

SUFFIX = ".code"
_HASH = 32  # bytes of a SHA-256, before the code


def compiled(function: Callable[[Any], None]) -> Any:
    """Compile a function of one address by Numba. The result has an `address`; see `store`.

    If its code can be stored, Numba does not cache it, because its cache misses changes of other files.
    """
    if _processor() is None:
        from pellucid.runtime.compiled import for_team

        return for_team(function)
    from numba import cfunc, types

    return cfunc(types.void(types.voidptr), error_model="numpy")(function)


def stored(folders: Iterable[Path], key: str) -> Function | None:
    """The function with this key from the first of the folders that holds it undamaged; None if there is none."""
    if _processor() is None:
        return None
    for folder in folders:
        with suppress(OSError):
            content = _file(folder, key).read_bytes()
            if hashlib.sha256(content[_HASH:]).digest() == content[:_HASH]:
                return _placed(content[_HASH:])
    return None


def store(folders: Iterable[Path], key: str, function: Any) -> None:
    """Store a function compiled by `cfunc` in the first folder that can be written. If none can, nothing happens."""
    code = machine_code(function) if _processor() is not None else None
    if code is None:
        return
    for folder in folders:
        with suppress(OSError, StorageError):
            folder.mkdir(parents=True, exist_ok=True)
            files.write(_file(folder, key), hashlib.sha256(code).digest() + code)
            return


def key(sources: Iterable[Path], *about: str) -> str:
    """A key of the code's sources, of this processor and of `about`: what the code depends on. Raises OSError."""
    whole = hashlib.sha256("\n".join([*about, _processor() or ""]).encode())
    for source in [Path(__file__), *sources]:
        whole.update(source.read_bytes())
    return whole.hexdigest()


def folders(source: Path) -> Iterator[Path]:
    """Where the code of a source file may lie: beside its bytecode, or in the user's cache."""
    yield source.parent / "__pycache__"
    with suppress(StorageError):  # the user has no home
        yield files.user_cache() / CACHED


def clear(cache: Path) -> int:
    """Remove the code that lies in this cache. Returns the bytes freed. Raises StorageError."""
    return files.clear(cache / CACHED, SUFFIX)


def machine_code(function: Any) -> bytes | None:
    """The code of a function compiled by `cfunc`, which may lie anywhere; None if it calls or reads anything outside.

    The function is compiled once more from LLVM's intermediate code, which Numba shows.
    """
    from llvmlite import binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="pic", codemodel="small"
    )
    module = llvm.parse_assembly(function.inspect_llvm())
    for each in module.functions:
        if not each.is_declaration and each.name != function.native_name:
            each.linkage = "internal"
    passes = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    try:
        return linked(target.emit_object(module))
    except ValueError:
        return None


def linked(elf: bytes) -> bytes:
    """The start of the entry in 4 bytes, and the code and constants of an object file with one global function.

    Raises ValueError if it refers to anything outside. Sections, symbols and relocations: System V ABI, chapter 4, and
    its AMD64 supplement, 4.4.
    """
    (table,), (size, count) = struct.unpack_from("<Q", elf, 0x28), struct.unpack_from("<HH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, table + size * number) for number in range(count)]
    image, starts = bytearray(), dict[int, int]()
    for number, (_, kind, flags, _, offset, length, _, _, align, _) in enumerate(sections):
        if kind == 1 and flags & 2:  # SHT_PROGBITS, SHF_ALLOC
            image += bytes(-len(image) % max(align, 1))
            starts[number] = len(image)
            image += elf[offset : offset + length]
    (symbols,) = (section for section in sections if section[1] == 2)  # SHT_SYMTAB

    def symbol(number: int) -> tuple[int, int, int]:
        """(kind, section, value)"""
        _, kind, _, section, value, _ = struct.unpack_from("<IBBHQQ", elf, symbols[4] + 24 * number)
        return kind, section, value

    for _, kind, _, _, offset, length, _, applies, _, _ in sections:
        if kind != 4 or applies not in starts:  # SHT_RELA
            continue
        for at in range(offset, offset + length, 24):
            place, what, addend = struct.unpack_from("<QQq", elf, at)
            _, section, value = symbol(what >> 32)
            if what & 0xFFFFFFFF not in (2, 4) or section not in starts:  # R_X86_64_PC32, R_X86_64_PLT32
                raise ValueError("the function needs something outside its code")
            here = starts[applies] + place
            struct.pack_into("<i", image, here, starts[section] + value + addend - here)
    entries = [symbol(number) for number in range(symbols[5] // 24)]
    (entry,) = (starts[section] + value for kind, section, value in entries if kind == 0x12)  # a global function
    return struct.pack("<I", entry) + bytes(image)


def _placed(code: bytes) -> Function | None:
    """The function in memory of its own, which may be executed but not written; None if the system forbids this."""
    (entry,) = struct.unpack_from("<I", code)
    space = mmap.mmap(-1, len(code) - 4)
    space.write(code[4:])
    address = ctypes.addressof(ctypes.c_char.from_buffer(space))
    if ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(len(space)), 1 | 4) != 0:  # read, execute
        return None
    _spaces.append(space)
    return FUNCTION(address + entry)


_spaces: list[mmap.mmap] = []  # as long as the process


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key[:32]}{SUFFIX}"


@lru_cache(1)
def _processor() -> str | None:
    """The processor's name and features; None if its code cannot be stored."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return None
    with suppress(OSError), open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        first = file.read(1 << 14).partition("\n\n")[0].splitlines()
        return "\n".join(line for line in first if line.startswith(("model name", "flags")))
    return None
