"""What a pass is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import ClassVar

import numpy as np

from qir.calibration import Feeds
from qir.ir.graph import Graph, Stage
from qir.recipe import Recipe
from qir.statistics import Moments, Statistics
from qir.target import Target


class Promise(Enum):
    """What a pass says of the numbers: equal up to float rounding, changed on purpose, or untouched."""

    EXACT = "exact"
    LOSSY = "lossy"
    ANNOTATE = "annotate"


@dataclass
class Context:
    """What passes may look at beside the graph.

    Attributes:
        target: where the network will run.
        recipe: what to do to the numbers.
        feeds: calibration samples; None without data.
        seed: of every random choice.
        statistics: of the graph's values as they are now: filled by `calibrate` (or a pass before it that asks what
            calibration saw), followed by passes that change them.
        collected: the same as the samples gave them, to be used for another run.
        notes: findings for the report, in order.
        moments: of values, filled by `estimate-ranges` where there is no data.
        executor: where work that can be shared out runs; None for here.
        teacher: the float model, on the same inputs; what training holds the network to. None where it is not known.
        labels: of the samples, in their order; None without.
    """

    target: Target
    recipe: Recipe = field(default_factory=Recipe)
    feeds: Feeds | None = None
    seed: int = 0
    statistics: Statistics | None = None
    notes: list[str] = field(default_factory=list)
    moments: Mapping[str, Moments] = field(default_factory=dict)
    executor: Executor | None = None
    collected: Statistics | None = None
    teacher: Graph | None = None
    labels: np.ndarray | None = None


@dataclass(frozen=True)
class Pass(ABC):
    """One step from graph to graph. Subclasses are frozen dataclasses whose fields are the pass's options.

    Attributes:
        name: kebab-case, as written in pipelines.
        needs: stages it accepts.
        gives: the stage of its result; None leaves it as it is.
        promise: what it says of the numbers.
        keeps_layers: whether values keep their shapes, so that layers before and after it can be compared.
        needs_data: whether it reads `context.feeds`, or statistics in their place.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Stage]] = frozenset({Stage.FLOAT, Stage.QUANT})
    gives: ClassVar[Stage | None] = None
    promise: ClassVar[Promise] = Promise.EXACT
    keeps_layers: ClassVar[bool] = True
    needs_data: ClassVar[bool] = False

    @abstractmethod
    def run(self, graph: Graph, context: Context) -> Graph:
        """The new graph; the same object where nothing changed."""

    def __str__(self) -> str:
        options = []
        for option in fields(self):
            value = getattr(self, option.name)
            if value != option.default:
                text = "[" + ",".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)
                text = text.lower() if value is None or isinstance(value, bool) else text
                options.append(f"{option.name.replace('_', '-')}={text}")
        return self.name + ("{" + ",".join(options) + "}" if options else "")
