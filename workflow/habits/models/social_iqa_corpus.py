"""The generated corpus of the tiny base model of social stories.

Three kinds of documents, in shares from params:

- notes: a story, a question, its options, and then, in random order, of every person what is said of them and
  what follows, with the letter of that option. They teach the single steps of an answer, each often;
- maths: word problems worked out, and one attempt at a Countdown problem (half of them right), for what RL
  on stories does to maths to be measurable;
- stories: a story, a question, its options, a thought and an answer.

Thoughts about stories are written by a *reader* who does not know what is asked: it recalls up to three
sentences of the story, mostly any, then names what follows from the last person it recalled, with the letter
of that option, or guesses. So each step of an answer is there, but nothing says which sentences a question
needs, and the answers are about as often right as chance has it. What is right is left to RL.
"""

from __future__ import annotations

import random
from pathlib import Path

from habits.models.vocabulary import BOS, EOS, LARGEST_NUMBER
from habits.models.vocabulary import WORDS as COUNTDOWN_WORDS
from habits.params import Params
from habits.social_params import SocialModel
from habits.tasks import countdown
from habits.tasks.countdown.table import read_problems as read_countdown
from habits.tasks.maths import word_problems
from habits.tasks.maths.prompts import Style
from habits.tasks.social_iqa.problem import LETTERS
from habits.tasks.social_iqa.prompts import TEMPLATES, as_word, lettered
from habits.tasks.social_iqa.scenes import FELT
from habits.tasks.social_iqa.stories import (
    Statement,
    Story,
    compose,
    feeling_words,
    options,
    scene_of,
    sentences,
)
from habits.tasks.social_iqa.table import read_problems

FRAME = ("story", "question", "options", "so", "?")
SENTENCES = tuple(as_word(sentence) for sentence in sentences())
NAMED = tuple(lettered(letter, option) for letter in LETTERS for option in options())
LETTERS_SHOWN = tuple(f"({letter})" for letter in LETTERS)
WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        [
            *COUNTDOWN_WORDS,
            *word_problems.WORDS,
            *FRAME,
            *LETTERS_SHOWN,
            *SENTENCES,
            *map(as_word, options()),
            *NAMED,
        ]
    )
)
RECALLED = (0.4, 0.3, 0.2, 0.1)  # how often a thought recalls 0, 1, 2, 3 sentences
CONCLUDES = 0.6  # share of thoughts with something to conclude from that do
WORD_PROBLEMS = 0.6  # share of them in documents of maths; the others are attempts at Countdown
RIGHT_ATTEMPTS = 0.5
SHORT_COUNTDOWN = countdown.TEMPLATES["short"]


def make_corpus(params: Params, spec: SocialModel, problems: Path) -> Corpus:
    """What a tiny base model of stories reads; ``problems`` is the parquet of the training problems.

    Those of Countdown lie in the folder beside its folder.
    """
    stories = [compose(scene_of(problem.key)) for problem in read_problems(problems)]
    numbers = read_countdown(problems.parents[1] / "countdown" / problems.name)
    held_out = word_problems.sample(params.maths.word_problems, params.maths.seed)
    return Corpus(spec, stories, numbers, frozenset(problem.key for problem in held_out))


def settings_of(params: Params) -> dict[str, object]:
    """Settings besides the model's own that decide what it reads."""
    return {"word_problems": params.maths.word_problems, "seed": params.maths.seed}


