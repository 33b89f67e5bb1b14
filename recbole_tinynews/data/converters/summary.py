"""What a conversion tells at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from recbole_tinynews.data.converters.records import Seen

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
    users: set[str] = field(default_factory=set)

    def add(self, seen: Seen) -> None:
        """Count one impression."""
        clicks = len(seen.clicked)
        self.impressions += 1
        self.users.add(seen.user)
        self.candidates += seen.shown
        self.clicks += clicks
        self.history_clicks += seen.history_length
        self.longest_history = max(self.longest_history, seen.history_length)
        self.empty_histories += not seen.history_length
        self.unlabelled += not seen.labelled
        self.without_click += seen.labelled and not clicks
        self.without_non_click += seen.labelled and clicks == seen.shown

    def cells(self) -> list[str]:
        """Return the numbers as they are printed: counts, the mean length of a history, more counts."""
        before = [self.impressions, len(self.users), self.candidates, self.clicks]
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
    inter_clicks: int = 0
    inter_users: int = 0
    notes: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        missing = ", ".join(f"{count:,} without {what}" for what, count in self.without.items() if count)
        lines = [f"{self.folder}: {self.news:,} news" + (f" ({missing})" if missing else "")]
        if self.splits:
            rows = [_HEAD] + [[split, *summary.cells()] for split, summary in self.splits.items()]
            lines += _aligned(rows)
            users = len(set().union(*(summary.users for summary in self.splits.values())))
            lines.append(f"{users:,} users; .inter: {self.inter_clicks:,} clicks of {self.inter_users:,} users")
        elif self.inter_clicks:
            lines.append(f".inter: {self.inter_clicks:,} clicks of {self.inter_users:,} users")
        lines += [f"{what}: {count:,}" for what, count in self.notes.items() if count]
        return "\n".join(lines if any(self.notes.values()) else [*lines, "nothing dropped, nothing changed"])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
