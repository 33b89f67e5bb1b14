"""Runs of a plan, each done once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from recbole_tinynews import __version__
from recbole_tinynews.benchmark.plan import Plan, Row
from recbole_tinynews.benchmark.records import Measured
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.errors import InputError
from recbole_tinynews.quick_start import run
from recbole_tinynews.registry import resolve_model

__all__ = ["Runs"]

# Settings that say where things are, or how much is shown, and change no result.
_NO_PART = frozenset({
    "checkpoint_dir", "data_path", "device", "gpu_id", "impressions_file", "nproc", "result_file", "save_seconds",
    "show_progress", "state", "worker",
})  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """Train and test the systems of a plan, with several seeds; what is finished is not repeated.

    A run leaves two files in ``runs``: metrics of each impression, and then its result, which makes it count. Their
    names end in a hash of all settings. Stages are shared through one ``checkpoint_dir``.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    output : Path
        Folder of runs, checkpoints and log.
    config_files : sequence of str
        Files with settings of all runs.
    settings : mapping
        Settings of all runs, over those of the files.
    """

    dataset: str
    output: Path
    config_files: Sequence[str]
    settings: Mapping[str, Any]

    def all(self, plan: Plan, seeds: Sequence[int], on_repeat: Callable[[list[Measured]], None]) -> None:
        """Do what is to do, seed by seed, so that a whole table exists after the first.

        Parameters
        ----------
        plan : Plan
            The systems.
        seeds : sequence of int
            One for each repeat.
        on_repeat : callable
            Gets what has been measured, after each repeat.

        Raises
        ------
        InputError
            If a run has failed; the others are done first.
        """
        failures: list[str] = []
        todo = [(seed, row) for seed in seeds for row in plan.rows if not self._files(row, seed)[0].exists()]
        number = len(seeds) * len(plan.rows)
        with tqdm(total=number, initial=number - len(todo), unit="run", dynamic_ncols=True) as bar, self._log():
            for place, (seed, row) in enumerate(todo):
                left = len(todo) - place - 1
                bar.set_description(f"running {row.name}, seed {seed}; {bar.n} done, {left} to come")
                try:
                    self._run(row, seed)
                except Exception as error:  # the night is long, and other rows may be sound
                    told = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
                    failures.append(f"{row.name}, seed {seed}: {told}")
                    logging.getLogger().exception("failed: %s", failures[-1])
                    bar.write(f"error: {failures[-1]}")
                bar.update()
                if left == 0 or todo[place + 1][0] != seed:
                    on_repeat(self.measured(plan, seeds))
            bar.set_description(f"done, {len(failures)} failed" if failures else "all done")
        if not todo:
            on_repeat(self.measured(plan, seeds))
        if failures:
            raise InputError(f"{len(failures)} of {len(todo)} runs failed; the first: {failures[0]}")

    def measured(self, plan: Plan, seeds: Sequence[int]) -> list[Measured]:
        """Read the finished runs."""
        return [self._measured(row, seeds) for row in plan.rows]

    def _measured(self, row: Row, seeds: Sequence[int]) -> Measured:
        done = [files for seed in seeds if (files := self._files(row, seed))[0].exists()]
        results = [json.loads(result.read_text(encoding="utf-8")) for result, _ in done]
        return Measured(row, results, [dict(np.load(values)) for _, values in done])

    def _run(self, row: Row, seed: int) -> None:
        result, values = self._files(row, seed)
        files = {"result_file": str(result), "impressions_file": str(values)}
        run(row.model, self.dataset, self.config_files, {**self._settings(row, seed), **files})

    def _settings(self, row: Row, seed: int) -> dict[str, Any]:
        settings = {"checkpoint_dir": str(self.output / "checkpoints"), **self.settings, **row.settings, "seed": seed}
        if row.depth is not None:
            settings[resolve_model(row.model).depth_key] = row.depth
        return settings

    def _files(self, row: Row, seed: int) -> tuple[Path, Path]:
        config = NewsConfig(row.model, self.dataset, self.config_files, self._settings(row, seed))
        known = set(config.internal_config_dict) - _NO_PART  # a file may have settings of other models, too
        settings = {name: value for name, value in config.final_config_dict.items() if name in known}
        everything = json.dumps([__version__, row.model, self.dataset, settings], sort_keys=True, default=str)
        key = hashlib.sha256(everything.encode()).hexdigest()[:8]
        name = re.sub(r"[^\w.]+", "-", f"{row.name} {seed}").strip("-")
        stem = self.output / "runs" / f"{name}-{key}"
        return stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.npz")

    @contextmanager
    def _log(self) -> Iterator[None]:
        """Let the runs' logs go to one file: RecBole adds no handlers where there are some."""
        self.output.mkdir(parents=True, exist_ok=True)
        logger = logging.getLogger()
        handler, before, level = logging.FileHandler(self.output / "benchmark.log"), logger.handlers[:], logger.level
        handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            handler.close()
            logger.handlers = before
            logger.setLevel(level)
