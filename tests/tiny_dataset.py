"""A made-up dataset with impressions, small enough to train any model in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recbole_tinynews.data.schema import IMPRESSION_HEADER, INTER_HEADER, ITEM_HEADER

USERS, NEWS, IMPRESSIONS = 12, 30, 24


def write_dataset(folder: Path, name: str = "tiny", splits: tuple[str, ...] = ("train", "valid", "test")) -> Path:
    """Write dataset ``name`` into ``folder`` (a data_path).

    News n0..n29 of three categories; users u0..u11 click six of the first 20, so that n20..n29 are in no click.
    Impressions have two to seven candidates, one of them clicked, histories of zero to seven clicks, and one user, u99,
    that no click knows. The impression "one-class" has no click.
    """
    rng = np.random.default_rng(7)
    target = folder / name
    target.mkdir(parents=True)
    _write(target / f"{name}.item", ITEM_HEADER, [(f"n{i}", f"c{i % 3}", f"s{i % 5}") for i in range(NEWS)])
    clicks = [
        (f"u{user}", f"n{item}", float(1000 + 10 * step + user))
        for user in range(USERS)
        for step, item in enumerate(rng.choice(20, size=6, replace=False))
    ]
    _write(target / f"{name}.inter", INTER_HEADER, clicks)
    for split in splits:
        rows = [_impression(rng, f"{split}-{number}", number) for number in range(IMPRESSIONS)]
        rows.append(("one-class", "u1", 2000.0, "n1 n2", "n3 n4", "0 0"))
        _write(target / f"{name}.{split}.imp", IMPRESSION_HEADER, rows)
    return target


def _impression(rng: np.random.Generator, name: str, number: int) -> tuple:
    user = "u99" if number == 5 else f"u{number % USERS}"
    history = rng.choice(20, size=number % 8, replace=False)
    shown = rng.choice(NEWS, size=2 + number % 6, replace=False)
    clicked = rng.integers(len(shown))
    return (
        name,
        user,
        2000.0 + number,
        " ".join(f"n{item}" for item in history),
        " ".join(f"n{item}" for item in shown),
        " ".join(str(int(place == clicked)) for place in range(len(shown))),
    )


def _write(path: Path, header: tuple[str, ...], rows: list[tuple]) -> None:
    lines = ["\t".join(header), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
