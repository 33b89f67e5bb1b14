"""What happens to a row that is broken: the end, or, if the user wants it, it is left out and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from recbole_tinynews.errors import InputError

__all__ = ["Faults"]


@dataclass
class Faults:
    """Broken rows of all files of a conversion.

    Parameters
    ----------
    skip : bool
        Whether to leave them out and go on.
    """

    skip: bool = False
    count: int = 0
    first: InputError | None = field(default=None)

    def report(self, error: InputError) -> None:
        """Raise the error, or count it."""
        if not self.skip:
            raise error
        self.first = self.first or error
        self.count += 1

    def notes(self) -> Counter[str]:
        """Return a line for the summary, with its number."""
        return Counter({f"broken rows left out, the first is {self.first}": self.count} if self.count else {})
