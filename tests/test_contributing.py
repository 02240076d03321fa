"""Runs the worked examples of CONTRIBUTING.md, word for word, and finds them through entry points."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?:python|c|toml)\n(?:# |/\* )([\w./]+\.(?:py|c|toml))(?: \*/)?\n(.*?)^```$", re.M | re.S)
FILES = dict(BLOCK.findall(TEXT))
SCRIPTS = sorted(name for name in FILES if name.startswith("try_"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits: ModuleType) -> Path:
    """The files of all examples, with the digits network and its calibration images."""
    folder = tmp_path_factory.mktemp("contributing")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    images = digits.load().calibration
    (folder / "model.onnx").write_bytes(Path(digits.MODEL).read_bytes())
    np.save(folder / "images.npy", images)
    np.savez(folder / "images.npz", image=images)
    return folder


@pytest.fixture(scope="module")
def installed(folder: Path) -> Path:
    """As `folder`, with what an installer would leave there of the example's pyproject.toml."""
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    info = folder / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = configparser.ConfigParser(delimiters=("=",))
    points.read_dict(project["entry-points"])
    with (info / "entry_points.txt").open("w", encoding="utf-8") as file:
        points.write(file)
    return folder


def python(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_example_is_found() -> None:
    fences = re.findall(r"^```\w", TEXT, re.M)
    assert len(fences) == len(FILES), "a block does not begin with a comment that names its file"
    assert ["try_kernel.py", "try_operator.py", "try_pass.py"] == SCRIPTS


@pytest.mark.needs("cc")
@pytest.mark.parametrize("script", SCRIPTS)
def test_example_runs(script: str, folder: Path) -> None:
    ran = python(folder, script)
    assert 0 == ran.returncode, ran.stdout[-2000:] + ran.stderr[-4000:]


def test_example_is_clean(folder: Path) -> None:
    ran = python(folder, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), ".")
    assert 0 == ran.returncode, ran.stdout


@pytest.mark.parametrize(
    "arguments", re.findall(r"^    qir (.*)$", TEXT[TEXT.index("### Found without an import") :], re.M)
)
def test_command_line_knows_an_installed_package(arguments: str, installed: Path, tmp_path: Path) -> None:
    """Without an import: only the package's folder is on the path."""
    words = [str(installed / word) if (installed / word).is_file() else word for word in arguments.split()]
    ran = python(tmp_path, "-m", "qir", *words, path=installed)
    assert 0 == ran.returncode, ran.stderr
    if words == ["targets"]:
        assert "acme-onnx" in ran.stdout


def test_compile_knows_an_installed_package(installed: Path, tmp_path: Path) -> None:
    """The operator, its target and its kernel, for a model that was never seen before any import of the package."""
    script = FILES["try_operator.py"].partition("lifted = ")[0].replace("import acme.", "# import acme.")
    uses = """
assert "acme" not in __import__("sys").modules
net = qir.compile(model, calibration=x, target="acme-onnx")
assert net.graph.tensor("scaled").quant is not None
c = qir.compile(model, calibration=x, target="portable", shapes={"N": 1})
assert "acme_scale_f32__portable" in c.explain()
assert "acme-round-weights" == qir.parse_pipeline("acme-round-weights")[0].name
"""
    ran = python(tmp_path, "-c", script + uses, path=installed)
    assert 0 == ran.returncode, ran.stderr


@pytest.mark.parametrize("group", ["qir.ops", "qir.kernels", "qir.targets"])
def test_package_that_does_not_load_is_named(group: str, tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nmine = nowhere_to_be_found\n")
    ran = python(tmp_path, "-m", "qir", "targets", path=tmp_path)
    assert 2 == ran.returncode
    for part in (group, "'broken'", "'mine'", "nowhere_to_be_found", "uninstall"):
        assert part in ran.stderr
    assert "Traceback" not in ran.stderr


def test_plugins_are_loaded_once(installed: Path, tmp_path: Path) -> None:
    uses = "import qir; qir.load_plugins(); qir.load_plugins(); print([t.name for t in qir.targets()])"
    ran = python(tmp_path, "-c", uses, path=installed)
    assert 0 == ran.returncode, ran.stderr
    assert "acme-onnx" in ran.stdout
