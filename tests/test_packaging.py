"""The wheel holds everything that the three source trees hold, and the mapped folders have one name only."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREES = {"qir": "qir", "passes": "qir/passes", "backends": "qir/backends"}
SHIPPED = {".py", ".c", ".h", ".ld", ".s", ".in", ".typed", ".css", ".j2", ".js"}


@pytest.mark.slow
@pytest.mark.needs("module:build", "module:setuptools")
def test_wheel_holds_every_source_file(tmp_path: Path) -> None:
    """Built from the sdist, in a copy of the tree, so that what the sdist forgets is missing from the wheel too."""
    source = tmp_path / "source"
    source.mkdir()
    for tree in TREES:
        shutil.copytree(ROOT / tree, source / tree, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert 0 == built.returncode, built.stdout[-2000:] + built.stderr[-2000:]

    (wheel,) = (tmp_path / "dist").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    expected = {
        f"{target}/{path.relative_to(ROOT / tree).as_posix()}"
        for tree, target in TREES.items()
        for path in (ROOT / tree).rglob("*")
        if path.suffix in SHIPPED and "__pycache__" not in path.parts
    }
    assert set() == expected - inside
    assert not [name for name in inside if name.startswith(("passes/", "backends/", "tests/", "models/"))]


def loaded(statement: str, names: tuple[str, ...], folder: Path) -> list[str]:
    """Which of the named modules a fresh interpreter, started in `folder`, holds after `statement`."""
    code = f"import sys\n{statement}\nprint(*(name for name in {names} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stderr[-2000:]
    return ran.stdout.split()


def test_the_mapped_folders_are_never_imported_by_their_bare_names() -> None:
    """In the checkout's own folder `import passes` would work by accident and make a second copy of every registry."""
    assert [] == loaded("import qir, qir.passes, qir.backends", ("passes", "backends"), ROOT)


def test_importing_qir_loads_nothing_heavy(tmp_path: Path) -> None:
    """`import qir` is what every command pays for, `qir --help` included."""
    heavy = ("passes", "qir.passes", "qir.backends", "onnxruntime", "torch")
    assert [] == loaded("import qir", heavy, tmp_path)
