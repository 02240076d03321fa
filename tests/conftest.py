"""Options and fixtures shared by all tests, and the closing account of what ran and what was left out.

Environment: `QIR_CI=1` turns a missing tool from a skip into a failure; `QIR_ZOO` names the folder with the measuring
models, which are not part of the repository (their absence is always a skip).
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
IN_CI = os.environ.get("QIR_CI") == "1"
COMPILERS = ("gcc", "clang") if IN_CI or shutil.which("gcc") or shutil.which("clang") else ("cc",)

if "PYTEST_XDIST_WORKER" in os.environ:  # workers have a core each; threads of BLAS would wait for one another's
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("qir", deadline=None, max_examples=50, derandomize=IN_CI)
settings.load_profile("qir")

Need = Callable[[str], str]
Evidence = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*names): what the test cannot do without; see `required`")


def missing(name: str) -> str:
    """Ends the calling test because `name` is absent: a skip, or in CI, where everything is installed, a failure."""
    if IN_CI:
        pytest.fail(f"{name} is missing and QIR_CI=1", pytrace=False)
    pytest.skip(f"{name} is not installed")


def required(name: str) -> str:
    """The path of a program, for `module:NAME` that module's name, for `openmp:COMPILER` a compiler that has OpenMP.

    Does not return if it is absent.
    """
    kind, _, wanted = name.rpartition(":")
    if kind == "module":
        return wanted if importlib.util.find_spec(wanted) else missing(f"Python package {wanted}")
    if kind == "openmp":
        with tempfile.TemporaryDirectory() as place:
            line = [required(wanted), "-fopenmp", "-x", "c", "-", "-o", f"{place}/linked"]
            done = subprocess.run(line, input="int main(void){return 0;}", text=True, capture_output=True, check=False)
        return wanted if done.returncode == 0 else missing(f"OpenMP for {wanted}")
    return shutil.which(name) or missing(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            required(name)


@pytest.fixture(scope="session")
def need() -> Need:
    """`need("qemu-arm")` returns the program's path and `need("module:torch")` the module's name, or ends the test."""
    return required


@pytest.fixture(scope="session", params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> str:
    """Path of a C compiler; a test that asks for it runs once with gcc and once with clang, or with cc alone."""
    return required(request.param)


@pytest.fixture(scope="session")
def digits() -> ModuleType:
    """models/digits.py: `digits.MODEL` is the network's path, `digits.load()` its data."""
    required("module:sklearn")
    spec = importlib.util.spec_from_file_location("digits", ROOT / "models" / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("digits", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of measuring models, one subfolder each with model.onnx, data.npz and meta.json."""
    folder = os.environ.get("QIR_ZOO")
    if not folder or not Path(folder).is_dir():
        pytest.skip("QIR_ZOO does not name the folder of measuring models")
    return Path(folder)


@pytest.fixture
def evidence(record_property: Callable[[str, object], None]) -> Evidence:
    """`evidence("ran", "cortex-m4 under qemu")`: a line for the closing account; first argument "ran" or "compiled"."""

    def note(kind: str, what: str) -> None:
        if kind not in ("ran", "compiled"):
            raise ValueError(f"evidence is 'ran' or 'compiled', not {kind!r}")
        record_property(f"qir-{kind}", what)

    return note


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """`golden(text)` compares with tests/golden/<test file>/<test name>.txt, or writes it under --update-golden."""
    source = request.path.relative_to(ROOT / "tests").with_suffix("")
    name = re.sub(r"[^A-Za-z0-9_.=-]+", "-", request.node.name).strip("-")
    path = GOLDEN / source / f"{name}.txt"

    def check(text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        shown = path.relative_to(ROOT)
        assert path.exists(), f"{shown} does not exist: make it with --update-golden, then read it"
        expected = path.read_text(encoding="utf-8")
        assert expected == text, f"differs from {shown}; if this is intended, accept it with --update-golden"

    return check


def left_out(reports: list[pytest.TestReport | pytest.CollectReport]) -> Iterator[tuple[str, int]]:
    """(reason, number of tests) of the skipped ones, the most frequent reason first."""
    counts: dict[str, int] = defaultdict(int)
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        counts[reason.removeprefix("Skipped: ")] += 1
    yield from sorted(counts.items(), key=lambda row: (-row[1], row[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    notes = {"ran": set[str](), "compiled": set[str]()}
    for report in stats.get("passed", []):
        for key, value in report.user_properties:
            if key.startswith("qir-"):
                notes[key.removeprefix("qir-")].add(str(value))
    notes["compiled"] -= notes["ran"]
    rows = [f"  ran:           {what}" for what in sorted(notes["ran"])]
    rows += [f"  only compiled: {what}" for what in sorted(notes["compiled"])]
    rows += [f"  left out:      {count} tests: {reason}" for reason, count in left_out(stats.get("skipped", []))]
    rows += [f"  left out:      {len(stats['deselected'])} tests not selected"] if stats.get("deselected") else []
    terminalreporter.section("what ran and what was left out")
    terminalreporter.write_line("\n".join(rows or ["  nothing was left out"]))
