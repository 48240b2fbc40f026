"""The generated corpus of the tiny base model of social stories.

Three kinds of documents, in shares from params:

- lists: words in random order, said twice. They teach to look up what stood behind a word before; without
  them a model of this size does not learn it in the time there is;
- facts: a question, and of some people what is said of them and what follows;
- stories: a story, a question, its options, a thought and an answer.

Thoughts are written by a *reader* who does not know what is asked: it recalls up to three sentences of the
story, mostly any, then names what follows from the last person it recalled, with the letter of that option,
or guesses. So each step of an answer is there, but nothing says which sentences a question needs, and
the answers are about as often right as chance has it. What is right is left to RL.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

from habits.models.vocabulary import BOS, EOS, PAD, phrase_pattern
from habits.params import Params
from habits.social_params import SocialModel
from habits.tasks.social_iqa.problem import LETTERS
from habits.tasks.social_iqa.prompts import TEMPLATES, spaced
from habits.tasks.social_iqa.scenes import FELT, KINDS, NAMES, OUTCOMES, QUESTIONS
from habits.tasks.social_iqa.stories import (
    Statement,
    Story,
    compose,
    feeling_words,
    option_of,
    phrases,
    random_scene,
    scene_of,
    told_of,
)
from habits.tasks.social_iqa.table import read_problems

SYMBOLS = (
    *(PAD, BOS, EOS, "story", "question", "options", "<think>", "</think>", "<answer>", "</answer>"),
    *("(A)", "(B)", "(C)", ".", "?", "so", "and"),
)
WORDS: tuple[str, ...] = (*SYMBOLS, *phrases())
LETTERS_SHOWN = tuple(f"({letter})" for letter in LETTERS)
LISTED = (3, 14)  # words of a list; of one length only, its offset is learned and no look-up
FACTS = 4  # people in a document of facts
RECALLED = (0.4, 0.3, 0.2, 0.1)  # how often a thought recalls 0, 1, 2, 3 sentences
CONCLUDES = 0.6  # share of thoughts with something to conclude from that do
_TOKEN = re.compile(phrase_pattern(WORDS))


def make_corpus(params: Params, spec: SocialModel, problems: Path) -> Corpus:
    """What a tiny base model of stories reads; ``problems`` is the parquet of the training problems."""
    return Corpus(spec, [compose(scene_of(problem.key)) for problem in read_problems(problems)])


def settings_of(params: Params) -> dict[str, object]:
    """Settings besides the model's own that decide what it reads: none."""
    return {}


class Corpus:
    """Draws documents; the same seed and position give the same document.

    Args:
        spec: shares of the document kinds.
        stories: training stories only; a document never tells an evaluation story.
    """

    words = WORDS

    def __init__(self, spec: SocialModel, stories: list[Story]) -> None:
        self.spec, self.stories = spec, stories
        self.template = TEMPLATES[spec.prompt_template]
        self.listed = WORDS[len(SYMBOLS) :] + LETTERS_SHOWN

    def row(self, rng: random.Random, tokens: int) -> list[str]:
        """Documents joined and cut to ``tokens`` words."""
        words: list[str] = []
        while len(words) < tokens:
            words += [BOS, *_TOKEN.findall(self.document(rng)), EOS]
        return words[:tokens]

    def document(self, rng: random.Random) -> str:
        """One document of a random kind."""
        kind = rng.random()
        if kind < self.spec.corpus_lists:
            return " ".join(rng.sample(self.listed, rng.randint(*LISTED)) * 2)
        if kind < self.spec.corpus_lists + self.spec.corpus_facts:
            return self.facts(rng)
        story = rng.choice(self.stories)
        return f"{self.template.render(story.problem)} {self.response(rng, story)}"

    def facts(self, rng: random.Random) -> str:
        """What is said of some people, with what follows under one question."""
        kind = rng.choice(KINDS)
        names = rng.sample(NAMES, FACTS)
        parts = [f"question {spaced(rng.choice(QUESTIONS[kind]).format(name=names[0]))}"]
        for name in names:
            fact = random_scene(rng, kind, "hard").facts[0]
            parts.append(f"{name} {told_of(rng, kind, fact)} .")
            if kind == "feel":
                event, _, outcome = fact.split("+")
                parts.append(f"{rng.choice(OUTCOMES[outcome]).format(event=event)} .")
            parts.append(f"so {option_of(rng, kind, fact)} .")
        return " ".join(parts)

    def response(self, rng: random.Random, story: Story) -> str:
        """The reader's thought about a story, and its answer."""
        recalled = self.recall(rng, story)
        words = [f"{statement.text} ." for statement in recalled]
        letter = rng.choice(LETTERS)
        option = conclusion(rng, story, recalled) if rng.random() < CONCLUDES else None
        if option in story.problem.options:
            letter = LETTERS[story.problem.options.index(option)]
            words.append(f"so {option} ({letter}) .")
        elif option:
            words.append(f"so {option} .")
        return " ".join([*words, f"</think> <answer> ({letter}) </answer>"])

    def recall(self, rng: random.Random, story: Story) -> list[Statement]:
        """Up to three sentences of a story, a share of them about the person who is asked for."""
        (count,) = rng.choices(range(len(RECALLED)), RECALLED)
        asked = [s for s in story.statements if s.person == 0]
        return [
            rng.choice(asked if rng.random() < self.spec.corpus_focus else story.statements)
            for _ in range(count)
        ]


def conclusion(rng: random.Random, story: Story, recalled: list[Statement]) -> str | None:
    """What follows for the last person that was recalled; None when none was.

    A feeling also hangs on what became of the event; where that was not recalled, the reader supposes
    something.
    """
    people = [statement.person for statement in recalled if statement.person is not None]
    if not people:
        return None
    person = people[-1]
    option = story.problem.options[story.places[person]]
    if story.scene.kind != "feel":
        return option
    event, stance, outcome = story.scene.facts[person].split("+")
    known = any(s.person is None and s.event == event for s in recalled)
    supposed = outcome if known else rng.choice(["on", "off"])
    return option if supposed == outcome else rng.choice(feeling_words(FELT[stance, supposed]))
