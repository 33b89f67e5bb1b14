"""``python run_hyper.py``: search for a model's settings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig, properties_folder
from recbole_tinynews.errors import InputError
from recbole_tinynews.model.plm_model import PLMModel
from recbole_tinynews.nesting import nested
from recbole_tinynews.pretrain import encoder_of
from recbole_tinynews.trainer.run_data import check_dataset

__all__ = ["main"]


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="run_hyper.py",
        description="Search for the settings of a model that are best on the validation split. A search that was "
        "stopped goes on where it was; what trials have in common (stages) is done once.",
        epilog="Any other setting is given as --key=value and holds for all trials.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--model", required=True, metavar="NAME", help="as for run_recbole.py")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a folder NAME in data_path")
    parser.add_argument("--params_file", metavar="FILE", help="what to vary (properties/hyper/<model>.hyper)")
    parser.add_argument("--tool", choices=["exhaustive", "random", "bayes"], default="bayes", help="how to search")
    parser.add_argument("--max_trials", type=int, default=30, help="most trials; exhaustive: all combinations")
    parser.add_argument("--early_stop", type=int, default=10, help="trials without a better one, after which it ends")
    parser.add_argument("--parallel", type=int, default=1, help="trials at once, one a GPU where there are several")
    parser.add_argument("--config_files", metavar='"A B"', default="", help="yaml files with settings of all trials")
    parser.add_argument("--output", type=Path, help="folder of the search (saved/hyper/MODEL-DATASET)")
    given, settings = parser.parse_known_args(arguments)
    output = given.output or Path("saved/hyper") / f"{given.model}-{given.dataset}"
    best, page = _search(given, settings, output)
    print(f"\nbest settings: {best}\ntrials: {page}\n\n  python run_recbole.py --config_files={best}")


def _search(given: argparse.Namespace, settings: list[str], output: Path) -> tuple[Path, Path]:
    try:
        from recbole_tinynews.tuning.report import write_best, write_page
        from recbole_tinynews.tuning.search import Search
        from recbole_tinynews.tuning.space import read_space
        from recbole_tinynews.tuning.trials import TrialLog
    except ModuleNotFoundError as error:
        raise InputError(f'a search needs the package {error.name!r}: pip install "recbole-tinynews[tune]"') from None
    for name in ("max_trials", "early_stop", "parallel"):
        if getattr(given, name) < 1:
            raise InputError(f"{name} must be 1 or more, not {getattr(given, name)}")
    settings = [*settings, f"--checkpoint_dir={output / 'checkpoints'}"]
    config = NewsConfig(given.model, given.dataset, given.config_files.split(), command_line=settings)
    check_dataset(config)
    file = Path(given.params_file or properties_folder() / "hyper" / f"{given.model}.hyper")
    if not given.params_file and not file.exists():
        raise InputError(f"what is to be varied of {given.model}? give --params_file=FILE")
    space = read_space(file)
    metric = config["valid_metric"].lower()
    if not config["valid_metric_bigger"]:
        raise InputError(f"a search looks for the highest score; of {metric} less is better: set another valid_metric")
    known = set(config.internal_config_dict)
    if unknown := [name for name in space if name.split(".")[0] not in known]:
        raise InputError(f"{given.model} has no setting {unknown[0]!r}", path=file)
    config.check_keys(nested(dict.fromkeys(space)))
    fixed = [f"--model={given.model}", f"--dataset={given.dataset}", f"--config_files={given.config_files}", *settings]
    fixed.append("--show_progress=False")
    if issubclass(config.model_class, PLMModel):
        config["plm"] = encoder_of(config)
        fixed.append(f"--plm={config['plm']}")
    about = {"model": given.model, "dataset": given.dataset, "space": {name: str(kind) for name, kind in space.items()}}
    log = TrialLog(output / "trials.jsonl", about | {"settings": config.recipe["settings"]})
    search = Search(space, given.tool, given.max_trials, given.early_stop, given.parallel, config["seed"])
    best = search.run(log, fixed, metric, output / "trials")
    write_best(best, config.recipe, metric, output / "best.yaml")
    write_page(log.finished, metric, f"{given.model} on {given.dataset}", output / "trials.html")
    return output / "best.yaml", output / "trials.html"


if __name__ == "__main__":
    sys.exit(main())