class Corpus:
    """Draws documents; the same seed and position give the same document.

    Args:
        spec: shares of the document kinds.
        stories: training stories only; a document never tells an evaluation story.
        numbers: training problems of Countdown only.
        held_out: keys of the word problems that are for evaluation.
    """

    words = WORDS

    def __init__(
        self,
        spec: SocialModel,
        stories: list[Story],
        numbers: list[countdown.Problem],
        held_out: frozenset[str],
    ) -> None:
        self.spec, self.stories, self.numbers, self.held_out = spec, stories, numbers, held_out
        self.template = TEMPLATES[spec.prompt_template]
        self.shares = (
            spec.corpus_notes,
            spec.corpus_maths,
            1 - spec.corpus_notes - spec.corpus_maths,
        )

    def row(self, rng: random.Random, tokens: int) -> list[str]:
        """Documents joined and cut to ``tokens`` words."""
        words: list[str] = []
        while len(words) < tokens:
            words += [BOS, *self.document(rng).split(), EOS]
        return words[:tokens]

    def document(self, rng: random.Random) -> str:
        """One document of a random kind."""
        (write,) = rng.choices((self.notes, self.maths, self.story), self.shares)
        return write(rng)

    def story(self, rng: random.Random) -> str:
        """A story with a thought and an answer."""
        story = rng.choice(self.stories)
        return f"{self.template.render(story.problem)} {self.response(rng, story)}"

    def notes(self, rng: random.Random) -> str:
        """A story, of all its people what follows, and the option named last as the answer."""
        story = rng.choice(self.stories)
        people = [s for s in story.statements if s.person is not None]
        noted = [note(rng, story, person) for person in rng.sample(people, len(people))]
        last = next((x for x in LETTERS_SHOWN if f"so {x}_" in noted[-1]), rng.choice(LETTERS_SHOWN))
        thought = " ".join(noted)
        return f"{self.template.render(story.problem)} {thought} </think> <answer> {last} </answer>"

    def maths(self, rng: random.Random) -> str:
        """A word problem worked out, or one attempt at a Countdown problem."""
        if rng.random() < WORD_PROBLEMS:
            while (composed := word_problems.compose(rng)).key in self.held_out:
                pass
            return f"{Style().render(composed.problem)} {composed.solution}"
        problem = rng.choice(self.numbers)
        steps = random_path(rng, problem)
        if rng.random() < RIGHT_ATTEMPTS:
            found = countdown.solutions(problem, integer_only=True, max_intermediate=LARGEST_NUMBER)
            steps = list(rng.choice(found).steps)
        prompt, thought = SHORT_COUNTDOWN.render(problem), " ; ".join(step.text for step in steps)
        return f"{prompt} {thought}{SHORT_COUNTDOWN.gold_response(countdown.expression_of(steps))}"

    def response(self, rng: random.Random, story: Story) -> str:
        """The reader's thought about a story, and its answer."""
        recalled = self.recall(rng, story)
        words = [f"{as_word(statement.text)} ." for statement in recalled]
        letter = rng.choice(LETTERS)
        option = conclusion(rng, story, recalled) if rng.random() < CONCLUDES else None
        if option in story.problem.options:
            letter = LETTERS[story.problem.options.index(option)]
            words.append(f"so {lettered(letter, option)} .")
        elif option:
            words.append(f"so {as_word(option)} .")
        return " ".join([*words, f"</think> <answer> ({letter}) </answer>"])

    def recall(self, rng: random.Random, story: Story) -> list[Statement]:
        """Up to three sentences of a story, a share of them about the person who is asked for."""
        (count,) = rng.choices(range(len(RECALLED)), RECALLED)
        asked = [s for s in story.statements if s.person == 0]
        return [
            rng.choice(asked if rng.random() < self.spec.corpus_focus else story.statements)
            for _ in range(count)
        ]


def note(rng: random.Random, story: Story, told: Statement) -> str:
    """What is said of a person of a story, and of the event that it is about, and what follows."""
    outcomes = [s for s in story.statements if s.person is None and s.event and s.event == told.event]
    option = conclusion(rng, story, [told, *outcomes])
    assert option is not None
    named = as_word(option)
    if option in story.problem.options:
        named = lettered(LETTERS[story.problem.options.index(option)], option)
    return " ".join([*(f"{as_word(statement.text)} ." for statement in (told, *outcomes)), f"so {named} ."])


def random_path(rng: random.Random, problem: countdown.Problem) -> list[countdown.Step]:
    """Steps that use every number once, wherever they lead."""
    while True:
        values, steps = tuple(sorted(problem.numbers)), []
        while len(values) > 1 and (choices := countdown.moves(values, LARGEST_NUMBER)):
            move = rng.choice(choices)
            steps.append(move.step)
            values = move.rest
        if len(values) == 1:
            return steps


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
