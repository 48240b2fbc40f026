"""Embedded social stories: everyday scenes composed by this project, with questions like those of Social IQa.

They are not Social IQa and carry another name in ``data_source``: ``social_stories``. A scene is composed in
three levels:

- ``easy``: one person; two options follow from nothing in the story;
- ``medium``: two people; one option follows from what is said of the other one;
- ``hard``: three people; each option follows for one of them. In scenes of jobs and visits two people swap,
  so what is said of a person may hold for another; feelings follow from what a person hoped for or feared
  and from what became of it.

In a hard scene the same words, ordered otherwise, make each of the three options right: who counts words
is at chance. ``tests/tasks/bag_of_words.py`` measures it. Splits share no scene: not the same facts in the
same parts, whatever the names and wording. Reads and writes no files.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, permutations
from typing import get_args

from habits.social_params import Level, SocialIqa
from habits.tasks.social_iqa.problem import Problem
from habits.tasks.social_iqa.scenes import (
    EVENTS,
    FEELINGS,
    FELT,
    JOBS,
    KINDS,
    NAMES,
    OTHER_FEELINGS,
    OUTCOMES,
    PLANS,
    QUESTIONS,
    STANCES,
    SWAPS,
    VISITS,
    Kind,
)

PEOPLE: dict[Level, int] = {"easy": 1, "medium": 2, "hard": 3}
SPLITS = ("test", "validation", "train")
PATIENCE = 2000  # draws in a row that bring no new scene before a level counts as used up
NO_SWAP = ""


class StoriesError(ValueError):
    """The settings ask for more stories than there are; the message names the keys."""


@dataclass(frozen=True)
class Scene:
    """What a story tells and asks, without its wording.

    Args:
        kind: what is asked.
        level: easy, medium or hard.
        facts: three; the asked person's first, then those of the other people, then those that hold
            for nobody and only give options.
        swap: the two people who swap, as positions in ``facts``: ``01``, ``12`` or empty.
    """

    kind: Kind
    level: Level
    facts: tuple[str, str, str]
    swap: str = NO_SWAP

    @property
    def key(self) -> str:
        """Canonical name: ``next-hard-cake-car-tree-01``."""
        return "-".join([self.kind, self.level, *self.facts, *([self.swap] if self.swap else [])])

    @property
    def right(self) -> int:
        """Position of the fact whose option is right."""
        return 1 if self.swap == "01" else 0


@dataclass(frozen=True)
class Statement:
    """A sentence of a story without its full stop.

    Args:
        text: as it stands there.
        person: position of the person in ``Scene.facts`` whom it tells of; None for outcomes and swaps.
        event: the event that the person has a stance on, or whose outcome it tells.
    """

    text: str
    person: int | None = None
    event: str | None = None


@dataclass(frozen=True)
class Story:
    """A scene in words.

    Args:
        scene: what it tells and asks.
        problem: as a model sees it.
        statements: the sentences of its context, in their order.
        names: of the people, in the order of ``scene.facts``.
        places: position among the options of what follows from each fact.
    """

    scene: Scene
    problem: Problem
    statements: tuple[Statement, ...]
    names: tuple[str, ...]
    places: tuple[int, ...]


def sample(settings: SocialIqa) -> dict[str, list[Story]]:
    """The stories of every split, in random order; no two share a scene.

    Raises:
        StoriesError: there are not so many.
    """
    rng = random.Random(settings.seed)
    seen: set[str] = set()
    found: dict[str, list[Story]] = {}
    for split in SPLITS:
        scenes = []
        for level, count in _counts(getattr(settings, split), settings.levels).items():
            for kind, _ in zip(cycle(KINDS), range(count), strict=False):
                scenes.append(_new_scene(rng, kind, level, seen))
        rng.shuffle(scenes)
        found[split] = [compose(scene) for scene in scenes]
    return found


def scene_of(key: str) -> Scene:
    """The scene that a problem's key names (see :attr:`Scene.key`); ValueError when it names none."""
    kind, level, *rest = key.split("-")
    if kind not in KINDS or level not in PEOPLE or len(rest) not in (3, 4):
        raise ValueError(f"{key!r} is not the key of a story")
    return Scene(kind, level, (rest[0], rest[1], rest[2]), rest[3] if len(rest) > 3 else NO_SWAP)


def feeling_words(feeling: str) -> tuple[str, ...]:
    """The wordings of a feeling."""
    return FEELINGS.get(feeling, (feeling,))


def sentences() -> tuple[str, ...]:
    """All sentences that stories and questions are made of, without punctuation."""
    told = [f"{plan} {job.task}" for plan in PLANS for job in JOBS.values()]
    told += [f"{plan} see {visit.whom}" for plan in PLANS for visit in VISITS.values()]
    told += [form.format(event=event) for forms in STANCES.values() for form in forms for event in EVENTS]
    found = [f"{name} {what}" for name in NAMES for what in told]
    found += [f"{one} and {other} {how}" for one, other in permutations(NAMES, 2) for how in SWAPS.values()]
    found += [form.format(event=event) for forms in OUTCOMES.values() for form in forms for event in EVENTS]
    asked = [form.format(name=name) for forms in QUESTIONS.values() for form in forms for name in NAMES]
    return tuple(dict.fromkeys([*found, *(question.strip(" ?") for question in asked)]))


