"""The search: which settings to try next, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import optuna
from optuna.trial import TrialState, create_trial
from tqdm.auto import tqdm

from recbole_tinynews import distributed
from recbole_tinynews.errors import InputError
from recbole_tinynews.tuning.space import Space, combinations, value_of
from recbole_tinynews.tuning.trials import Trial, TrialLog, run_trial

__all__ = ["Search"]


@dataclass(frozen=True)
class Search:
    """A search for the settings with the best validation metric.

    Parameters
    ----------
    space : mapping of str to distribution
        What is varied.
    tool : {"exhaustive", "random", "bayes"}
        All combinations, random ones, or those that a tree of Parzen estimators proposes (Bergstra et al., 2011).
    max_trials : int
        Most trials; an exhaustive search ends by itself.
    early_stop : int
        Trials in a row that were not better than the best, after which the search ends.
    parallel : int
        Trials at once, each in a process of its own, and on a GPU of its own where there are as many.
    seed : int
        Of what is drawn.
    """

    space: Space
    tool: str
    max_trials: int
    early_stop: int
    parallel: int
    seed: int

    def run(self, log: TrialLog, arguments: Sequence[str], metric: str, folder: Path) -> Trial:
        """Try settings until the search ends, and return the best trial.

        Parameters
        ----------
        log : TrialLog
            What it holds is not tried again; what was running is tried first.
        arguments : sequence of str
            Command line of all trials.
        metric : str
            Validation metric.
        folder : Path
            Where the trials' logs go.

        Raises
        ------
        InputError
            If no trial succeeds.
        """
        study = self._study(log)
        threads = max(1, distributed.cores() // self.parallel)
        gpus = distributed.visible_gpus()
        slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(self.parallel):
            slots.put(slot)

        def work(trial: Trial) -> Trial:
            slot = slots.get()
            own = [f"--gpu_id={gpus[slot % len(gpus)]}"] if len(gpus) > 1 else []
            try:
                return run_trial(trial, [*own, *arguments], metric, folder, threads)
            finally:
                slots.put(slot)

        again = {trial.number: trial for trial in log.interrupted}
        total = len(combinations(self.space)) if self.tool == "exhaustive" else self.max_trials
        ended = len(log.trials) - len(again)
        asked: dict[Future[Trial], int] = {}
        with ThreadPoolExecutor(self.parallel) as pool, tqdm(total=total, initial=ended, unit="trial") as bar:
            while True:
                while len(asked) < self.parallel and ended + len(asked) < total and not self._stale(log):
                    proposed = study.ask(self.space)
                    trial = self._trial(proposed.params, again, log)
                    log.write(trial)
                    asked[pool.submit(work, trial)] = proposed.number
                if not asked:
                    break
                for future in wait(asked, return_when=FIRST_COMPLETED).done:
                    trial = future.result()
                    failed = TrialState.FAIL if trial.score is None else None
                    study.tell(asked.pop(future), trial.score, state=failed)
                    log.write(trial)
                    ended += 1
                    bar.update()
                    best = max((other.score or 0.0 for other in log.finished), default=None)
                    bar.set_postfix_str(f"best {metric} {best:.4f}" if best is not None else "none has succeeded")
        if not log.finished:
            last = next(reversed(log.trials.values()), None)
            raise InputError(f"no trial has succeeded; the last: {last.error if last else 'none was run'}")
        return max(log.finished, key=lambda trial: trial.score or 0.0)

    def _study(self, log: TrialLog) -> optuna.Study:
        """Let optuna know what was tried before, and what is to be tried first."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if self.tool == "bayes":
            sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
                seed=self.seed + len(log.trials), constant_liar=self.parallel > 1
            )
        else:
            sampler = optuna.samplers.RandomSampler(seed=self.seed + len(log.trials))
        study = optuna.create_study(sampler=sampler, direction="maximize")
        for trial in log.finished:
            study.add_trial(create_trial(params=trial.drawn, distributions=self.space, value=trial.score))
        interrupted = [trial.drawn for trial in log.interrupted]
        for drawn in interrupted:
            study.enqueue_trial(drawn)
        if self.tool == "exhaustive":
            known = [trial.drawn for trial in log.trials.values()]
            for drawn in combinations(self.space):
                if drawn not in known:
                    study.enqueue_trial(drawn)
        return study

    def _trial(self, drawn: dict, again: dict[int, Trial], log: TrialLog) -> Trial:
        for number, trial in list(again.items()):
            if trial.drawn == drawn:
                return again.pop(number)
        settings = {name: value_of(self.space[name], value) for name, value in drawn.items()}
        return Trial(max(log.trials, default=-1) + 1, drawn, settings)

    def _stale(self, log: TrialLog) -> bool:
        """Tell whether the last trials brought nothing better."""
        scores = [trial.score or 0.0 for trial in log.trials.values() if trial.score is not None or trial.error]
        return len(scores) > self.early_stop and max(scores[-self.early_stop :]) <= max(scores[: -self.early_stop])
