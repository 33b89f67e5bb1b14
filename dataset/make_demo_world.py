"""Make the demo's news world: made-up news, users and clicks in MIND's raw form.

Every news belongs to a subtopic and tells of one of its angles; angles of a subtopic share few words, but
bodies mix two of them. So titles of a subtopic often have no word in common, and only who has read the bodies
knows that they belong together. Users have tastes for subtopics, news have a quality and live a day or two.

    python dataset/make_demo_world.py            # writes dataset/demo/raw
    python -m recbole_tinynews.convert mind --train dataset/demo/raw/train --valid dataset/demo/raw/valid \\
        --test dataset/demo/raw/test --bodies dataset/demo/raw/bodies.tsv --name demo --output dataset
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

TOPICS = {
    "sports": ["rowing", "chess", "cycling", "curling"],
    "finance": ["markets", "banking", "housing", "trade"],
    "travel": ["islands", "railways", "hiking", "cities"],
    "food": ["baking", "gardens", "cheese", "kitchens"],
    "health": ["sleep", "fitness", "clinics", "vitamins"],
    "science": ["space", "oceans", "robots", "fossils"],
    "music": ["opera", "jazz", "festivals", "records"],
    "weather": ["storms", "floods", "snow", "drought"],
}
FUNCTION_WORDS = ["the", "a", "of", "in", "for", "with", "after", "on", "and", "to", "from", "as", "by", "its", "over"]
FUNCTION_WORDS += ["new", "why", "how", "this", "what"]
ONSETS = [*"bdfhlmnprstvwz", "br", "cl", "cr", "dr", "fl", "pl", "sl", "sp", "st", "th", "tr"]
ANGLES, ANGLE_WORDS, ENTITIES = 4, 9, 5
PAST_DAYS, TRAIN_DAYS = 8, 4  # then one day of validation and one of test
START = datetime(2030, 11, 2)


@dataclass
class World:
    """How many there are of everything."""

    news: int = 2000
    users: int = 800
    late_users: int = 60  # not seen in training, half of them without history
    train: int = 3800
    valid: int = 700
    test: int = 1000


@dataclass
class Subtopic:
    """What news of one subtopic are made of."""

    category: str
    name: str
    shared: list[str]  # words of the whole category
    angles: list[list[str]]
    entities: list[str]


class Words:
    """Made-up words that can be spoken, none twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.used: set[str] = set()

    def take(self, count: int) -> list[str]:
        """Return new words of two syllables, some with an ending."""
        return [self._new() for _ in range(count)]

    def _new(self) -> str:
        while True:
            word = self._syllable() + self._syllable() + str(self.rng.choice(["", "", "n", "r", "s", "t", "l"]))
            if word not in self.used:
                self.used.add(word)
                return word

    def _syllable(self) -> str:
        return str(self.rng.choice(ONSETS)) + str(self.rng.choice(list("aeiou")))


def make_subtopics(words: Words) -> list[Subtopic]:
    """Return the subtopics of all categories, each with words and names of its own."""
    first_names = [name.capitalize() for name in words.take(40)]
    subtopics = []
    for category, names in TOPICS.items():
        shared = words.take(12)
        for name in names:
            angles = [words.take(ANGLE_WORDS) for _ in range(ANGLES)]
            surnames = words.take(ENTITIES)
            entities = [f"{words.rng.choice(first_names)} {surname.capitalize()}" for surname in surnames]
            subtopics.append(Subtopic(category, name, shared, angles, entities))
    return subtopics


