"""The training loop. It does not know what is learnt."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from logging import getLogger
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from tqdm.auto import tqdm

from recbole_tinynews import distributed
from recbole_tinynews.errors import InputError
from recbole_tinynews.files import replacing

__all__ = ["RUNNING", "Loader", "LoopSettings", "Task", "is_begun", "load_saved", "save_atomically", "train"]

Metrics = dict[str, float]

RUNNING = "running.pt"  # state of a task that is being trained, in its folder
_BATCHES_AHEAD = 2
_END = object()


class Loader(Protocol):
    """Batches that depend on the epoch's number alone."""

    def __len__(self) -> int: ...

    def epoch(self, number: int) -> Iterator[Any]: ...


class Task(nn.Module):
    """What is learnt: a module that turns a batch into ``{"loss": ..., parts}``.

    Its parameters are trained where they require gradients. ``student`` is the module whose weights are the
    result. Frozen teachers are kept where ``state_dict`` does not see them.
    """

    student: nn.Module

    def after_backward(self) -> None:
        """Change gradients before the optimizer takes them; they are those of all processes together."""


@dataclass(frozen=True)
class LoopSettings:
    """How a task is trained.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    learning_rate : float
        Step size of Adam (AMSGrad) for what is not the pre-trained encoder.
    plm_learning_rate : float
        Step size for the pre-trained encoder, if there is one.
    save_seconds : float
        Time between two saves of the running state.
    show_progress : bool
        Whether to show a bar.
    valid_metric : str
        Which of the measured values decides; more is better.
    """

    epochs: int
    learning_rate: float
    plm_learning_rate: float = 0.0
    save_seconds: float = 60.0
    show_progress: bool = True
    valid_metric: str = "auc"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> LoopSettings:
        """Pick the loop's settings from a stage's."""
        return cls(**{field.name: settings[field.name] for field in fields(cls) if field.name in settings})


def train(
    task: Task,
    loader: Loader,
    settings: LoopSettings,
    folder: Path,
    validate: Callable[[], Metrics | None] | None = None,
    on_step: Callable[[int, Metrics], None] | None = None,
) -> Metrics:
    """Train a task, resuming where an earlier run was interrupted.

    Parameters
    ----------
    task : Task
        What is learnt.
    loader : Loader
        Its batches.
    settings : LoopSettings
        How long and how fast.
    folder : Path
        Where the running state is saved.
    validate : callable, optional
        Measures the student after each epoch; the weights of the epoch with the best ``valid_metric`` are
        kept. Without it, or where it returns None, the last ones.
    on_step : callable, optional
        Called with the step's number and the loss and its parts, for logging.

    Returns
    -------
    dict
        The best epoch's validation, or the mean of the loss and its parts in the last epoch.
    """
    progress = _Progress(task, settings, folder / RUNNING)
    for epoch in range(progress.epoch, settings.epochs):
        means = _train_epoch(task, loader, epoch, progress, on_step)
        measured = None if validate is None else _measure(validate)
        result = means if measured is None else measured
        getLogger().info("%s epoch %d: %s", folder.name, epoch + 1, _format(result))
        progress.finish_epoch(result, None if measured is None else measured[settings.valid_metric])
    task.student.load_state_dict(progress.best_weights)
    return progress.best_result


def _train_epoch(
    task: Task,
    loader: Loader,
    epoch: int,
    progress: _Progress,
    on_step: Callable[[int, Metrics], None] | None,
) -> Metrics:
    task.train()
    bar = tqdm(
        enumerate(_ahead(loader.epoch(epoch))),
        total=len(loader),
        desc=f"{progress.path.parent.name} {epoch + 1}/{progress.settings.epochs}",
        disable=not (progress.settings.show_progress and distributed.is_first()),
        dynamic_ncols=True,
        leave=False,  # the epoch gets a line in the log
    )
    for step, batch in bar:
        if step < progress.step:
            continue  # done before the interruption
        parts = task(batch)
        progress.optimizer.zero_grad(set_to_none=True)
        parts["loss"].backward()
        distributed.average_gradients(task.parameters())
        task.after_backward()
        progress.optimizer.step()
        values = {name: float(value.detach()) for name, value in parts.items() if value.ndim == 0}
        if not values["loss"] == values["loss"]:
            raise InputError(f"the loss is not a number in epoch {epoch + 1}, step {step + 1}: lower learning_rate")
        means = progress.finish_step(values)
        bar.set_postfix({"loss": f"{means['loss']:.4f}"}, refresh=False)
        if on_step is not None:
            on_step(epoch * len(loader) + step, values)
    return progress.means()


