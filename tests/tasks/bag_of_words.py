"""Readers that count words: what a model without any understanding gets on social stories."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDClassifier

from habits.tasks.social_iqa.stories import Story


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def features(story: Story, option: str, others: list[str]) -> dict[str, float]:
    """An option as a bag: its words, each with each word of context and question, and words in common."""
    problem = story.problem
    found: dict[str, float] = defaultdict(float)
    context, question, mine = words(problem.context), words(problem.question), words(option)
    for word in mine:
        found[f"option {word}"] += 1
        for other in context:
            found[f"context {other} option {word}"] += 1
        for other in question:
            found[f"question {other} option {word}"] += 1
    common = {text: len(set(words(text)) & set(context + question)) for text in (option, *others)}
    found["in common"] = common[option]
    found["most in common"] = float(common[option] == max(common.values()))
    found["words"] = len(mine)
    return found


def _rows(stories: list[Story]) -> Iterator[dict[str, float]]:
    for story in stories:
        options = list(story.problem.options)
        for option in options:
            yield features(story, option, [text for text in options if text != option])


class BagOfWords:
    """Logistic regression over hashed bags, one row an option; it answers with the likeliest option."""

    def __init__(self, train: list[Story]) -> None:
        self.hasher = FeatureHasher(2**18)
        right = [int(place == story.problem.answer) for story in train for place in range(3)]
        self.model = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0, max_iter=20, tol=None)
        self.model.fit(self.hasher.transform(_rows(train)), right)

    def accuracy(self, stories: list[Story]) -> float:
        """Share of stories that it answers right."""
        scores = self.model.decision_function(self.hasher.transform(_rows(stories))).reshape(-1, 3)
        answers = np.array([story.problem.answer for story in stories])
        return float((scores.argmax(axis=1) == answers).mean())


def most_words_in_common(story: Story) -> int:
    """The option that shares most words with the context; the first of equals."""
    context = set(words(story.problem.context))
    return int(np.argmax([len(context & set(words(option))) for option in story.problem.options]))


def own_sentence(story: Story) -> int:
    """What follows from the sentence about the asked person, whatever else the story says."""
    return story.places[0]