class Reporter:
    """Writes titles, abstracts and bodies."""

    def __init__(self, rng: np.random.Generator, subtopics: list[Subtopic], general: list[str]) -> None:
        self.rng = rng
        self.subtopics = subtopics
        self.general = general

    def write(self, topic: int) -> tuple[str, str, str, str]:
        """Return title, abstract, body and the title's entity (or "") of one news."""
        about = self.subtopics[topic]
        angle, other = (about.angles[i] for i in self.rng.permutation(ANGLES)[:2])
        entity = str(self.rng.choice(about.entities))
        title_words = self._words(about, [(angle, 0.6), (about.shared, 0.15)], int(self.rng.integers(6, 12)))
        named = self.rng.random() < 0.5
        if named:
            title_words.insert(
                int(self.rng.integers(len(title_words))), f'"{entity}"' if self.rng.random() < 0.1 else entity
            )
        abstract = self._text(about, [(angle, 0.35), (about.shared, 0.15)], int(self.rng.integers(8, 13)), entity)
        mixture = [(angle, 0.3), (other, 0.25), (about.shared, 0.1)]
        body = self._text(about, mixture, int(self.rng.integers(40, 61)), entity)
        return _sentence(title_words), abstract, body, entity if named else ""

    def _words(self, about: Subtopic, mixture: list[tuple[list[str], float]], count: int) -> list[str]:
        pools = [pool for pool, _ in mixture] + [FUNCTION_WORDS, self.general]
        shares = [share for _, share in mixture]
        shares += [(1 - sum(shares)) * 0.6, (1 - sum(shares)) * 0.4]
        return [str(self.rng.choice(pools[pool])) for pool in self.rng.choice(len(pools), count, p=shares)]

    def _text(self, about: Subtopic, mixture: list[tuple[list[str], float]], count: int, entity: str) -> str:
        words = self._words(about, mixture, count)
        words[int(self.rng.integers(3))] = entity
        for place in range(20, len(words), 20):
            words[place] = str(self.rng.choice([entity, entity.split()[1]]))
        starts = range(0, count - 4, 9)  # the last sentence has 5 to 13 words
        return " ".join(_sentence(words[a:b]) + "." for a, b in zip(starts, [*starts[1:], count], strict=True))


def _sentence(words: list[str]) -> str:
    text = " ".join(words)
    return text[0].upper() + text[1:]


