"""Reports of what was measured: Markdown, HTML, CSV and JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from markdown import markdown
from tabulate import tabulate

from recbole_tinynews.benchmark.plan import Plan
from recbole_tinynews.benchmark.plots import draw, draw_speed
from recbole_tinynews.benchmark.records import Measured, Speed
from recbole_tinynews.benchmark.statistics import Comparison, compare, is_better, summarise
from recbole_tinynews.evaluator import METRICS
from recbole_tinynews.files import replacing

__all__ = ["write_report", "write_speed_report"]

_NAMES = {"auc": "AUC", "mrr": "MRR", "ndcg@5": "nDCG@5", "ndcg@10": "nDCG@10"}
_SIGNIFICANT = 0.05


def write_report(plan: Plan, measured: Sequence[Measured], about: Mapping[str, str], folder: Path) -> Path:
    """Write the report of a table or a figure.

    Parameters
    ----------
    plan : Plan
        What was planned.
    measured : sequence of Measured
        Its rows; those without a finished run are named as missing.
    about : mapping
        What was measured on, in words.
    folder : Path
        Gets ``report.md``, ``report.html``, ``report.csv``, ``report.json`` and plots.

    Returns
    -------
    Path
        ``report.md``.
    """
    done = [row for row in measured if row.results]
    missing = [row.row.name for row in measured if not row.results]
    pairs = _pairs(done)
    comparisons = [compare(one, other) for one, other in pairs]
    sections = [_header(plan, about), _table(done)]
    if missing:
        sections.append(f"Not measured yet: {', '.join(missing)}.")
    if comparisons:
        sections.append(_comparison_table(comparisons))
    if plan.expected:
        sections.append(_expectations(plan, done, comparisons))
    sections.append(_run_table(done))
    numbers = [_numbers(row) for row in done]
    content = {"title": plan.title, "about": dict(about), "rows": numbers, "missing": missing,
               "comparisons": [asdict(comparison) for comparison in comparisons]}  # fmt: skip
    plots = draw(plan, done, folder) if plan.plot and done else []
    return _write(plan, sections, plots, numbers, content, folder)


def write_speed_report(plan: Plan, speeds: Sequence[Speed], about: Mapping[str, str], folder: Path) -> Path:
    """Write the report of sizes and speeds; parameters as for :func:`write_report`."""
    full = speeds[0]
    devices = list(full.news_per_second)
    rows = [
        [speed.row.name, f"{speed.parameters / 1e6:.1f} M", f"{speed.parameters / full.parameters:.0%}",
         *(f"{speed.news_per_second[device]:,.0f}" for device in devices),
         *(f"{speed.news_per_second[device] / full.news_per_second[device]:.1f}" for device in devices)]
        for speed in speeds
    ]  # fmt: skip
    head = ["system", "parameters", "of the largest", *(f"news/s, {device}" for device in devices),
            *(f"times the largest, {device}" for device in devices)]  # fmt: skip
    numbers = [{"system": speed.row.name, "depth": speed.row.depth, "parameters": speed.parameters,
                **{f"news_per_second {device}": speed.news_per_second[device] for device in devices}}
               for speed in speeds]  # fmt: skip
    text = "Titles of the dataset, all at once, without padding; the best of five passes."
    plots = draw_speed(plan, speeds, folder)
    content = {"title": plan.title, "about": dict(about), "rows": numbers}
    return _write(plan, [_header(plan, about), _grid(rows, head), text], plots, numbers, content, folder)


def _header(plan: Plan, about: Mapping[str, str]) -> str:
    return "\n".join([f"# {plan.title}", "", *(f"- {name}: {value}" for name, value in about.items())])


def _grid(rows: Sequence[Sequence[str]], head: Sequence[str], text_columns: int = 1) -> str:
    align = ["left"] * text_columns + ["right"] * (len(head) - text_columns)
    return tabulate(rows, head, tablefmt="pipe", disable_numparse=True, colalign=align)


def _table(done: Sequence[Measured]) -> str:
    """The table as papers print it; rows of a depth compete for bold."""
    rows = []
    for row in done:
        cells, rivals = [], [other for other in done if other.row.depth == row.row.depth]
        for metric in METRICS:
            summary = summarise(row, metric)
            text = _percent(summary.mean) + ("" if summary.std is None else f" ± {_percent(summary.std)}")
            text = f"**{text}**" if summary.mean == max(summarise(r, metric).mean for r in rivals) else text
            cells.append(text + ("†" if _beats_the_rest(row, done, metric) else ""))
        parameters = f"{row.results[0]['parameters'] / 1e6:.2f} M"
        rows.append([row.row.name, parameters, f"{_seconds(row):,.0f}", str(len(row.results)), *cells])
    note = (
        "In percent: mean over repeats"
        + (" ± standard deviation" if any(len(row.results) > 1 for row in done) else "")
        + ". Bold: the best of its depth. †: better than the best other system of its depth, p < .05 (paired t test "
        "over impressions). Seconds: a run alone, with all its stages."
    )
    return f"{_grid(rows, ['system', 'parameters', 'seconds', 'repeats', *_NAMES.values()])}\n\n{note}"


def _seconds(row: Measured) -> float:
    """Mean over repeats; of a run with stages that another run had finished, what these took is counted, too."""
    each = [sum(stage["seconds"] for stage in result["stages"]) or result["seconds"] for result in row.results]
    return sum(each) / len(each)


def _beats_the_rest(row: Measured, done: Sequence[Measured], metric: str) -> bool:
    rivals = [other for other in done if other.row.depth == row.row.depth and not other.row.ours]
    if not row.row.ours or not rivals:
        return False
    best = max(rivals, key=lambda rival: summarise(rival, metric).mean)
    return is_better(row, best, metric, _SIGNIFICANT)


def _pairs(done: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    """Ours with the others of the same depth, and each student of ours with the deepest system of ours."""
    deepest = max((row for row in done if row.row.ours), key=lambda row: row.row.depth or 0, default=None)
    pairs = []
    for row in done:
        if not row.row.ours:
            continue
        pairs += [(row, other) for other in done if other.row.depth == row.row.depth and not other.row.ours]
        if deepest is not None and row.row.depth != deepest.row.depth and row.row.model != deepest.row.model:
            pairs.append((row, deepest))
    return pairs


def _comparison_table(comparisons: Sequence[Comparison]) -> str:
    rows = [[result.better, result.other, *_difference(result), f"{result.p:.3g}"] for result in comparisons]
    return (
        "## Compared impression by impression\n\n"
        f"{_grid(rows, ['system', 'against', 'AUC', '95 % interval', 'p'], 2)}\n\n"
        f"Differences in points, over {comparisons[0].impressions:,} impressions; each system with its mean over "
        "repeats. Interval: bootstrap over impressions; it leaves out what other seeds would change."
    )


def _expectations(plan: Plan, done: Sequence[Measured], comparisons: Sequence[Comparison]) -> str:
    by_name = {row.row.name: row for row in done}
    known = {(result.better, result.other): result for result in comparisons}
    rows = []
    for worse, better in plan.expected:
        if worse in by_name and better in by_name:
            result = known.get((better, worse)) or compare(by_name[better], by_name[worse])
            verdict = "undecided" if result.low <= 0 <= result.high else "yes" if result.difference > 0 else "no"
            rows.append([f"{better} ≥ {worse}", *_difference(result), verdict])
    head = ["the paper reports", "AUC here", "95 % interval", "holds here"]
    return f"## Order of the systems\n\n{_grid(rows, head)}\n\nUndecided: the interval of the difference contains 0."


def _run_table(done: Sequence[Measured]) -> str:
    rows = [
        [row.row.name, str(result["seed"]), f"{result['seconds']:,.0f}",
         *(_percent(result["test_result"][metric]) for metric in METRICS)]
        for row in done for result in row.results
    ]  # fmt: skip
    return (
        f"## Runs\n\n{_grid(rows, ['system', 'seed', 'seconds', *_NAMES.values()])}\n\n"
        "Seconds do not count stages that another run had finished before."
    )


def _difference(result: Comparison) -> tuple[str, str]:
    return f"{100 * result.difference:+.2f}", f"{100 * result.low:+.2f} to {100 * result.high:+.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _numbers(row: Measured) -> dict[str, Any]:
    numbers: dict[str, Any] = {"system": row.row.name, "model": row.row.model, "depth": row.row.depth}
    numbers |= {row.row.x_label: row.row.x} if row.row.x is not None else {}
    numbers |= {"repeats": len(row.results), "parameters": row.results[0]["parameters"]}
    numbers["seconds"] = _seconds(row)
    for metric in METRICS:
        summary = summarise(row, metric)
        numbers |= {metric: summary.mean, f"{metric} std": summary.std}
    return numbers


def _write(
    plan: Plan, sections: Sequence[str], plots: Sequence[Path], numbers: Sequence[Mapping[str, Any]],
    content: Mapping[str, Any], folder: Path,
) -> Path:  # fmt: skip
    pictures = "\n\n".join(f"![{plan.title}]({plot.name})" for plot in plots if plot.suffix == ".png")
    text = "\n\n".join([sections[0], *([pictures] if pictures else []), *sections[1:]]) + "\n"
    html = markdown(text, extensions=["tables"])
    for plot in plots:
        data = base64.b64encode(plot.read_bytes()).decode()
        html = html.replace(f'src="{plot.name}"', f'src="data:image/png;base64,{data}"')
    forms = {
        "html": _PAGE.format(title=plan.title, body=html),
        "csv": pd.DataFrame(numbers).to_csv(index=False),
        "json": json.dumps(content, indent=1, ensure_ascii=False),
        "md": text,
    }
    for suffix, content_of_file in forms.items():
        with replacing(folder / f"report.{suffix}") as part:
            part.write_text(content_of_file, encoding="utf-8")
    return folder / "report.md"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 16px/1.55 system-ui, sans-serif; color: #1c2430; max-width: 62rem; margin: 3rem auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.9rem; margin-bottom: .4rem }} h2 {{ font-size: 1.25rem; margin: 2.4rem 0 .6rem }}
ul {{ list-style: none; padding: 0; color: #5a6675; font-size: .9rem }} img {{ max-width: 100% }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem }}
th {{ border-bottom: 2px solid #1c2430; padding: .35rem .7rem; white-space: nowrap }}
td {{ border-bottom: 1px solid #e3e7ec; padding: .35rem .7rem; white-space: nowrap }}
tbody tr:hover {{ background: #f5f7fa }} p {{ color: #3c4756 }}
</style></head><body>
{body}
</body></html>
"""