def options() -> tuple[str, ...]:
    """The texts of all options."""
    found = [text for job in JOBS.values() for text in (job.before, job.need, job.next)]
    found += [visit.why for visit in VISITS.values()] + list(OTHER_FEELINGS)
    return tuple(dict.fromkeys([*found, *(word for words in FEELINGS.values() for word in words)]))


def compose(scene: Scene) -> Story:
    """The story of a scene; the scene alone decides its names, its wording and the order of its options."""
    rng = random.Random(scene.key)
    names = rng.sample(NAMES, PEOPLE[scene.level])
    told = [
        Statement(f"{name} {told_of(rng, scene.kind, fact)}", person, _event(scene.kind, fact))
        for person, (name, fact) in enumerate(zip(names, scene.facts, strict=False))
    ]
    rng.shuffle(told)
    statements = (*told, *_outcomes(rng, scene), *_swapped(rng, scene, names))
    order = rng.sample(range(3), 3)
    texts = [option_of(rng, scene.kind, scene.facts[position]) for position in order]
    problem = Problem(
        key=scene.key,
        context=" ".join(f"{statement.text}." for statement in statements),
        question=rng.choice(QUESTIONS[scene.kind]).format(name=names[0]),
        options=(texts[0], texts[1], texts[2]),
        answer=order.index(scene.right),
    )
    return Story(scene, problem, statements, tuple(names), tuple(map(order.index, range(3))))


def option_of(rng: random.Random, kind: Kind, fact: str) -> str:
    """The text of the option that follows from a fact; feelings have two wordings."""
    match kind:
        case "why":
            return VISITS[fact].why
        case "feel":
            event, _, felt = fact.partition("+")
            stance, _, outcome = felt.partition("+")
            return rng.choice(feeling_words(FELT[stance, outcome] if felt else event))
        case "next":
            return JOBS[fact].next
        case "before":
            return JOBS[fact].before
        case _:
            return JOBS[fact].need


def _counts(total: int | None, levels: dict[Level, float]) -> dict[Level, int]:
    """How many stories of each level; the last level takes what rounding leaves."""
    assert total is not None
    counts = {level: round(total * levels.get(level, 0.0)) for level in get_args(Level)}
    last = [level for level in counts if counts[level]][-1]
    return counts | {last: counts[last] + total - sum(counts.values())}


def _new_scene(rng: random.Random, kind: Kind, level: Level, seen: set[str]) -> Scene:
    for _ in range(PATIENCE):
        scene = random_scene(rng, kind, level)
        if scene.key not in seen:
            seen.add(scene.key)
            return scene
    raise StoriesError(
        f"params.yaml: social_iqa: there are no more {level} stories that ask {kind!r}; "
        "lower train, validation or test, or the level's share in levels"
    )


def random_scene(rng: random.Random, kind: Kind, level: Level) -> Scene:
    """A random scene in canonical form: facts that play the same part are sorted."""
    facts = _feelings(rng, level) if kind == "feel" else _choose(rng, VISITS if kind == "why" else JOBS)
    swap = rng.choice(["01", "12"]) if level == "hard" and kind != "feel" else NO_SWAP
    alike = 1 if level == "easy" or swap == "12" or (level == "hard" and kind == "feel") else 3
    first, second, third = (*facts[:alike], *sorted(facts[alike:]))
    return Scene(kind, level, (first, second, third), swap)


def _choose(rng: random.Random, pool: Mapping[str, object]) -> list[str]:
    return rng.sample(list(pool), 3)


def _feelings(rng: random.Random, level: Level) -> list[str]:
    """Three facts of different feelings: ``picnic+hoped+on`` for people, a bare feeling for nobody."""
    on, off = rng.sample(EVENTS, 2)
    events = {"on": on, "off": off}
    felt = rng.sample(list(FELT), 4)
    people = PEOPLE[level]
    facts = [f"{events[outcome]}+{stance}+{outcome}" for stance, outcome in felt[:people]]
    unfelt = [FELT[stance] for stance in felt[people:]]
    return facts + rng.sample([*unfelt, *OTHER_FEELINGS], 3 - people)


def told_of(rng: random.Random, kind: Kind, fact: str) -> str:
    """What a fact says of a person."""
    if kind == "feel":
        event, stance, _ = fact.split("+")
        return rng.choice(STANCES[stance]).format(event=event)
    plan = rng.choice(PLANS)
    return f"{plan} see {VISITS[fact].whom}" if kind == "why" else f"{plan} {JOBS[fact].task}"


def _event(kind: Kind, fact: str) -> str | None:
    return fact.split("+")[0] if kind == "feel" else None


def _outcomes(rng: random.Random, scene: Scene) -> Iterator[Statement]:
    """What became of the events that people of a scene have a stance on."""
    if scene.kind != "feel":
        return
    facts = [fact.split("+") for fact in scene.facts[: PEOPLE[scene.level]]]
    outcomes = {event: outcome for event, _, outcome in facts}
    for event in rng.sample(sorted(outcomes), len(outcomes)):
        yield Statement(rng.choice(OUTCOMES[outcomes[event]]).format(event=event), event=event)


def _swapped(rng: random.Random, scene: Scene, names: list[str]) -> Iterator[Statement]:
    if scene.swap:
        one, other = rng.sample([names[int(position)] for position in scene.swap], 2)
        yield Statement(f"{one} and {other} {SWAPS['visit' if scene.kind == 'why' else 'job']}")
