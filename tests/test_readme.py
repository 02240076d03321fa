"""Runs the README's examples, word for word, where its files exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
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
    for name, text in RECIPE.findall(README):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.needs("module:sklearn", "cc")
def test_python_examples_run(folder: Path) -> None:
    """All blocks as one script: a later example may use what an earlier one has made."""
    blocks = BLOCK.findall(README)
    assert blocks, "README.md shows no Python example"
    script = folder / "readme_examples.py"
    script.write_text("\n".join(blocks), encoding="utf-8")
    ran = subprocess.run([sys.executable, script.name], cwd=folder, capture_output=True, text=True, check=False)
    assert 0 == ran.returncode, ran.stdout[-2000:] + ran.stderr[-4000:]


@pytest.mark.needs("module:sklearn", "cc")
def test_command_line_examples_run(folder: Path) -> None:
    """The indented lines of the README that call qir."""
    commands = re.findall(r"^    (qir .*)$", README, re.MULTILINE)
    assert commands, "README.md shows no command"
    np.savez(folder / "images.npz", image=np.load(folder / "images.npy"))
    program = shutil.which("qir", path=str(Path(sys.executable).parent)) or shutil.which("qir")
    assert program, "the console script is not installed"
    for command in commands:
        line = [program, *shlex.split(command, comments=True)[1:]]
        if line[1] == "bench":  # all of it takes a minute
            line += ["pool", "--seconds", "0.001"]
        ran = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        assert 0 == ran.returncode, command + "\n" + ran.stdout[-2000:] + ran.stderr[-4000:]


def test_files_that_the_readme_names_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
