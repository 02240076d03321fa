"""Where models come from: files, bytes, protobuf objects and PyTorch modules."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner

from qir.errors import MissingDependencyError, ModelError

_LOG = logging.getLogger(__name__)
_FORMATS = {".json": "json", ".onnxjson": "json", ".textproto": "textproto", ".prototxt": "textproto",
            ".pbtxt": "textproto", ".onnxtxt": "onnxtxt", ".onnxtext": "onnxtxt"}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A model as it came.

    Attributes:
        proto: the message; never changed.
        folder: where its data files lie, None if it did not come from a file.
        label: what to call it in messages.
    """

    proto: onnx.ModelProto
    folder: Path | None
    label: str


@contextlib.contextmanager
def open_source(model: Any, example_inputs: Any = None) -> Iterator[Source]:
    """Reads a model; data files that PyTorch wrote live until the context ends.

    Args:
        model: a path, bytes, an onnx.ModelProto, or a torch.nn.Module.
        example_inputs: for a module: one tensor or array, a tuple of positional ones or a dict of named ones.

    Raises:
        ModelError: if this is no ONNX model.
        MissingDependencyError: for a module, if torch's exporter is not installed.
    """
    if isinstance(model, onnx.ModelProto):
        yield _checked(Source(model, None, "the model"))
    elif isinstance(model, bytes | bytearray | memoryview):
        yield _checked(Source(_parse(bytes(model), "protobuf", "the given bytes"), None, "the given bytes"))
    elif isinstance(model, str | os.PathLike):
        yield _from_path(Path(model))
    elif any(kind.__module__.startswith("torch.nn") for kind in type(model).__mro__):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            _export_torch(model, example_inputs, path)
            yield _from_path(path)
    else:
        raise ModelError(
            f"a {type(model).__name__} is no model", fix="Pass a path, bytes, an onnx.ModelProto or a torch.nn.Module"
        )


def _from_path(path: Path) -> Source:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read ({error.strerror or error})", fix="Check the path") from error
    return _checked(Source(_parse(data, _FORMATS.get(path.suffix, "protobuf"), f"'{path}'"), path.parent, f"'{path}'"))


def _parse(data: bytes, form: str, label: str) -> onnx.ModelProto:
    try:
        return onnx.load_model_from_string(data, format=form)
    except Exception as error:  # every format has its own kinds of errors
        raise ModelError(
            f"{label} is not an ONNX model, or was cut off", fix="Check that the file is complete and is ONNX"
        ) from error


def _checked(source: Source) -> Source:
    proto = source.proto
    if not proto.HasField("graph") or not (proto.ir_version or proto.opset_import):
        raise ModelError(f"{source.label} is not an ONNX model, or was cut off", fix="Check that the file is complete")
    return source


def inline_functions(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model with calls of its own functions replaced by their bodies where onnx can do that."""
    if not proto.functions:
        return proto
    try:
        return onnx.inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner reports by bare RuntimeErrors and protobuf's own errors
        _LOG.warning("functions of the model are carried as they are: %s", error)
        return proto


def _export_torch(module: Any, example_inputs: Any, path: Path) -> None:
    torch = sys.modules["torch"]  # whoever holds a module has imported it
    if importlib.util.find_spec("onnxscript") is None:
        raise MissingDependencyError("PyTorch's ONNX exporter needs onnxscript", fix="pip install 'qir[torch]'")
    if example_inputs is None:
        raise ModelError("a torch.nn.Module needs example inputs", fix="Pass example_inputs")

    def tensor(value: Any) -> Any:
        return torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value

    kwargs: dict[str, Any] = {}
    args: tuple[Any, ...] = ()
    if isinstance(example_inputs, Mapping):
        kwargs = {name: tensor(value) for name, value in example_inputs.items()}
    elif isinstance(example_inputs, tuple | list):
        args = tuple(tensor(value) for value in example_inputs)
    else:
        args = (tensor(example_inputs),)
    training = module.training
    module.eval()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the exporter prints its progress
            torch.onnx.export(module, args, str(path), kwargs=kwargs or None, dynamo=True)
    except Exception as error:  # whatever the module's own code raises
        raise ModelError(
            f"PyTorch could not export the module ({error})", fix="Export it with torch.onnx.export and pass the file"
        ) from error
    finally:
        module.train(training)
