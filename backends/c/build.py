"""Compiles emitted C with the system's compiler and calls it: alone starts processes and loads libraries."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from qir.errors import BuildError

Files: TypeAlias = Mapping[str, "str | bytes"]
"""File name to content."""


@dataclass(frozen=True)
class Tools:
    """A compiler for another processor.

    Attributes:
        prefix: of its commands gcc, size, ...
        flags: by which it finds its C library.
    """

    prefix: str
    flags: tuple[str, ...] = ()


ARM_TOOLS = Tools("arm-none-eabi-", ("--specs=nano.specs",))
RISCV_TOOLS = Tools("riscv64-unknown-elf-", ("--specs=picolibc.specs",))

_BASE_FLAGS = ("-std=c11", "-O2")
_WATCHING = Lock()


@lru_cache(maxsize=8)
def find_compiler(wanted: str | None = None) -> tuple[str, ...]:
    """The command of a C compiler: `wanted`, else cc, gcc, clang, else the ziglang package.

    Args:
        wanted: a command, usually the environment variable CC.

    Raises:
        BuildError: where there is none.
    """
    if wanted:
        words = tuple(shlex.split(wanted))
        if words and shutil.which(words[0]):
            return words
        raise BuildError(f"the compiler '{wanted}' named by CC is not there", fix="Correct or unset CC")
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return (name,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise BuildError("no C compiler was found", fix="Install gcc or clang, or run: pip install ziglang")


def compiler() -> tuple[str, ...]:
    """The compiler in use now.

    Raises:
        BuildError: where there is none.
    """
    return find_compiler(os.environ.get("CC"))


def cache_folder() -> Path:
    """Where built libraries are kept: the user's cache directory by the platform's rules."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "qir"


@lru_cache(maxsize=8)
def _version(command: tuple[str, ...]) -> str:
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _bytes(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode()


def _key(files: Files, command: Sequence[str], flags: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in (_version(tuple(command)), *command, *flags, sys.platform):
        digest.update(text.encode() + b"\0")
    for name in sorted(files):
        digest.update(name.encode() + b"\0" + _bytes(files[name]) + b"\0")
    return digest.hexdigest()[:32]


def run_compiler(files: Files, arguments: Sequence[str], folder: Path, command: Sequence[str] = ()) -> None:
    """Writes files into a folder and runs the compiler, or another `command`, there.

    Raises:
        BuildError: with the first lines that the compiler said.
    """
    for name, content in files.items():
        (folder / name).write_bytes(_bytes(content))
    line = [*(command or compiler()), *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[:12])
        raise BuildError(
            f"the C compiler refused the generated code: {shlex.join(line)}\n{said}\n",
            fix="If the compiler is old or unusual set CC to another one; otherwise report this as a bug of qir",
        )


def _into_cache(name: str, files: Files, arguments: Sequence[str], command: Sequence[str]) -> Path:
    """Builds `name` once for the same files, compiler and arguments."""
    folder = cache_folder() / _key(files, command, arguments)
    target = folder / name
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="qir-"))
        target = folder / name
    with tempfile.TemporaryDirectory(prefix="qir-build-") as work:
        run_compiler(files, [*arguments, "-o", name], Path(work), command)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as copy:
            copy.write((Path(work) / name).read_bytes())
    os.chmod(copy.name, 0o700)
    os.replace(copy.name, target)
    return target


def shared_library(files: Files, flags: Sequence[str] = (), base: Sequence[str] = _BASE_FLAGS) -> Path:
    """Path of a shared library of all .c and .S files, built or from the cache.

    Raises:
        BuildError: where no compiler is found or it refuses the code.
    """
    position = () if sys.platform == "win32" else ("-fPIC",)
    sources = sorted(name for name in files if name.endswith((".c", ".S")))
    math = () if sys.platform == "win32" else ("-lm",)
    suffix = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")
    return _into_cache(f"net.{suffix}", files, [*base, *flags, *position, "-shared", *sources, *math], compiler())


class Library:
    """A shared library loaded into this process."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, function: str, addresses: Sequence[int | None]) -> int:
        """Calls `int function(pointers...)`; None is NULL."""
        return int(getattr(self._library, function)(*map(ctypes.c_void_p, addresses)))

    def watched(self, setter: str, watch: Callable[[int], None], function: str, addresses: Sequence[int]) -> int:
        """As `call`, while `void setter(void (*)(int))` has been told to call `watch`; what that raises is raised."""
        kind, raised = ctypes.CFUNCTYPE(None, ctypes.c_int), list[BaseException]()

        def guarded(number: int) -> None:
            if raised:
                return
            try:
                watch(number)
            except BaseException as error:  # an exception cannot pass through C
                raised.append(error)

        tell, hook = getattr(self._library, setter), kind(guarded)
        tell.restype = None
        with _WATCHING:
            tell(hook)
            status = self.call(function, addresses)
            tell(kind())
        if raised:
            raise raised[0]
        return status

    def address(self, array: str) -> int:
        """Of a constant array."""
        return ctypes.addressof(ctypes.c_char.in_dll(self._library, array))

    def text(self, function: str, number: int) -> str:
        """Calls `const char *function(int)`."""
        call = getattr(self._library, function)
        call.restype = ctypes.c_char_p
        found = call(ctypes.c_int(number))
        return bytes(found).decode()

    def seconds(self, function: str, count: int, addresses: Sequence[int]) -> list[float]:
        """Calls `void function(int count, double *seconds, pointers...)`, which times single runs."""
        seconds = (ctypes.c_double * count)()
        call = getattr(self._library, function)
        call.restype = None
        call(ctypes.c_int(count), seconds, *map(ctypes.c_void_p, addresses))
        return list(seconds)


def text_size(files: Files, source: str, flags: Sequence[str] = (), tools: Tools | None = None) -> int | None:
    """Bytes of machine code (.text sections) of one source file at -Os; None where a tool is missing.

    Args:
        tools: where the flags are for another processor.
    """
    size = "size" if tools is None else f"{tools.prefix}size"
    if shutil.which(size) is None or (tools and shutil.which(f"{tools.prefix}gcc") is None):
        return None
    command = (f"{tools.prefix}gcc", *tools.flags) if tools else compiler()
    only = {name: text for name, text in files.items() if name.endswith(".h") or name == source}
    path = _into_cache("net.o", only, ["-std=c11", "-Os", *flags, "-c", source], command)
    done = subprocess.run([size, "-A", str(path)], capture_output=True, text=True, check=False)
    rows = [line.split() for line in done.stdout.splitlines()]
    return sum(int(row[1]) for row in rows if len(row) >= 2 and row[0].startswith(".text") and row[1].isdigit())
