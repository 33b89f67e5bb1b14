"""From a configuration to a result: the one way to run a model."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any

import numpy as np
from recbole.utils import init_logger, init_seed
from tabulate import tabulate

from recbole_tinynews import distributed
from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.impression_log import ImpressionLog
from recbole_tinynews.data.words import load_categories
from recbole_tinynews.errors import InputError
from recbole_tinynews.evaluator import diversity_metrics, rate_slices
from recbole_tinynews.files import check_file, check_writable, replacing
from recbole_tinynews.model.plm_model import PLMModel
from recbole_tinynews.pretrain import encoder_of
from recbole_tinynews.registry import resolve_trainer
from recbole_tinynews.trainer.impression_trainer import impression_trainer
from recbole_tinynews.trainer.run_data import RunData, bound_to, check_dataset, load_data, uses_impressions

__all__ = ["main", "run"]

_logger = logging.getLogger()


def run(
    model: str | type | None,
    dataset: str | None,
    config_file_list: Sequence[str | Path] | None = None,
    config_dict: Mapping[str, Any] | None = None,
    command_line: Sequence[str] = (),
    saved: bool = True,
) -> dict[str, Any]:
    """Train a model and test it.

    On a dataset with impressions every model is validated and tested on these; RecBole's models then train on all
    clicks of ``D.inter``. On any other dataset training and evaluation are RecBole's; with news texts all models are
    tested on the last click of each user.

    Parameters
    ----------
    model, dataset, config_file_list, config_dict, command_line
        As for `NewsConfig`.
    saved : bool
        Keep the best epoch in a checkpoint and test that; otherwise RecBole's models are tested after their last epoch.

    Returns
    -------
    dict
        What is written to ``result_file``: model, dataset, seed, parameters, best_valid_result, test_result, stages
        and seconds; on impressions also slices and, if wanted, diversity of the test split.

    Raises
    ------
    InputError
        If the configuration or the data cannot be used.
    """
    return _run(NewsConfig(model, dataset, config_file_list, config_dict, command_line), saved)[0]


def _run(config: NewsConfig, saved: bool) -> tuple[dict[str, Any], Path, Path]:
    """Return the result, the file that it was written to, and the checkpoint."""
    started = perf_counter()
    if config["nproc"] > 1 and distributed.processes() == 1:
        raise InputError("nproc is for run_recbole.py; a program of your own is started by torchrun")
    _check_paths(config)
    with _logging(config), distributed.group(config["device"]):
        if issubclass(config.model_class, PLMModel):
            config["plm"] = encoder_of(config)
        init_seed(config["seed"], config["reproducibility"])
        with distributed.local_first():
            data = load_data(config)
            _to_log_file(data.dataset)
            # Again, so that the network does not depend on what reading has drawn.
            init_seed(config["seed"], config["reproducibility"])
            network = config.model_class(config, data.dataset).to(config["device"])
        config.bound_to = bound_to(data.dataset, network)
        _to_log_file(network)
        trainer_class = resolve_trainer(config.model_class)
        if config.impressions and not uses_impressions(config):
            trainer = impression_trainer(trainer_class)(config, network, data.dataset)
        else:
            trainer = trainer_class(config, network)
        checkpoint = Path(trainer.saved_model_file)  # RecBole's name for it is that of another run of the same second
        own = distributed.from_first(lambda: token_hex(4))
        trainer.saved_model_file = str(checkpoint.with_name(f"{checkpoint.stem}-{own}{checkpoint.suffix}"))
        _, valid_result = trainer.fit(data.train, data.valid, saved=saved, show_progress=config["show_progress"])
        test_result = trainer.evaluate(data.test, load_best_model=saved, show_progress=config["show_progress"])
        trainer.tensorboard.close()  # its thread would write on, into whatever folder is the working one then
        result = {
            "model": config["model"],
            "dataset": config["dataset"],
            "seed": config["seed"],
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
            "best_valid_result": _plain(valid_result),
            "test_result": _plain(test_result),
            "stages": getattr(trainer, "stages_report", []),
            "seconds": round(perf_counter() - started, 3),
        }
        if config.impressions:
            result |= _more_of_impressions(config, data, trainer)
            if config["impressions_file"] and distributed.is_first():
                _write_values(data.test, trainer.impression_values, Path(config["impressions_file"]))
        path = Path(config["result_file"] or Path(trainer.saved_model_file).with_suffix(".json"))
        if distributed.is_first():
            _write(result, path)
        _to_log_file(result)
    return result, path, Path(trainer.saved_model_file)


@command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, ``sys.argv[1:]`` by default, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="run_recbole.py",  # or python -m recbole_tinynews
        description="Train a model on a dataset and test it. The metrics are shown at the end and written as JSON.",
        epilog="Any other setting is given as --key=value, a nested one with dots:\n"
        "  run_recbole.py --model=BPR --dataset=demo --epochs=20 --learning_rate=0.01\n"
        "  run_recbole.py --model=TinyNewsRec --dataset=demo --post_train.epochs=2 --result_file=out.json\n"
        "Settings and their defaults are listed in properties/overall.yaml and properties/model/<Model>.yaml.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", metavar="NAME", help="one of this package, such as TinyNewsRec, or any of RecBole")
    parser.add_argument("--dataset", metavar="NAME", help="a folder NAME in data_path (default: dataset/)")
    parser.add_argument("--config_files", metavar='"A B"', default="", help="yaml files with settings, split by spaces")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    given, settings = parser.parse_known_args(arguments)
    config = NewsConfig(given.model, given.dataset, given.config_files.split(), command_line=settings)
    if config["nproc"] > 1 and distributed.processes() == 1:
        _check_paths(config)  # before an encoder is trained
        if issubclass(config.model_class, PLMModel):
            encoder_of(config)
        return distributed.launch(config["nproc"], main, arguments)
    try:
        result, path, checkpoint = _run(config, saved=True)
    except ModuleNotFoundError as error:  # a few of RecBole's models need more than RecBole
        raise InputError(f"{config.model} needs the package {error.name!r}: install it with pip") from error
    if distributed.is_first():
        print(f"\n{_table(result)}\n\ncheckpoint: {checkpoint}\nresult: {path}")
    return 0


def _more_of_impressions(config: NewsConfig, data: RunData, trainer: Any) -> dict[str, Any]:
    """What is measured on test impressions beside the means of metrics."""
    more: dict[str, Any] = {"slices": rate_slices(trainer.impression_values, data.test, data.clicks)}
    if config["diversity"]:
        categories, _ = load_categories(config["data_path"], data.dataset.field2token_id[data.dataset.iid_field])
        scores, shown = trainer.impression_scores, data.test.candidates
        more["diversity"] = diversity_metrics(scores, shown, categories[:, 0], data.clicks)
    return more


def _check_paths(config: NewsConfig) -> None:
    """Find out now what would only fail after hours, and make the folders that RecBole makes in one process only."""
    check_dataset(config)
    check_writable(Path("log") / config["model"], "the log")
    check_writable(Path(config["checkpoint_dir"]), "checkpoint_dir")
    for key in ("result_file", "impressions_file"):
        if config[key]:
            check_file(Path(config[key]), key)


@contextmanager
def _logging(config: NewsConfig) -> Iterator[None]:
    """RecBole's logger for the time of a run; the settings go into its file, remarks on them to the user, too."""
    before, level = _logger.handlers[:], _logger.level
    init_logger(config)
    _to_log_file(config)
    for remark in config.remarks:
        _logger.warning(remark)
    try:
        yield
    finally:
        for handler in [handler for handler in _logger.handlers if handler not in before]:
            _logger.removeHandler(handler)
            handler.close()
        _logger.setLevel(level)


def _to_log_file(message: object) -> None:
    """Log what is too long for the screen."""
    if not distributed.is_first():
        return
    for handler in _logger.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(_logger.makeRecord("root", logging.INFO, __file__, 0, str(message), (), None))


def _plain(result: Mapping[str, Any] | None) -> dict[str, float] | None:
    return None if result is None else {name: float(value) for name, value in result.items()}


def _write(result: Mapping[str, Any], path: Path) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _write_values(log: ImpressionLog, values: Mapping[str, np.ndarray], path: Path) -> None:
    with replacing(path) as part, part.open("wb") as file:  # to a name without .npz savez would add it
        np.savez(file, impression_id=np.asarray(log.impression_ids), **values)  # type: ignore[arg-type]


def _table(result: Mapping[str, Any]) -> str:
    cells = {"model": result["model"], "dataset": result["dataset"]}
    cells |= {name: f"{value:.4f}" for name, value in (result["test_result"] or {}).items()}
    return tabulate([list(cells.values())], list(cells), tablefmt="plain", disable_numparse=True)
