"""Runs the examples of the README and of the guides behind it, word for word, where their files exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qir.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", *(ROOT / "qir" / "docs" / f"{name}.md" for name in ("c", "recipes", "compression")))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPE = re.compile(r"^```toml\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits network as model.onnx its calibration images as images.npy, and the recipes."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "models" / "digits_cnn" / "model.onnx", folder)
    load = "import sys; sys.path.insert(0, sys.argv[1]); import digits, numpy; "
    save = "numpy.save(sys.argv[2], digits.load().calibration)"
    command = [sys.executable, "-c", load + save, str(ROOT / "models"), str(folder / "images.npy")]
    subprocess.run(command, check=True)
    for name, text in RECIPE.findall(TEXT):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.needs("module:sklearn", "cc")
def test_python_examples_run(folder: Path) -> None:
    """All blocks as one script: a later example may use what an earlier one has made."""
    blocks = BLOCK.findall(TEXT)
    assert blocks, "README.md shows no Python example"
    script = folder / "readme_examples.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    ran = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stdout[-2000:] + ran.stderr[-4000:]


@pytest.mark.needs("module:sklearn", "cc")
def test_command_line_examples_run(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
                                   ) -> None:  # fmt: skip
    """The indented lines that call qir."""
    commands = re.findall(r"^    (qir .*)$", TEXT, re.MULTILINE)
    assert commands, "README.md shows no command"
    np.savez(folder / "images.npz", image=np.load(folder / "images.npy"))
    monkeypatch.chdir(folder)
    program = shutil.which("qir", path=str(Path(sys.executable).parent)) or shutil.which("qir")
    assert program, "the console script is not installed"
    subprocess.run([program, "targets"], check=True)
    for command in commands:
        line = shlex.split(command, comments=True)[1:]
        if line[0] == "bench":  # all of it takes a minute
            line += ["pool", "--seconds", "0.001"]
        status = main(line)
        said = capfd.readouterr()
        assert status == 0, command + "\n" + said.out[-2000:] + said.err[-4000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_it_names_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
