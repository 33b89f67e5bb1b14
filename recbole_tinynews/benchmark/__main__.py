"""``python -m recbole_tinynews.benchmark``: a table or a figure of the paper, on any data."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig

from recbole_tinynews import __version__
from recbole_tinynews.benchmark.execute import Runs
from recbole_tinynews.benchmark.plan import Plan, read_plan
from recbole_tinynews.benchmark.records import Measured, Speed
from recbole_tinynews.benchmark.report import write_report, write_speed_report
from recbole_tinynews.benchmark.speed import measure_speed
from recbole_tinynews.command import command
from recbole_tinynews.config import NewsConfig
from recbole_tinynews.data.news_table import NewsTable
from recbole_tinynews.errors import InputError
from recbole_tinynews.layers.loading import quiet_transformers
from recbole_tinynews.model.build import choose_precision
from recbole_tinynews.pretrain import encoder_of
from recbole_tinynews.trainer.run_data import check_dataset

__all__ = ["benchmark", "main"]


def benchmark(
    path: Path,
    dataset: str,
    output: Path,
    repeats: int = 5,
    depths: Sequence[int] = (),
    config_files: Sequence[str] = (),
    command_line: Sequence[str] = (),
) -> Path:
    """Run a plan and write its report.

    Parameters
    ----------
    path : Path
        The plan, such as ``properties/paper/table2.yaml``.
    dataset : str
        Name of the dataset.
    output : Path
        Folder of reports, runs and checkpoints; plans that share it share runs and stages.
    repeats : int
        Runs of each row, with rising seeds.
    depths : sequence of int
        Layers of the students; else the plan says them.
    config_files, command_line
        Settings of all runs, as for :class:`recbole_tinynews.NewsConfig`.

    Returns
    -------
    Path
        ``report.md``; ``report.html``, ``report.csv``, ``report.json`` and plots lie beside it.
    """
    if repeats < 1:
        raise InputError(f"repeats must be 1 or more, not {repeats}")
    checkpoints = {"checkpoint_dir": str(output / "checkpoints")}
    config = NewsConfig("PLMNR", dataset, config_files, checkpoints, command_line)
    check_dataset(config)
    read_plan(path, None)  # its mistakes are told before an encoder is trained
    config["plm"] = plm = encoder_of(config)
    depth = _depth(plm)
    plan = read_plan(path, depth, depths)
    about, folder = _about(config, depth), output / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    if plan.plot == "speed":
        return write_speed_report(plan, _speeds(plan, config), about, folder)
    seeds = list(range(config["seed"], config["seed"] + repeats))
    about |= {"seeds": f"{seeds[0]} to {seeds[-1]}" if repeats > 1 else str(seeds[0])}

    def report(measured: list[Measured]) -> None:
        write_report(plan, measured, about, folder)

    Runs(dataset, output, config_files, {**config.cmd_config_dict, "plm": plm}).all(plan, seeds, report)
    return folder / "report.md"


def _depth(plm: str | None) -> int:
    if not plm:
        raise InputError("no pre-trained encoder: give --plm=FOLDER or the name of one on the hub")
    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(plm).num_hidden_layers
    except (OSError, ValueError):
        raise InputError(f"plm={plm}: neither a folder nor a hub name of an encoder") from None


def _speeds(plan: Plan, config: NewsConfig) -> list[Speed]:
    titles = NewsTable.load(config["data_path"]).titles
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    speeds = []
    for row in plan.rows:
        measured = {device.type.upper(): measure_speed(config, titles, row.depth, device) for device in devices}
        parameters = next(iter(measured.values()))[0]
        speeds.append(Speed(row, parameters, {name: speed for name, (_, speed) in measured.items()}))
    return speeds


def _about(config: NewsConfig, depth: int) -> dict[str, str]:
    device = config["device"]
    machine = torch.cuda.get_device_name() if device.type == "cuda" else (
        f"{torch.get_num_threads()} CPU cores ({torch.backends.cpu.get_cpu_capability()})"
    )  # fmt: skip
    return {
        "dataset": config["dataset"],
        "encoder": f"{Path(str(config['plm'])).name}, {depth} layers",
        "machine": f"{machine}, {choose_precision(config['precision'], device)}",
        "versions": f"recbole_tinynews {__version__}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, Python {platform.python_version()}",
    }


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.benchmark",
        description="Rerun a table or a figure of the Tiny-NewsRec paper on any dataset, and write a report. Finished "
        "runs are not repeated, whatever stopped the command.",
        epilog="Any setting of the runs is given as --key=value, as to run_recbole.py: --plm=FOLDER, --use_gpu=False.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="e.g. properties/paper/table2.yaml")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="a folder NAME in data_path")
    parser.add_argument("--plm", metavar="FOLDER", help="pre-trained encoder, a folder or a hub name")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each row, with rising seeds")
    parser.add_argument("--depths", type=int, nargs="+", default=[], help="layers of the students; else the plan's")
    parser.add_argument("--config_files", metavar='"A B"', default="", help="yaml files with settings of all runs")
    parser.add_argument("--output", type=Path, help="folder of the report and the runs (saved/benchmark/NAME)")
    given, settings = parser.parse_known_args(arguments)
    if given.plm:
        settings.append(f"--plm={given.plm}")
    output = given.output or Path("saved/benchmark") / given.dataset
    report = benchmark(
        given.plan, given.dataset, output, given.repeats, given.depths, given.config_files.split(), settings
    )
    print(f"\n{report.read_text(encoding='utf-8')}\nreport: {report.with_suffix('.html')}")


if __name__ == "__main__":
    sys.exit(main())
