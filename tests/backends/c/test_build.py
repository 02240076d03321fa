"""Finding the compiler, the cache of built libraries, and errors that say what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from graphs import Builder

import qir.backends.c.build as build
from qir.backends.c import CModule, compile_c
from qir.errors import BuildError, DataError, OutputError
from qir.ir.graph import Stage


@pytest.fixture
def module() -> CModule:
    b = Builder()
    x = b.feed("x", np.arange(6, dtype=np.float32).reshape(2, 3))
    return compile_c(b.graph([b.transpose(x, (1, 0), "y")], Stage.FLOAT))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_missing_compiler_named_by_cc(module: CModule, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(BuildError, match=r"'no-such-compiler -m32' named by CC is not there.*unset CC"):
        module.run({"x": np.zeros((2, 3), np.float32)})


def test_no_compiler_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    build.find_compiler.cache_clear()
    with pytest.raises(BuildError, match="pip install ziglang"):
        build.find_compiler()
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: object())
    assert build.find_compiler() == (sys.executable, "-m", "ziglang", "cc")
    build.find_compiler.cache_clear()


def test_refused_code_shows_what_the_compiler_said(cache: Path) -> None:
    with pytest.raises(BuildError, match=r"(?s)refused the generated code.*a\.c:1"):
        build.shared_library({"a.c": "int f(void) { return missing; }\n"})


def test_built_once(cache: Path) -> None:
    files = {"a.c": "int f(void);\nint f(void) { return 7; }\n"}
    first = build.shared_library(files)
    stamp = first.stat().st_mtime_ns
    assert build.shared_library(files) == first
    assert first.stat().st_mtime_ns == stamp
    assert first.is_relative_to(cache)
    assert build.Library(first).call("f", []) == 7
    assert build.shared_library(files, ("-DX",)) != first


def test_inputs_are_checked(module: CModule) -> None:
    for feeds, words in (({}, "not given"), ({"x": np.zeros((3, 2), np.float32)}, r"\[3, 2\] was given, \[2, 3\]"),
                         ({"x": np.zeros((2, 3), complex)}, "complex128 was given, float32"),
                         ({"z": np.zeros(1)}, "no such input.*inputs are x")):  # fmt: skip
        with pytest.raises(DataError, match=words):
            module.run(feeds)


def test_unwritable_folder(module: CModule, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        module.save(tmp_path / "file")


def test_saved_files_are_whole(module: CModule, tmp_path: Path) -> None:
    folder = module.save(tmp_path / "a" / "b")
    assert {path.name: path.read_text() for path in folder.iterdir()} == module.files()
