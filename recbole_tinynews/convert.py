"""``python -m recbole_tinynews.convert``: from raw news logs to a dataset that RecBole and this project read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_tinynews.command import command
from recbole_tinynews.data.converters.adressa import convert_adressa
from recbole_tinynews.data.converters.corpus import convert_corpus
from recbole_tinynews.data.converters.download import ARCHIVES, HOSTS, download_mind
from recbole_tinynews.data.converters.ebnerd import convert_ebnerd
from recbole_tinynews.data.converters.feeds import convert_feeds
from recbole_tinynews.data.converters.mapping import FeedsMapping
from recbole_tinynews.data.converters.mind import convert_mind
from recbole_tinynews.data.converters.summary import Summary
from recbole_tinynews.data.schema import SPLITS
from recbole_tinynews.errors import InputError

__all__ = ["main"]

_EPILOG = """examples:
  python -m recbole_tinynews.convert mind --train MINDsmall_train.zip --valid MINDsmall_dev.zip --name mind-small
  python -m recbole_tinynews.convert mind --download small --name mind-small
  python -m recbole_tinynews.convert corpus articles.tsv.gz --name articles
  python -m recbole_tinynews.convert feeds --news news.csv --behaviors log.csv --columns my.yaml --name mylog
Then: python run_recbole.py --model=TinyNewsRec --dataset=NAME. docs/data.md describes every file."""


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; `command` makes an exit code of it."""
    options = _parser().parse_args(arguments)
    print(options.convert(options, _folder(options)))


def _folder(options: argparse.Namespace) -> Path:
    if not options.name or Path(options.name).name != options.name or options.name.startswith("."):
        raise InputError(f"--name {options.name!r}: expected a plain name such as mind-small, without slashes")
    return options.output / options.name


def _splits(options: argparse.Namespace) -> dict[str, Any]:
    """What was given for each split."""
    return {split: place for split in SPLITS if (place := getattr(options, split))}


def _mind(options: argparse.Namespace, folder: Path) -> Summary:
    splits = _splits(options)
    if options.download:
        if options.train or options.valid:
            raise InputError("give either --download, or --train and --valid")
        hosts = [options.host.rstrip("/") + "/"] if options.host else HOSTS
        splits = download_mind(options.download, folder / "raw", hosts) | splits
    elif not (options.train and options.valid):
        raise InputError("give --train and --valid, or --download small or large")
    return convert_mind(folder, splits, options.bodies, options.skip_bad)


def _corpus(options: argparse.Namespace, folder: Path) -> Summary:
    return convert_corpus(folder, options.files, options.prefix, options.skip_bad)


def _feeds(options: argparse.Namespace, folder: Path) -> Summary:
    logs = ({"": options.behaviors} if options.behaviors else {}) | _splits(options)
    if ("" in logs and len(logs) > 1) or not ("" in logs or "train" in logs):
        raise InputError("give either --behaviors, or --train and perhaps --valid and --test")
    return convert_feeds(folder, options.news, logs, FeedsMapping.load(options.columns), options.skip_bad)


def _ebnerd(options: argparse.Namespace, folder: Path) -> Summary:
    return convert_ebnerd(folder, options.bundle, options.test, options.skip_bad)


