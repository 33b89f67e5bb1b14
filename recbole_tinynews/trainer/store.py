"""Stages and what they leave on disk."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from recbole_tinynews import distributed
from recbole_tinynews.files import replacing
from recbole_tinynews.layers import ClickModel
from recbole_tinynews.trainer.loop import RUNNING, Metrics, is_begun, load_saved, save_atomically

__all__ = ["Stage", "StageResult", "StageStore", "checksum", "fingerprint"]

Weights = dict[str, torch.Tensor]


class StageResult(NamedTuple):
    """What a stage leaves.

    Parameters
    ----------
    weights : dict of str to Tensor
        The student's ``state_dict``.
    result : dict
        What was measured.
    seconds : float
        How long it took when it was run.
    """

    weights: Weights
    result: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Stage:
    """One step of training.

    Parameters
    ----------
    kind : str
        What is done, as a word: with the inputs it says what the result is.
    name : str
        Unique in a run.
    purpose : str
        What it does, for people.
    inputs : mapping
        All that its result depends on, but for the stages before it; values that JSON can hold.
    train : callable
        Gets the stage's folder, in which an interrupted run finds what it had saved, and the weights that
        the stages in ``starts`` left; returns its own weights and what was measured.
    starts : sequence of Stage
        Stages whose results it needs.
    recommender : callable, optional
        Makes a click model, which can be tested, of the stage's weights.
    """

    kind: str
    name: str
    purpose: str
    inputs: Mapping[str, Any]
    train: Callable[[Path, list[Weights]], tuple[Weights, Metrics]]
    starts: Sequence[Stage] = ()
    recommender: Callable[[Weights], ClickModel] | None = None

    @property
    def key(self) -> str:
        """Fingerprint of everything that changes the result."""
        everything = [self.kind, dict(self.inputs), [stage.key for stage in self.starts]]
        return fingerprint(everything)


class StageStore:
    """Run each stage once for the same inputs.

    A stage has a folder named by its kind and key. ``stage.json`` is written last: where it stands the
    stage is finished, and any run with the same inputs uses it.

    Parameters
    ----------
    root : Path
        Folder of all stages.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, stage: Stage) -> Path:
        """Folder of a stage."""
        return self.root / f"{stage.kind}-{stage.key}"

    def is_done(self, stage: Stage) -> bool:
        """Tell whether the stage needs no training."""
        return all((self.folder(stage) / name).exists() for name in ("stage.json", "weights.pt"))

    def is_begun(self, stage: Stage) -> bool:
        """Tell whether an interrupted run left something to go on from."""
        return is_begun(self.folder(stage))

    def load(self, stage: Stage) -> StageResult:
        """Read what a finished stage left."""
        return distributed.from_first(lambda: self._read(stage))

    def _read(self, stage: Stage) -> StageResult:
        report = json.loads((self.folder(stage) / "stage.json").read_text(encoding="utf-8"))
        return StageResult(load_saved(self.folder(stage) / "weights.pt"), report["result"], report["seconds"])

    def run(self, stage: Stage) -> StageResult:
        """Train a stage, or resume it, or take its result from disk; the stages it starts from must be done."""
        if distributed.from_first(lambda: self.is_done(stage)):
            return self._loaded(stage)
        with self._alone(stage):
            # Another run may have finished it meanwhile.
            done = distributed.from_first(lambda: self.is_done(stage))
            return self._loaded(stage) if done else self._trained(stage)

    def _loaded(self, stage: Stage) -> StageResult:
        done = self.load(stage)
        weights = checksum(done.weights)
        getLogger().info("%s: finished before, weights %s from %s", stage.name, weights, self.folder(stage))
        return done

    @contextmanager
    def _alone(self, stage: Stage) -> Iterator[None]:
        """Let one run at a time train a stage; in another one on this dataset it may be the same."""
        folder = self.folder(stage)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f".{folder.name}.lock"))
        told = False
        while not distributed.from_first(lambda: _taken(lock)):  # all processes wait together, in short steps
            if not told:
                getLogger().info("%s: waiting for another run that trains it", stage.name)
            told = True
            time.sleep(1)
        try:
            yield
        finally:
            lock.release()  # in the first process; the others hold nothing

    def _trained(self, stage: Stage) -> StageResult:
        logger, folder = getLogger(), self.folder(stage)
        starts = [self.load(start).weights for start in stage.starts]
        for start, weights in zip(stage.starts, starts, strict=True):
            logger.info("%s: starts from %s, weights %s", stage.name, start.name, checksum(weights))
        begin = time.monotonic()
        try:
            weights, result = stage.train(folder, starts)
        except KeyboardInterrupt:
            saved = "goes on from the last save" if self.is_begun(stage) else "starts it anew: nothing was saved yet"
            logger.info("%s: stopped; the same command %s", stage.name, saved)
            raise
        seconds = round(time.monotonic() - begin, 2)
        if distributed.is_first():
            report = {"kind": stage.kind, "result": result, "seconds": seconds, "inputs": dict(stage.inputs)}
            save_atomically(weights, folder / "weights.pt")
            _write_json(report, folder)
            (folder / RUNNING).unlink(missing_ok=True)
        logger.info("%s: done in %.0f s, weights %s", stage.name, seconds, checksum(weights))
        return StageResult(weights, result, seconds)


def _taken(lock: FileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _write_json(report: Mapping[str, Any], folder: Path) -> None:
    with replacing(folder / "stage.json") as part:
        part.write_text(json.dumps(report, default=str, indent=1), encoding="utf-8")


def fingerprint(values: Any) -> str:
    """Fingerprint of values that JSON can hold: 12 hexadecimal digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def checksum(weights: Mapping[str, torch.Tensor]) -> str:
    """Fingerprint of weights: 12 hexadecimal digits of the SHA-256 over names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:12]
