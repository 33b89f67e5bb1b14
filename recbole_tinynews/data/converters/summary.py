"""What a conversion tells at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from tabulate import tabulate

from recbole_tinynews.data.converters.records import Impressions

__all__ = ["SplitSummary", "Summary"]

_HEAD = ["split", "rows", "users", "candidates", "clicks", "history", "longest"]
_HEAD += ["empty", "no-click", "all-clicked", "no-labels"]


@dataclass
class SplitSummary:
    """Counts of one split."""

    impressions: int = 0
    candidates: int = 0
    clicks: int = 0
    history_clicks: int = 0
    longest_history: int = 0
    empty_histories: int = 0
    unlabelled: int = 0
    without_click: int = 0
    without_non_click: int = 0
    seen: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def add(self, batch: Impressions, users: np.ndarray) -> None:
        """Count some impressions; ``users`` are numbers of their users."""
        shown, history, labelled = batch.candidates.lengths, batch.history.lengths, batch.labelled
        clicks = np.diff(np.concatenate([[0], np.cumsum(batch.labels == 1)])[batch.candidates.offsets])
        self.impressions += len(batch)
        self.seen = np.pad(self.seen, (0, max(0, int(users.max(initial=-1)) + 1 - len(self.seen))))
        self.seen[users] = True
        self.candidates += int(shown.sum())
        self.clicks += int(clicks.sum())
        self.history_clicks += int(history.sum())
        self.longest_history = max(self.longest_history, int(history.max(initial=0)))
        self.empty_histories += int(np.count_nonzero(history == 0))
        self.unlabelled += int(np.count_nonzero(~labelled))
        self.without_click += int(np.count_nonzero(labelled & (clicks == 0)))
        self.without_non_click += int(np.count_nonzero(labelled & (clicks == shown)))

    def cells(self) -> list[str]:
        """Return the numbers as they are printed: counts, the mean length of a history, more counts."""
        before = [self.impressions, np.count_nonzero(self.seen), self.candidates, self.clicks]
        after = [self.longest_history, self.empty_histories, self.without_click, self.without_non_click]
        mean = f"{self.history_clicks / max(self.impressions, 1):.1f}"
        return [f"{n:,}" for n in before] + [mean] + [f"{n:,}" for n in (*after, self.unlabelled)]


@dataclass
class Summary:
    """Counts of a conversion; ``str`` is the text to print.

    ``notes`` counts what was left out or changed, by its reason.
    """

    folder: str
    news: int = 0
    without: Counter[str] = field(default_factory=Counter)
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    users: int = 0
    inter_clicks: int = 0
    inter_users: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        missing = ", ".join(f"{count:,} without {what}" for what, count in self.without.items() if count)
        lines = [f"{self.folder}: {self.news:,} news" + (f" ({missing})" if missing else "")]
        if self.splits:
            rows = [[split, *summary.cells()] for split, summary in self.splits.items()]
            align = ["right"] * len(_HEAD)
            lines.append(tabulate(rows, _HEAD, "plain", disable_numparse=True, colalign=align))
            lines.append(f"{self.users:,} users")
        if self.inter_users:
            lines.append(f".inter: {self.inter_clicks:,} clicks of {self.inter_users:,} users")
        lines += [f"{what}: {count:,}" for what, count in self.notes.items() if count]
        return "\n".join(lines if any(self.notes.values()) else [*lines, "nothing dropped, nothing changed"])
