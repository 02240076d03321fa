"""What other installed packages add, by the entry-point groups `qir.ops`, `qir.kernels`, `qir.targets`, `qir.passes`.

An entry point of the first three groups names a module, or something in it; importing the module registers what it
holds (`qir.register_op`, `qir.register_kernel`, `qir.register_target`). Passes have names, so the registry of passes
imports one when it is asked for; see qir.passmanager.registry.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from qir.errors import PluginError

GROUPS = ("qir.ops", "qir.kernels", "qir.targets")
_LOADED: set[EntryPoint] = set()


def load_plugins() -> None:
    """Imports what installed packages register, each once. `qir.compile` and the command line do this by themselves.

    Raises:
        PluginError: where one cannot be imported; the entry point and its package are named.
    """
    for group in GROUPS:
        for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
            if point not in _LOADED:
                _load(point)
                _LOADED.add(point)


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:  # whatever a stranger's module raises
        package = f" of package '{point.dist.name}'" if point.dist is not None else ""
        raise PluginError(
            f"entry point '{point.name}' ({point.group}){package} cannot be loaded from {point.value}: "
            f"{type(error).__name__}: {error}",
            fix="Mend, update or uninstall that package",
        ) from error
