"""What every reader yields and the writer takes: news and impressions, and what their ids and texts may hold."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["RESERVED", "Impression", "News", "Seen", "clean", "id_fault"]

# All that some reader of lines or columns takes for a line's or a column's end, and what no one can see.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_ID = re.compile(r'[^\s"\x00-\x1f\x7f-\x9f]+')
# RecBole's reader takes these for missing values (and [PAD] for itself), and would lose their rows.
RESERVED = {"[PAD]", "#N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"}
RESERVED |= {"N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"}


@dataclass
class News:
    """One news; texts may hold anything, the writer cleans them."""

    item_id: str
    category: str = ""
    subcategory: str = ""
    title: str = ""
    abstract: str = ""
    body: str = ""


@dataclass
class Impression:
    """One list of news shown to a user.

    Parameters
    ----------
    impression_id : str
        Id; if empty, the writer numbers the rows of each split.
    user_id : str
        Id.
    time : float
        Unix seconds (UTC).
    history : list of str
        Item ids clicked before, oldest first; may be empty.
    candidates : list of str
        Item ids shown, each once.
    labels : list of str
        "1" (clicked) or "0" for each candidate; empty where unknown.
    """

    impression_id: str
    user_id: str
    time: float
    history: list[str]
    candidates: list[str]
    labels: list[str] = field(default_factory=list)

    @property
    def clicked(self) -> list[str]:
        """Ids of the clicked candidates."""
        return [item for item, label in zip(self.candidates, self.labels, strict=False) if label == "1"]

    def seen(self, history: str) -> Seen:
        """What is counted of it and kept for ``.inter``; ``history`` is its history joined by blanks."""
        clicked, known = self.clicked, bool(self.labels)
        return Seen(self.user_id, self.time, history, len(self.history), clicked, len(self.candidates), known)


class Seen(NamedTuple):
    """What is counted of an impression and kept of it for ``.inter``.

    Parameters
    ----------
    user : str
        Id.
    time : float
        Unix seconds (UTC).
    history : str
        Ids clicked before, joined by blanks.
    history_length : int
        Their number.
    clicked : list of str
        Ids of the clicked candidates.
    shown : int
        Number of candidates.
    labelled : bool
        Whether it is known what was clicked.
    """

    user: str
    time: float
    history: str
    history_length: int
    clicked: list[str]
    shown: int
    labelled: bool = True


def clean(text: str) -> str:
    """Return the text as a reader sees it, in one line and one column.

    HTML entities become their characters; control characters, tabs and line breaks become spaces.
    """
    if "&" in text:
        text = _ENTITY.sub(lambda match: html.unescape(match[0]), text)
    return _CONTROL.sub(" ", text)


def id_fault(text: str) -> str | None:
    """Say why RecBole could not use this as an id, or return None if it can."""
    if not text:
        return "is empty"
    if not _ID.fullmatch(text):
        return "holds a space, a quote or a control character"
    return "is a word that RecBole's reader takes for a missing value" if text in RESERVED else None
