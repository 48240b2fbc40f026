"""What `habits plan` bills for pretraining documents."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from habits.cli import PRESETS
from habits.params import Params, validate
from habits.pretraining.planning import pretraining_errands


def params(**changes: dict[str, Any]) -> Params:
    raw = yaml.safe_load((PRESETS / "paper.yaml").read_text())
    for section, values in changes.items():
        raw[section] |= values
    return validate(raw)


def test_programs_cost_nothing() -> None:
    assert pretraining_errands(params(rewriting={"rewriter": "symbolic"})) == []


def test_the_papers_sets_are_rewritten_by_claude() -> None:
    """2 x 8.3 million tokens and half as many again, of which four fifths can be used."""
    curated, negative = pretraining_errands(params())
    assert (curated.rule, curated.subject, negative.subject) == (
        "rewriting",
        "pretraining_curated",
        "pretraining_negative",
    )
    assert curated.calls * curated.reply_tokens == pytest.approx(1.5 * 8.3e6 / 0.8, rel=0.01)
    few = params(pretraining={"shard_documents": 100}, rewriting={"tokens": 10**12})
    assert [errand.calls for errand in pretraining_errands(few)] == [100_000, 100_000]


@pytest.mark.parametrize(("calls", "each"), [("joint", 1), ("separate", 5)])
def test_every_document_is_labelled(calls: str, each: int) -> None:
    asked = pretraining_errands(params(labelling={"labeller": "gpt-4o-mini", "calls": calls}))
    labels = [errand for errand in asked if errand.rule == "labels"]
    assert [errand.subject for errand in labels] == ["openwebmath", "finemath"]
    assert [errand.calls for errand in labels] == [200_000 * each] * 2
    assert all(len(errand.requests) == each for errand in labels)
