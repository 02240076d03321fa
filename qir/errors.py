"""Everything qir raises on purpose.

A message says what is wrong, where (in the user's own node and tensor names) and what to do about it.
"""

from __future__ import annotations


class QirError(Exception):
    """Base of all errors that a user of qir can meet.

    Args:
        what: what is wrong and why, one sentence without a final full stop.
        node: name of the ONNX node concerned.
        tensor: name of the tensor concerned.
        fix: the way out, an imperative sentence without a final full stop.
    """

    def __init__(
        self, what: str, *, node: str | None = None, tensor: str | None = None, fix: str | None = None
    ) -> None:
        self.what, self.node, self.tensor, self.fix = what, node, tensor, fix
        where = [f"node '{node}'"] if node else []
        where += [f"tensor '{tensor}'"] if tensor else []
        prefix = ", ".join(where) + ": " if where else ""
        super().__init__(f"{prefix}{what}." + (f" {fix}." if fix else ""))

    def __reduce__(self) -> tuple[object, ...]:  # workers of an executor raise it too
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[QirError], args: tuple[object, ...], state: dict[str, object]) -> QirError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ModelError(QirError):
    """The file or object is not a usable ONNX model."""


class ShapeError(QirError):
    """A shape is unknown, unbound or inconsistent."""


class DataError(QirError):
    """Calibration data or inference inputs do not fit the model."""


class UnsupportedError(QirError):
    """The chosen target cannot run something that the model holds."""


class PassError(QirError):
    """A pass is unknown, was given wrong options, failed, or broke its promise."""


class RecipeError(QirError):
    """A recipe, one of its fields or a target name is not understood."""


class VerifyError(QirError):
    """A graph breaks a rule of the IR: a mistake in a pass, not in the user's model."""


class PluginError(QirError):
    """Something that another installed package registers cannot be loaded."""


class BuildError(QirError):
    """The C compiler is missing or refused the generated code."""


class OutputError(QirError):
    """The result cannot be written where it was asked for."""


class MissingDependencyError(QirError):
    """An optional package that this call needs is not installed."""
