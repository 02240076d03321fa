"""The training loop: losses, steps, early stop, and going on after an interruption."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import cos, pi
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from qir.errors import DataError, OutputError
from qir.ir.graph import Stage
from qir.passes.train.augment import lesson
from qir.passes.train.network import Network
from qir.passes.train.rounding import squared_distance
from qir.passes.train.samples import Lesson, Samples
from qir.progress import progress

if TYPE_CHECKING:
    from qir.passes.train.finetune import Finetune

_LOOKS = 20
"""How often the held-out samples are looked at."""
_CHANGES = 1
"""Tells the random numbers that change samples from those that order them."""


@dataclass(frozen=True)
class Plan:
    """How to train: the options of the pass, the seed, and a digest of what is trained on what."""

    options: Finetune
    seed: int
    subject: str


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads inside, as many as before behind it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Losses:
    """How far a network is from its teacher, and from labels."""

    def __init__(self, samples: Samples, plan: Plan, device: Any) -> None:
        self.samples, self.plan, self.device = samples, plan, device
        self.taps = tuple(goal.name for goal in (*samples.outputs, *samples.features))

    def tensor(self, array: np.ndarray) -> Any:
        made = torch.from_numpy(np.ascontiguousarray(array)).to(self.device)
        return made.contiguous(memory_format=torch.channels_last) if made.ndim == 4 else made

    def of(self, network: Network, given: Lesson, *, whole: bool = True) -> Any:
        """The loss on some samples; that of the outputs alone where it is not `whole`."""
        samples, options = self.samples, self.plan.options
        inputs = {name: self.tensor(array) for name, array in given.inputs.items()}
        found = network(inputs, self.taps if whole else [goal.name for goal in samples.outputs])
        total, labels = torch.zeros((), device=self.device), given.labels
        for goal in samples.outputs:
            mine, wanted = found[goal.name], self.tensor(given.wanted[goal.name])
            if not goal.classes:
                total = total + self._error(mine, goal.name, wanted)
                continue
            mine, wanted = mine.flatten(1), wanted.flatten(1)
            total = total + self._divergence(mine, wanted)
            for classes, shares in labels if options.labels else ():
                each = functional.cross_entropy(mine, self.tensor(classes), reduction="none")
                total = total + options.labels * (each * self.tensor(shares)).mean()
            labels = ()
        if whole and options.features and samples.features:
            each = [self._error(found[goal.name], goal.name, self.tensor(given.wanted[goal.name]))
                    for goal in samples.features]  # fmt: skip
            total = total + options.features * torch.stack(each).mean()
        return total

    def _error(self, mine: Any, name: str, wanted: Any) -> Any:
        """The mean squared error relative to the power of what is wanted."""
        return squared_distance(mine, wanted) / (self.samples.powers[name] * wanted.numel())

    def _divergence(self, mine: Any, wanted: Any) -> Any:
        """T^2 KL(softmax(wanted / T) || softmax(mine / T)), the mean over samples."""
        t = self.plan.options.temperature
        logs = [torch.log_softmax(logits / t, 1) for logits in (mine, wanted)]
        return t * t * functional.kl_div(logs[0], logs[1], reduction="batchmean", log_target=True)


def groups(network: Network, plan: Plan) -> list[dict[str, Any]]:
    """Parameters with the share of the learning rate that each takes: weights of few codes, or all of a float network,
    and all others."""
    real = network.graph.stage is Stage.FLOAT
    few = [part.moved for part in network.weights.values() if part.is_few or real]
    known = {id(one) for one in few}
    rest = [one for one in network.parameters() if id(one) not in known]
    return [{"params": some, "share": share} for some, share in ((few, 1.0), (rest, plan.options.fine_rate)) if some]


def rate(step: int, plan: Plan) -> float:
    """Of the learning rate at a step: a straight rise, then half a cosine down to 0."""
    rise = max(1, round(plan.options.warmup * plan.options.steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + cos(pi * (step - rise) / max(1, plan.options.steps - rise)))


def train(network: Network, samples: Samples, judges: np.ndarray, plan: Plan) -> tuple[int, float, float]:
    """Trains a network and leaves in it the parameters that were best on the samples held out.

    Args:
        judges: places of the samples that are held out.

    Returns:
        Steps done, and the loss on the judges before and after.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network.to(device)
    losses = Losses(samples, plan, device)
    learners = np.setdiff1d(np.arange(samples.count), judges)
    learners = learners if learners.size else judges
    network.measure_units({name: losses.tensor(array) for name, array in samples.some(learners[:256]).items()})
    optimizer = torch.optim.Adam(groups(network, plan), lr=plan.options.learning_rate)
    run = _Run(network, optimizer, plan, Path(plan.options.checkpoint) if plan.options.checkpoint else None)
    if not run.resumed():
        run.best = run.first = judged(network, losses, judges, plan.options.batch_size)
        run.keep()
    every = -(-plan.options.steps // _LOOKS)
    for step in progress(range(run.step, plan.options.steps), "fine-tune", plan.options.steps - run.step):
        if run.waited >= plan.options.patience > 0:
            break
        for group in optimizer.param_groups:
            group["lr"] = plan.options.learning_rate * group["share"] * rate(step, plan)
        loss = losses.of(network, _lesson(samples, learners, step, plan))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), plan.options.clip_norm)
        optimizer.step()
        network.settle()
        run.step = step + 1
        if run.step % every == 0 or run.step == plan.options.steps:
            run.look(judged(network, losses, judges, plan.options.batch_size))
    run.put(run.kept)
    return run.step, run.first, run.best


