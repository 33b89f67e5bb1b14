"""Plots of the figures, as PNG and SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from recbole_tinynews.benchmark.plan import Plan
from recbole_tinynews.benchmark.records import Measured, Speed
from recbole_tinynews.benchmark.statistics import Summary, summarise
from recbole_tinynews.files import replacing

__all__ = ["draw", "draw_speed"]

# Okabe and Ito's palette, which colour-blind people can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#F0E442")
_MARKERS = "osD^vPX*"
_LEAST_SPAN = 1.0  # points of AUC


def draw(plan: Plan, done: Sequence[Measured], folder: Path) -> list[Path]:
    """Draw the AUC of the rows: lines over what is varied, or bars by depth.

    Returns
    -------
    list of Path
        The PNG and the SVG, named after the plan.
    """
    if plan.plot == "lines":
        labels = list(dict.fromkeys(row.row.x_label for row in done))
        figure, panels = _figure(len(labels), 4.6)
        for axes, label in zip(panels, labels, strict=True):
            _lines(axes, [row for row in done if row.row.x_label == label], label)
    else:
        depths = list(dict.fromkeys(row.row.depth for row in done))
        figure, (axes,) = _figure(1, max(5.5, 0.45 * len(done) + 3))
        _bars(axes, done, depths)
    return _save(figure, folder / plan.name)


def draw_speed(plan: Plan, speeds: Sequence[Speed], folder: Path) -> list[Path]:
    """Draw parameters and news per second by depth; returns as :func:`draw`."""
    devices = list(speeds[0].news_per_second)
    figure, panels = _figure(1 + len(devices), 3.8)
    names = [f"{speed.row.depth}" for speed in speeds]
    _labelled(panels[0], names, [speed.parameters / 1e6 for speed in speeds], "parameters (million)", "{:.1f}")
    for axes, device in zip(panels[1:], devices, strict=True):
        _labelled(axes, names, [s.news_per_second[device] for s in speeds], f"news per second, {device}", "{:,.0f}")
    return _save(figure, folder / plan.name)


def _figure(panels: int, width: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width * panels, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#e3e7ec", linewidth=0.8)
        panel.set_axisbelow(True)
    return figure, axes


def _lines(axes: Axes, rows: Sequence[Measured], label: str) -> None:
    names = list(dict.fromkeys((row.row.system, row.row.depth) for row in rows))
    for number, (system, depth) in enumerate(names):
        own = sorted((r for r in rows if (r.row.system, r.row.depth) == (system, depth)), key=lambda r: r.row.x or 0)
        height, error = _percents([summarise(row, "auc") for row in own])
        places = [row.row.x or 0 for row in own]
        axes.errorbar(places, height, error if any(error) else None, color=_COLOURS[number], marker=_MARKERS[number],
                      capsize=3, linewidth=1.6, label=f"{system}-{depth}")  # fmt: skip
    axes.set_xticks(sorted({row.row.x or 0 for row in rows}))
    low, high = axes.get_ylim()
    if high - low < _LEAST_SPAN:  # else chance looks like an effect
        axes.set_ylim((low + high - _LEAST_SPAN) / 2, (low + high + _LEAST_SPAN) / 2)
    axes.set_xlabel(label)
    axes.set_ylabel("AUC (%)")
    axes.legend(frameon=False, fontsize="small")


def _bars(axes: Axes, done: Sequence[Measured], depths: Sequence[int | None]) -> None:
    systems = list(dict.fromkeys(_system(row) for row in done))
    beside = {depth: [_system(row) for row in done if row.row.depth == depth] for depth in depths}
    width = 0.8 / max(map(len, beside.values()))
    tops: list[float] = []
    for number, system in enumerate(systems):
        own = [row for row in done if _system(row) == system]
        height, error = _percents([summarise(row, "auc") for row in own])
        places = [
            depths.index(depth) + (beside[depth].index(system) - (len(beside[depth]) - 1) / 2) * width
            for depth in (row.row.depth for row in own)
        ]
        style: dict[str, Any] = {"label": system, "color": _COLOURS[number % len(_COLOURS)], "edgecolor": "white"}
        style |= {"hatch": "//"} if number >= len(_COLOURS) else {}
        axes.bar(places, height, 0.92 * width, yerr=error if any(error) else None, capsize=2.5, **style)
        tops += [h + sign * e for h, e in zip(height, error, strict=True) for sign in (-1, 1)]
    margin = 0.25 * (max(tops) - min(tops)) + 0.2
    axes.set_ylim(min(tops) - margin, max(tops) + margin)  # differences are small beside the whole
    axes.set_xticks(range(len(depths)), [f"{depth} layer{'' if depth == 1 else 's'}" for depth in depths])
    axes.set_ylabel("AUC (%), axis cut off")
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def _system(row: Measured) -> str:
    return row.row.system if row.row.x is None else f"{row.row.system}, {row.row.x_label} = {row.row.x:g}"


def _labelled(axes: Axes, names: Sequence[str], values: Sequence[float], title: str, form: str) -> None:
    bars = axes.bar(names, values, 0.62, color=_COLOURS[0])
    texts = [f"{form.format(value)}\n{value / values[0]:.2g} x" for value in values]
    axes.bar_label(bars, texts, padding=2, fontsize="small")
    axes.set_xlabel("layers")
    axes.set_title(title, fontsize="medium")
    axes.margins(y=0.18)


def _percents(summaries: Sequence[Summary]) -> tuple[list[float], list[float]]:
    return [100 * one.mean for one in summaries], [100 * (one.std or 0.0) for one in summaries]


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = []
    for suffix in ("png", "svg"):
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        with replacing(paths[-1]) as part:
            figure.savefig(part, dpi=200)
    return paths
