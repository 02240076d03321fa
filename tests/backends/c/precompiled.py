"""Headers of vector instructions, parsed once: they are most of what compiling a small file takes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from qir.backends.c import build

HEADERS = ("immintrin.h", "arm_neon.h")


@cache
def parsed(header: str, command: tuple[str, ...]) -> tuple[str, ...]:
    """Flags that bring a header, as this compiler with these flags read it; none where it cannot keep that."""
    text, language = f"#include <{header}>\n", () if "-x" in command else ("-x", "c-header")
    folder = build.cache_folder() / f"header-{build._key({'all.h': text}, command[:1], command[1:])}"
    suffix = "pch" if "clang" in Path(command[0]).name else "gch"
    kept = folder / f"all.h.{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            (Path(work) / "all.h").write_text(text)
            with suppress(FileExistsError):
                os.link(Path(work) / "all.h", folder / "all.h")  # at once, and by one of several processes
            line = [*({"c++": "c++-header"}.get(word, word) for word in command), *language]
            line += [str(folder / "all.h"), "-o", f"{work}/made"]
            if subprocess.run(line, capture_output=True, check=False).returncode:
                return ()
            os.replace(f"{work}/made", kept)
    return ("-include", str(folder / "all.h"))


def included(command: Sequence[str], texts: Iterable[str | bytes]) -> tuple[str, ...]:
    """Flags that bring what these files would include, parsed already; none where they include none of it.

    Args:
        command: the compiler with its flags, as the files are compiled.
    """
    names = {header for text in texts for header in HEADERS if isinstance(text, str) and f"#include <{header}>" in text}
    return parsed(names.pop(), tuple(command)) if len(names) == 1 else ()