def _adressa(options: argparse.Namespace, folder: Path) -> Summary:
    return convert_adressa(folder, options.places, options.content, options.skip_bad)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m recbole_tinynews.convert",
        description="Make a dataset that RecBole and this project read from raw news logs or texts.",
        epilog=_EPILOG,
        formatter_class=plain,
    )
    sources = parser.add_subparsers(title="sources", required=True, metavar="SOURCE")
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--name", required=True, help="name of the dataset, as in run_recbole.py --dataset=NAME")
    output.add_argument(
        "--output",
        type=Path,
        default=Path("dataset"),
        help="folder of all datasets, where the new one becomes a folder (default: dataset)",
    )
    output.add_argument(
        "--skip-bad", action="store_true", help="leave bad rows out and count them, instead of stopping at the first"
    )

    mind = sources.add_parser(
        "mind",
        parents=[output],
        help="the MIND dataset as Microsoft publishes it",
        description="Convert MIND. Each split is the folder or zip that holds news.tsv and behaviors.tsv "
        "(in a folder also as .gz, .zst or .xz). Without --test the valid split also serves as test split.",
    )
    mind.add_argument(
        "--download",
        choices=list(ARCHIVES),
        help="fetch the published archives of train and valid into the dataset's folder raw, instead of --train and "
        "--valid; mind their licence (https://msnews.github.io)",
    )
    mind.add_argument(
        "--host", metavar="URL", help="address of a folder with the archives, instead of the published one"
    )
    mind.add_argument("--train", type=Path, metavar="DIR|ZIP", help="e.g. MINDsmall_train.zip")
    mind.add_argument("--valid", type=Path, metavar="DIR|ZIP", help="e.g. MINDsmall_dev.zip")
    mind.add_argument("--test", type=Path, metavar="DIR|ZIP", help="e.g. MINDlarge_test.zip; may lack labels")
    mind.add_argument(
        "--bodies",
        type=Path,
        metavar="FILE",
        help="bodies of the news, which MIND does not have: a table without header (.tsv, .csv, also .gz, .zst or .xz) "
        "with the 2 columns id, body or the 4 columns id, category, title, body (only id and body are used)",
    )
    mind.set_defaults(convert=_mind)

    corpus = sources.add_parser(
        "corpus",
        parents=[output],
        help="titles with bodies, for post-training only",
        description="Convert tables of news without header (.tsv, .csv, also .gz, .zst, .xz) with the columns id, "
        "category, title, body. Rows without title or body are left out and counted.",
    )
    corpus.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a table")
    corpus.add_argument(
        "--prefix", action="store_true", help="put each file's name in front of its ids, if the files share ids"
    )
    corpus.set_defaults(convert=_corpus)

    ebnerd = sources.add_parser(
        "ebnerd",
        parents=[output],
        help="the Ekstra Bladet News Recommendation Dataset",
        description="Convert EB-NeRD's Parquet files. Unpack the zips first.",
    )
    ebnerd.add_argument(
        "bundle", type=Path, metavar="DIR", help="e.g. ebnerd_small, with articles.parquet, train and validation"
    )
    ebnerd.add_argument("--test", type=Path, metavar="DIR", help="e.g. ebnerd_testset, with articles.parquet and test")
    ebnerd.set_defaults(convert=_ebnerd)

    adressa = sources.add_parser(
        "adressa",
        parents=[output],
        help="the Adressa news dataset",
        description="Convert Adressa's events. They tell what was read but not what was shown: the dataset has no "
        "impressions, so negatives are RecBole's, and so is the evaluation.",
    )
    adressa.add_argument(
        "places", nargs="+", type=Path, metavar="FILE|DIR", help="JSON lines, or a folder of such files"
    )
    adressa.add_argument("--content", type=Path, metavar="DIR", help="folder of the articles' JSON files, with bodies")
    adressa.set_defaults(convert=_adressa)

    feeds = sources.add_parser(
        "feeds",
        parents=[output],
        help="any other impression log, by a yaml that names its columns",
        description="Convert an impression log: CSV, TSV, JSON Lines or Parquet files, text also .gz, .zst or .xz. "
        "Give one log that the yaml splits (--behaviors), or the files of each split (--train, --valid, --test).",
    )
    feeds.add_argument("--news", required=True, nargs="+", type=Path, metavar="FILE", help="tables of news")
    feeds.add_argument(
        "--columns", required=True, type=Path, metavar="YAML", help="a copy of properties/dataset/feeds.yaml"
    )
    for name, what in {
        "behaviors": "the log, to be split as the yaml says: by default the last week for test and a random fifth of "
        "the rest for validation",
        "train": "impressions to train on",
        "valid": "impressions that choose the best epoch; without it the yaml says which of --train",
        "test": "impressions to be judged by; may lack labels",
    }.items():
        feeds.add_argument(f"--{name}", nargs="+", type=Path, metavar="FILE", help=what)
    feeds.set_defaults(convert=_feeds)
    return parser


if __name__ == "__main__":
    sys.exit(main())
