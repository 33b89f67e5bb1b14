"""What a search leaves: the best settings, and a page about its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import yaml
from plotly.subplots import make_subplots

from recbole_tinynews.files import replacing
from recbole_tinynews.nesting import merged, nested
from recbole_tinynews.tuning.trials import Trial

__all__ = ["write_best", "write_page"]


def write_best(trial: Trial, recipe: Mapping[str, Any], metric: str, path: Path) -> None:
    """Write the best settings as a file that ``run_recbole.py --config_files`` takes as it is."""
    settings = merged(recipe["settings"], nested(trial.settings))
    content = {"model": recipe["model"], "dataset": recipe["dataset"], **settings}
    head = f"# The best of a search: trial {trial.number}, validation {metric} {trial.score:.4f}.\n"
    with replacing(path) as part:
        part.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def write_page(trials: Sequence[Trial], metric: str, title: str, path: Path) -> None:
    """Write a page that opens offline: the score of each trial in turn, and against each setting."""
    rows = pd.DataFrame([{"trial": trial.number, "score": trial.score, **trial.settings} for trial in trials])
    names = list(trials[0].settings)
    figure = make_subplots(rows=len(names) + 1, cols=1, subplot_titles=["in their order", *names])
    text = ["<br>".join(f"{name}: {value}" for name, value in trial.settings.items()) for trial in trials]
    dots = {"mode": "markers", "text": text, "marker": {"color": rows["score"], "colorscale": "Viridis", "size": 9}}
    figure.add_trace(go.Scatter(x=rows["trial"], y=rows["score"], **dots), row=1, col=1)
    best = {"mode": "lines", "line": {"color": "#888", "shape": "hv"}, "hoverinfo": "skip"}
    figure.add_trace(go.Scatter(x=rows["trial"], y=rows["score"].cummax(), **best), row=1, col=1)
    for place, name in enumerate(names, start=2):
        values = rows[name] if pd.api.types.is_numeric_dtype(rows[name]) else rows[name].astype(str)
        figure.add_trace(go.Scatter(x=values, y=rows["score"], **dots), row=place, col=1)
    figure.update_yaxes(title_text=f"validation {metric}")
    figure.update_layout(
        title=title, showlegend=False, template="plotly_white", height=320 * (len(names) + 1), width=900
    )
    with replacing(path) as part:
        figure.write_html(part, include_plotlyjs=True)
