"""Statistics of many values, and what became of them when passes changed the graph."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from qir.errors import DataError, OutputError
from qir.statistics.channels import ChannelBounds
from qir.statistics.gram import Gram
from qir.statistics.histogram import Histogram

_VERSION = 5
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, zipfile.BadZipFile)
"""What reading a file that is not ours may raise."""


class Statistic(Protocol):
    """What a collection can hold for a value. A new kind needs these methods and a line in `_KINDS`."""

    @property
    def kind(self) -> str:
        """Tells several statistics of one value apart."""
        ...

    def merge(self, other: Any) -> Any:
        """That of both data sets; exact, associative and commutative."""
        ...

    def scaled(self, factor: float) -> Any:
        """That of the value times a factor."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What is needed to build it again: fields that JSON can hold, and arrays."""
        ...


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], Statistic]] = MappingProxyType(
    {
        Histogram.kind: Histogram.from_state,
        Gram.kind: Gram.from_state,
        ChannelBounds.kind: ChannelBounds.from_state,
    }
)


@dataclass(frozen=True)
class Entry:
    """A statistic and the fingerprint of the sub-graph whose value it describes."""

    statistic: Statistic
    fingerprint: str = ""


@dataclass(frozen=True, eq=False)
class Statistics:
    """Statistics by value name. Frozen: every method that changes something returns a new collection.

    Attributes:
        entries: by (kind, name of the value).
        dropped: names of values whose statistics no longer hold, with the pass that said so.
    """

    entries: Mapping[tuple[str, str], Entry] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("entries", "dropped"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Any, ...]:  # mapping proxies do not pickle
        return Statistics, (dict(self.entries), dict(self.dropped))

    def __contains__(self, name: object) -> bool:
        return any(value == name for _, value in self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({name for _, name in self.entries}))

    def __len__(self) -> int:
        return len({name for _, name in self.entries})

    def names(self, kind: str) -> list[str]:
        """The names that have a statistic of a kind, sorted."""
        return sorted(name for found, name in self.entries if found == kind)

    def __getitem__(self, name: str) -> Histogram:
        return self.histogram(name)

    def histogram(self, name: str, fingerprint: str | None = None) -> Histogram:
        """The histogram of a value.

        Args:
            fingerprint: of the sub-graph that now produces the value; None asks without checking.

        Raises:
            DataError: if there is none, it was dropped, or it describes another sub-graph.
        """
        statistic = self.get(Histogram.kind, name, fingerprint)
        assert isinstance(statistic, Histogram)
        return statistic

    def get(self, kind: str, name: str, fingerprint: str | None = None) -> Statistic:
        """The statistic of a kind; arguments and errors as for `histogram`."""
        if name in self.dropped:
            raise DataError(
                f"its statistics were dropped by pass '{self.dropped[name]}', which changed the value", tensor=name,
                fix="Calibrate again after that pass, or move the request before it",
            )  # fmt: skip
        entry = self.entries.get((kind, name))
        if entry is None:
            raise DataError(f"no {kind} was collected for this value", tensor=name, fix="Calibrate it first")
        if fingerprint is not None and fingerprint != entry.fingerprint:
            raise DataError(
                f"the {kind} was collected when another sub-graph produced this value", tensor=name,
                fix="Calibrate again, or make the pass that changed the graph map or drop its statistics",
            )  # fmt: skip
        return entry.statistic

    def add(self, statistics: Mapping[str, Statistic], fingerprints: Mapping[str, str] | None = None) -> Statistics:
        """Merges one statistic a value into what is there. A dropped value starts afresh.

        Raises:
            DataError: if a value has statistics of another fingerprint.
        """
        entries = dict(self.entries)
        for name, statistic in statistics.items():
            _merge_into(entries, (statistic.kind, name), Entry(statistic, (fingerprints or {}).get(name, "")))
        return Statistics(entries, {name: by for name, by in self.dropped.items() if name not in statistics})

    def update(self, arrays: Mapping[str, np.ndarray], fingerprints: Mapping[str, str] | None = None) -> Statistics:
        """Adds a block of samples: one array a value.

        Raises:
            DataError: if an element is NaN, or a value has statistics of another fingerprint.
        """
        return self.add({name: Histogram.of(array, name) for name, array in arrays.items()}, fingerprints)

    def merge(self, other: Statistics) -> Statistics:
        """The statistics of both data sets: exact, associative, commutative. What either has dropped stays dropped.

        Raises:
            DataError: if they disagree on the fingerprint of a value.
        """
        entries = dict(self.entries)
        for key, entry in other.entries.items():
            _merge_into(entries, key, entry)
        # The order of names decides when two passes dropped one value, so that merging stays commutative.
        dropped = {
            name: min(by for by in (self.dropped.get(name), other.dropped.get(name)) if by is not None)
            for name in {*self.dropped, *other.dropped}
        }
        return Statistics({key: entry for key, entry in entries.items() if key[1] not in dropped}, dropped)

    def drop(self, names: Iterable[str], by: str) -> Statistics:
        """Forgets values that a pass has changed; asking for them names that pass.

        Args:
            names: of values; those without statistics are remembered as dropped too.
            by: name of the pass.
        """
        dropped = {**self.dropped, **dict.fromkeys(names, by)}
        return Statistics({key: entry for key, entry in self.entries.items() if key[1] not in dropped}, dropped)

    def rename(self, names: Mapping[str, str]) -> Statistics:
        """Follows values that got other names (old to new); names without statistics are ignored.

        Raises:
            DataError: if two values end up with one name.
        """
        entries: dict[tuple[str, str], Entry] = {}
        for (kind, name), entry in self.entries.items():
            key = (kind, names.get(name, name))
            if key in entries:
                raise DataError("renaming gives two values this name", tensor=key[1])
            entries[key] = entry
        return Statistics(entries, {names.get(name, name): by for name, by in self.dropped.items()})

    def scale(self, factors: Mapping[str, float]) -> Statistics:
        """Follows values that a pass multiplied by a number; names without statistics are ignored."""
        return Statistics(
            {
                key: Entry(entry.statistic.scaled(factors[key[1]]), entry.fingerprint) if key[1] in factors else entry
                for key, entry in self.entries.items()
            },
            self.dropped,
        )

    def save(self, path: str | Path, *, compress: bool = True) -> None:
        """Writes an .npz file; equal statistics give equal bytes.

        Args:
            compress: makes the file several times smaller and writing it many times slower.

        Raises:
            OutputError: if the file cannot be written.
        """
        records: list[dict[str, Any]] = []
        arrays: dict[str, np.ndarray] = {}
        for number, ((kind, name), entry) in enumerate(sorted(self.entries.items())):
            fields, parts = entry.statistic.state()
            records.append({"kind": kind, "name": name, "fingerprint": entry.fingerprint, "fields": fields})
            arrays |= {f"{number}.{part}": array for part, array in parts.items()}
        meta = {"version": _VERSION, "entries": records, "dropped": dict(sorted(self.dropped.items()))}
        text = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8)
        try:
            with Path(path).open("wb") as file:
                write = np.savez_compressed if compress else np.savez
                write(file, **{"meta": text, **arrays})  # type: ignore[arg-type]  # no key is an option
        except OSError as error:
            raise OutputError(f"cannot write statistics to '{path}': {error.strerror}") from error

    @staticmethod
    def load(path: str | Path) -> Statistics:
        """Reads what `save` wrote.

        Raises:
            DataError: if the file is missing, damaged or of another version.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as file:
                meta = json.loads(file["meta"].tobytes())
                if meta["version"] != _VERSION:
                    raise DataError(f"'{path}' has version {meta['version']} of the format, not {_VERSION}")
                parts: list[dict[str, np.ndarray]] = [{} for _ in meta["entries"]]
                for key in file.files:
                    number, _, part = key.partition(".")
                    if part:
                        parts[int(number)][part] = file[key]
        except FileNotFoundError as error:
            raise DataError(f"there is no file '{path}'") from error
        except _DAMAGE as error:
            raise DataError(f"'{path}' is not a file of statistics, or it is damaged", fix="Calibrate again") from error
        entries = {}
        for record, arrays in zip(meta["entries"], parts, strict=True):
            statistic = _KINDS[record["kind"]](record["fields"], arrays)
            entries[record["kind"], record["name"]] = Entry(statistic, record["fingerprint"])
        return Statistics(entries, meta["dropped"])


def _merge_into(entries: dict[tuple[str, str], Entry], key: tuple[str, str], entry: Entry) -> None:
    old = entries.get(key)
    if old is None:
        entries[key] = entry
        return
    if old.fingerprint != entry.fingerprint:
        raise DataError(
            "statistics of two different sub-graphs cannot be merged", tensor=key[1],
            fix="Merge only what the same model and the same passes gave",
        )  # fmt: skip
    entries[key] = Entry(old.statistic.merge(entry.statistic), old.fingerprint)