def _batch(learners: np.ndarray, step: int, plan: Plan) -> np.ndarray:
    """The samples of a step: every pass over all of them is a permutation that follows from the seed."""
    size = min(plan.options.batch_size, learners.size)
    per_pass = learners.size // size
    order = np.random.default_rng((plan.seed, step // per_pass)).permutation(learners)
    first = step % per_pass * size
    return np.asarray(order[first : first + size])


def _lesson(samples: Samples, learners: np.ndarray, step: int, plan: Plan) -> Lesson:
    places, options = _batch(learners, step, plan), plan.options
    if not options.augment:
        return samples.lesson(places)
    random = np.random.default_rng((plan.seed, step, _CHANGES))
    return lesson(samples, places, options.augment, random, features=bool(options.features))


def judged(network: Network, losses: Losses, places: np.ndarray, batch_size: int) -> float:
    """The mean loss of the outputs on some samples."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            total += float(losses.of(network, losses.samples.lesson(some), whole=False)) * len(some)
    return total / len(places)


class _Run:
    """Where a training is, and its file."""

    def __init__(self, network: Network, optimizer: Any, plan: Plan, path: Path | None) -> None:
        self.network, self.optimizer, self.path = network, optimizer, path
        self.plan = repr(replace(plan, options=replace(plan.options, checkpoint="", threads=1)))
        self.step, self.waited, self.first, self.best = 0, 0, float("inf"), float("inf")
        self.kept: list[Any] = []

    def keep(self) -> None:
        self.kept = [value.detach().clone() for value in self.network.parameters()]

    def put(self, values: Iterable[Any]) -> None:
        """Gives the network's parameters these values."""
        for parameter, value in zip(self.network.parameters(), values, strict=True):
            parameter.data.copy_(value)

    def look(self, loss: float) -> None:
        """Notes a loss on the samples held out, and saves where the run is."""
        self.waited += 1
        if loss < self.best:
            self.best, self.waited = loss, 0
            self.keep()
        self.save()

    def save(self) -> None:
        if self.path is None:
            return
        state = {"plan": self.plan, "step": self.step, "waited": self.waited, "first": self.first, "best": self.best,
                 "kept": self.kept, "now": [value.detach() for value in self.network.parameters()],
                 "optimizer": self.optimizer.state_dict()}  # fmt: skip
        fresh = self.path.with_name(f"{self.path.name}.part")
        try:
            torch.save(state, fresh)
            os.replace(fresh, self.path)
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written: {error}", fix="Give another checkpoint") from error

    def resumed(self) -> bool:
        """Goes on from the file, if there is one."""
        if self.path is None or not self.path.exists():
            return False
        try:
            state = torch.load(self.path, weights_only=True, map_location=next(self.network.parameters()).device)
            if state["plan"] != self.plan:
                raise ValueError("it was made with other options")
            self.put(state["now"])
            self.optimizer.load_state_dict(state["optimizer"])
        except Exception as error:  # torch raises its own types for files that are none
            raise DataError(f"the checkpoint '{self.path}' is not of this training: {error}",
                            fix="Remove it, or give another name") from error  # fmt: skip
        self.step, self.waited, self.kept = state["step"], state["waited"], state["kept"]
        self.first, self.best = state["first"], state["best"]
        return True
