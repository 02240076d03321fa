"""Paths of results."""

from __future__ import annotations

import os
from pathlib import Path

from qir.errors import OutputError


def check_writable(path: Path) -> None:
    """Finds out before long work whether `path`, a file or a folder to be made, can be written.

    Raises:
        OutputError: if not.
    """
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if place != path and not place.is_dir():
        raise OutputError(f"'{path}' cannot be written: '{place}' is not a folder", fix="Choose another path")
    if not os.access(place, os.W_OK):
        raise OutputError(f"'{path}' cannot be written: no permission on '{place}'", fix="Choose another path")


def make_parent(path: Path) -> None:
    """Makes the folder that a file goes to.

    Raises:
        OutputError: if that fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{path.parent}' cannot be made ({error.strerror or error})",
                          fix="Choose another path") from error  # fmt: skip


def written_files(path: Path) -> list[str]:
    """The files of a result: itself with its data file beside it, or those in its folder, however deep."""
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if file.is_file())
    beside = path.with_name(path.name + ".data")
    return [str(path), *([str(beside)] if beside.exists() else [])]