def _measure(validate: Callable[[], Metrics | None]) -> Metrics | None:
    """Validate in all processes, which share the work, and let all believe the first: they must agree on an epoch."""
    measured = validate()
    return distributed.from_first(lambda: measured)


def _ahead(batches: Iterator[Any]) -> Iterator[Any]:
    """Draw batches in a thread while the model works."""
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, batches, _END) for _ in range(_BATCHES_AHEAD))
        while (batch := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, batches, _END))
            yield batch


class _Progress:
    """All that changes while a task is trained, and its copy on disk."""

    def __init__(self, task: Task, settings: LoopSettings, path: Path) -> None:
        self.task = task
        self.settings = settings
        self.path = path
        self.optimizer = _optimizer(task, settings)
        self.epoch = self.step = 0
        self.sums: Metrics = {}
        self.best_score: float | None = None
        self.best_result: Metrics = {}
        self.best_weights: dict[str, torch.Tensor] = _copy(task.student.state_dict())
        if state := distributed.from_first(lambda: load_saved(path) if path.exists() else None):
            self._restore(state)
        distributed.separate_randomness()
        self._saved_at = time.monotonic()

    def means(self) -> Metrics:
        """Mean of the loss and its parts over the epoch so far."""
        return {name: total / max(self.step, 1) for name, total in self.sums.items()}

    def finish_step(self, values: Metrics) -> Metrics:
        self.step += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if time.monotonic() - self._saved_at > self.settings.save_seconds:
            self._save()
        return self.means()

    def finish_epoch(self, result: Metrics, score: float | None) -> None:
        if score is None or self.best_score is None or score > self.best_score:
            self.best_score, self.best_result = score, result
            self.best_weights = _copy(self.task.student.state_dict())
        self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
        self._save()

    def _save(self) -> None:
        if not distributed.is_first():
            return
        state = {
            "task": self.task.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "counters": [self.epoch, self.step, self.sums, self.best_score, self.best_result],
            "best_weights": self.best_weights,
        }
        if torch.cuda.is_available():
            state["cuda_random"] = torch.cuda.get_rng_state_all()
        save_atomically(state, self.path)
        self._saved_at = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.task.load_state_dict(state["task"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.sums, self.best_score, self.best_result = state["counters"]
        self.best_weights = state["best_weights"]
        torch.set_rng_state(state["random"])
        if torch.cuda.is_available() and "cuda_random" in state:
            torch.cuda.set_rng_state_all(state["cuda_random"])
        getLogger().info("%s: resumed at epoch %d, step %d", self.path.parent.name, self.epoch + 1, self.step + 1)


def is_begun(folder: Path) -> bool:
    """Tell whether an interrupted training left something to go on from in its folder."""
    return (folder / RUNNING).exists()


def load_saved(path: Path) -> dict[str, Any]:
    """Read what :func:`save_atomically` wrote.

    Raises
    ------
    InputError
        If it is not what was written: a disk or a copy was at fault.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged files fail in as many ways as there are bytes
        raise InputError("cannot be read; delete it, and the same command makes it anew", path=path) from None


def save_atomically(state: dict, path: Path) -> None:
    """Save tensors and plain values such that the file is either whole or not there."""
    with replacing(path) as part:
        torch.save(state, part)


def _optimizer(task: Task, settings: LoopSettings) -> torch.optim.Optimizer:
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            groups[".plm." in name].append(parameter)
    rates = {True: settings.plm_learning_rate, False: settings.learning_rate}
    return torch.optim.Adam(
        [{"params": parameters, "lr": rates[of_plm]} for of_plm, parameters in groups.items()],
        amsgrad=True,
        fused=True,
    )


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def _format(result: Metrics) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in result.items())