class Audience:
    """Users with tastes who are shown lists of news and click."""

    def __init__(self, rng: np.random.Generator, world: World, topics: np.ndarray) -> None:
        self.rng = rng
        self.topics = topics
        days = PAST_DAYS + TRAIN_DAYS + 2
        self.born = np.sort(rng.uniform(-1, days, world.news))
        self.quality = rng.normal(size=world.news)
        # the best are kept on the site for a week
        self.life = np.where(self.quality > 1.3, 7.0, rng.uniform(0.8, 2.0, world.news))
        self.activity = 0.2 + rng.gamma(2.0, size=world.users)
        self.taste = self._tastes(world.users)
        self.clicked = np.zeros((world.users, world.news), dtype=bool)

    def _tastes(self, users: int) -> np.ndarray:
        """Liking of each subtopic in 0..1, shape (users, subtopics)."""
        per_category = len(next(iter(TOPICS.values())))
        count = len(TOPICS) * per_category
        taste = np.zeros((users, count))
        for row in taste:
            favourites = self.rng.permutation(count)[: self.rng.integers(2, 5)]
            for favourite in favourites:
                first = favourite // per_category * per_category
                row[first : first + per_category] = np.maximum(row[first : first + per_category], 0.25)
            row[favourites] = self.rng.uniform(0.7, 1.0, len(favourites))
        return taste

    def liking(self, user: int, items: np.ndarray) -> np.ndarray:
        """What the user would click by, but for chance."""
        return 6.5 * self.taste[user, self.topics[items]] + 0.9 * self.quality[items]

    def visit(self, user: int, day: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the news shown and, for each, whether it was clicked."""
        age = day - self.born
        alive = np.flatnonzero((age > 0) & (age < self.life) & ~self.clicked[user])
        # the site shows what is new and good, and more of what the user likes
        weight = np.exp(-0.4 * age[alive] + 0.4 * self.quality[alive]) * (0.3 + self.taste[user, self.topics[alive]])
        count = min(5 + self.rng.poisson(self.rng.gamma(1.5, 2.7)), 20, len(alive))
        shown = self.rng.choice(alive, count, replace=False, p=weight / weight.sum())
        wish = self.liking(user, shown) + self.rng.gumbel(size=count)
        clicks = 2 if self.rng.random() < 0.2 else 1
        clicked = wish >= np.sort(wish)[-clicks]
        self.clicked[user, shown[clicked]] = True  # nobody is shown what he has read
        return shown, clicked


@dataclass
class Visit:
    """One impression: the user saw `shown` at `day` and clicked where `clicked`."""

    user: int
    day: float
    history: list[int]
    shown: np.ndarray
    clicked: np.ndarray


def simulate(rng: np.random.Generator, world: World, audience: Audience) -> dict[str, list[Visit]]:
    """Return the visits of each split in order of time; a history ends where its split starts, as in MIND."""
    known = world.users - world.late_users
    past = np.repeat(np.arange(world.users), rng.poisson(1.8 * audience.activity))
    past = past[past < world.users - world.late_users // 2]
    end = PAST_DAYS + TRAIN_DAYS
    periods = {
        "past": (past, 0, PAST_DAYS),
        "train": (_visitors(rng, audience.activity[:known], world.train), PAST_DAYS, end),
        "valid": (_visitors(rng, audience.activity[:known], world.valid), end, end + 1),
        "test": (_visitors(rng, audience.activity, world.test), end + 1, end + 2),
    }
    visits: dict[str, list[Visit]] = {}
    clicks: list[list[int]] = [[] for _ in range(world.users)]
    for split, (users, first_day, last_day) in periods.items():
        before = [list(items) for items in clicks]
        visits[split] = []
        order = rng.permutation(users).tolist()
        days = np.sort(rng.uniform(first_day, last_day, len(users)))
        for user, day in zip(order, days, strict=True):
            shown, clicked = audience.visit(user, day)
            visits[split].append(Visit(user, float(day), before[user], shown, clicked))
            clicks[user].extend(shown[clicked].tolist())
    del visits["past"]
    return visits


def _visitors(rng: np.random.Generator, activity: np.ndarray, count: int) -> np.ndarray:
    return rng.choice(len(activity), count, p=activity / activity.sum())


def news_rows(rng: np.random.Generator, audience: Audience) -> Iterator[tuple[str, str]]:
    """Yield each news as the end of its row in news.tsv (all but the id), and its body."""
    words = Words(rng)
    subtopics = make_subtopics(words)
    reporter = Reporter(rng, subtopics, words.take(200))
    entities = {name: f"Q{100 + i}" for i, name in enumerate(e for topic in subtopics for e in topic.entities)}
    for topic in audience.topics:
        title, abstract, body, entity = reporter.write(topic)
        marks = [{"Label": entity, "Type": "P", "WikidataId": entities[entity]}] if entity else []
        abstract = abstract if rng.random() < 0.8 else ""  # MIND lacks some too
        about = subtopics[topic]
        yield "\t".join([about.category, about.name, title, abstract, "", json.dumps(marks), "[]"]), body


def make_world(folder: Path, seed: int = 2030, world: World | None = None) -> None:
    """Write ``train``, ``valid`` and ``test`` with news.tsv and behaviors.tsv, and bodies.tsv."""
    world = world or World()
    rng = np.random.default_rng(seed)
    topics = rng.integers(sum(map(len, TOPICS.values())), size=world.news)
    audience = Audience(rng, world, topics)
    visits = simulate(rng, world, audience)
    rows = list(news_rows(rng, audience))
    # ids tell nothing of the time
    news_ids = [f"N{i}" for i in rng.permutation(world.news) + 1]
    user_ids = [f"U{i}" for i in rng.permutation(world.users) + 1]
    used: set[int] = set()
    for split, log in visits.items():
        here = {i for visit in log for i in (*visit.history, *visit.shown.tolist())}
        used |= here
        _write(folder / split / "news.tsv", (f"{news_ids[i]}\t{rows[i][0]}" for i in sorted(here)))
        _write(
            folder / split / "behaviors.tsv",
            (_behavior(number, visit, news_ids, user_ids) for number, visit in enumerate(log, 1)),
        )
    _write(folder / "bodies.tsv", (f"{news_ids[i]}\t{rows[i][1]}" for i in sorted(used)))


def _behavior(number: int, visit: Visit, news_ids: list[str], user_ids: list[str]) -> str:
    moment = START + timedelta(seconds=round(visit.day * 86400))
    clock = f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S} "
    clock += "PM" if moment.hour >= 12 else "AM"
    history = " ".join(news_ids[i] for i in visit.history)
    shown = " ".join(f"{news_ids[i]}-{int(clicked)}" for i, clicked in zip(visit.shown, visit.clicked, strict=True))
    return "\t".join([str(number), user_ids[visit.user], clock, history, shown])


def _write(path: Path, lines: Iterator[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "demo" / "raw", help="folder to write")
    parser.add_argument("--seed", type=int, default=2030, help="another seed makes another world")
    options = parser.parse_args()
    make_world(options.output, options.seed)
