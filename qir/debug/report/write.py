"""Writes a report in the form that the file's name asks for."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from qir.debug.report.data import ReportData
from qir.debug.report.html import html, require
from qir.debug.report.markdown import markdown
from qir.errors import OutputError


def _json(data: ReportData) -> str:
    return json.dumps(data.as_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


_FORMS: Mapping[str, Callable[[ReportData], str]] = {".html": html, ".md": markdown, ".json": _json}


def check_report(path: str | os.PathLike[str]) -> None:
    """Says at once, before the data is gathered, what `write_report` would say of a path.

    Raises:
        OutputError: for endings other than .html, .md and .json.
        MissingDependencyError: for .html without the packages it needs.
    """
    form(path)
    if Path(path).suffix.lower() == ".html":
        require()


def form(path: str | os.PathLike[str]) -> Callable[[ReportData], str]:
    """What makes the text of a report of that name.

    Raises:
        OutputError: for endings other than .html, .md and .json.
    """
    found = _FORMS.get(Path(path).suffix.lower())
    if found is None:
        raise OutputError(f"'{path}' says no form of report", fix=f"Let its name end in {', '.join(_FORMS)}")
    return found


def write_report(data: ReportData, path: str | os.PathLike[str]) -> Path:
    """Writes a report; whole or not at all.

    Args:
        path: ends in .html, .md or .json.

    Raises:
        OutputError: for other endings, and where the file cannot be written.
        MissingDependencyError: for .html without the packages it needs.
    """
    target = Path(path)
    text = form(path)(data)
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, prefix=f".{target.name}.", delete=False, encoding="utf-8", newline="\n"
        ) as file:
            beside = Path(file.name)
            try:
                file.write(text)
                file.close()
                os.chmod(beside, 0o644)
                os.replace(beside, target)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written ({error.strerror or error})",
                          fix="Choose a file in a folder that you may write") from error  # fmt: skip
    return target
