"""Trials: a run in a process of its own, and the log that a search goes on from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from recbole_tinynews.errors import InputError

__all__ = ["Trial", "TrialLog", "run_trial"]


@dataclass
class Trial:
    """Settings that were tried.

    Parameters
    ----------
    number : int
        From 0 on.
    drawn : dict
        What the search drew, as its space has it.
    settings : dict
        The same as settings of a run.
    score : float, optional
        Validation metric; None while it runs, or where it failed.
    result : dict
        What the run reported.
    error : str, optional
        Why it failed.
    """

    number: int
    drawn: dict[str, Any]
    settings: dict[str, Any]
    score: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class TrialLog:
    """Trials in a file, a line of JSON whenever one starts or ends; the last line of a number counts.

    A search that was killed finds there what is finished, and what was running.

    Parameters
    ----------
    path : Path
        The file.
    about : mapping
        What the search is about; a file of another search is refused.
    """

    def __init__(self, path: Path, about: Mapping[str, Any]) -> None:
        self.path = path
        self.trials: dict[int, Trial] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1  # a kill may have cut the last line
        for line in text[:whole].splitlines():
            content = json.loads(line)
            if "about" in content:
                if content["about"] != json.loads(json.dumps(about)):
                    raise InputError("belongs to a search over other settings: give another --output", path=path)
            else:
                trial = Trial(**content)
                self.trials[trial.number] = trial
        os.truncate(path, whole)
        if not whole:
            self._append({"about": about})

    def write(self, trial: Trial) -> None:
        """Keep a trial as it is now."""
        self.trials[trial.number] = trial
        self._append(asdict(trial))

    @property
    def finished(self) -> list[Trial]:
        """Trials that have a score."""
        return [trial for trial in self.trials.values() if trial.score is not None]

    @property
    def interrupted(self) -> list[Trial]:
        """Trials that have neither a score nor an error."""
        return [trial for trial in self.trials.values() if trial.score is None and trial.error is None]

    def _append(self, content: Mapping[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content) + "\n")
            file.flush()
            os.fsync(file.fileno())


def run_trial(trial: Trial, arguments: Sequence[str], metric: str, folder: Path, threads: int) -> Trial:
    """Run a trial to its end; its output goes to ``<number>.log`` in the folder.

    Parameters
    ----------
    trial : Trial
        Gets its score and result, or its error.
    arguments : sequence of str
        Command line of all trials.
    metric : str
        Validation metric that is the score.
    folder : Path
        Where logs are.
    threads : int
        Threads of computation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result, log = folder / f"{trial.number}.json", folder / f"{trial.number}.log"
    settings = [f"--{name}={value}" for name, value in trial.settings.items()]
    command = [sys.executable, "-m", "recbole_tinynews", *arguments, *settings, f"--result_file={result}"]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with log.open("w", encoding="utf-8") as output:
        code = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    for line in lines:
        if line.startswith("checkpoint: "):  # stages stay, and so the best is made again soon
            Path(line.removeprefix("checkpoint: ")).unlink(missing_ok=True)
    if code == 0:
        trial.result = json.loads(result.read_text(encoding="utf-8"))
        if trial.result["best_valid_result"] is None:
            trial.error = "it was not validated: without a validation split or epochs there is no score"
        else:
            trial.score = trial.result["best_valid_result"][metric]
    else:
        told = [line for line in lines if line.strip()]
        trial.error = told[-1].removeprefix("error: ") if told else f"exit code {code}"
    return trial
