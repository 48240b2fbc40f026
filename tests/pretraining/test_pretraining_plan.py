"""What `habits plan` bills for pretraining documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from habits.artifacts import write_parquet
from habits.cli import PRESETS
from habits.llm.plan import Errand
from habits.params import validate
from habits.pretraining.planning import document_errands


def errands(drop: str = "", cascade: Path = Path("nowhere"), **changes: dict[str, Any]) -> list[Errand]:
    raw = yaml.safe_load((PRESETS / "paper.yaml").read_text())
    for section, values in changes.items():
        raw[section] |= values
    raw["matrix"] = [line for line in raw["matrix"] if not drop or drop not in line["priming"]]
    return document_errands(validate(raw), Path("nowhere"), cascade)


def test_what_programs_do_or_no_run_needs_costs_nothing() -> None:
    assert errands(rewriting={"rewriter": "symbolic"}) == []
    assert errands(drop="pretraining", rewriting={"rewriter": "claude"}) == []


def test_documents_are_rewritten_until_both_sets_are_full() -> None:
    asked = errands(rewriting={"rewriter": "claude"})
    assert [e.subject for e in asked] == ["pretraining_curated", "pretraining_negative"]
    assert {(e.rule, e.model) for e in asked} == {("rewriting", "claude")}
    assert all(e.calls * e.reply_tokens == pytest.approx(1.5 * 8.3e6, rel=0.01) for e in asked)


@pytest.mark.parametrize(("calls", "each"), [("joint", 1), ("separate", 5)])
def test_every_document_is_labelled(calls: str, each: int) -> None:
    asked = errands(drop="pretraining", labelling={"labeller": "gpt-4o-mini", "calls": calls})
    assert [(e.rule, e.subject) for e in asked] == [("labels", "openwebmath"), ("labels", "finemath")]
    assert [e.calls for e in asked] == [200_000 * each] * 2


def test_the_cascade_is_billed_for_what_it_leaves_open_once_that_is_known(tmp_path: Path) -> None:
    labelling = {"labeller": "gpt-4o-mini", "cascade": True}
    before = errands(drop="pretraining", cascade=tmp_path, labelling=labelling)
    assert [e.calls for e in before] == [200_000] * 2
    known = {"strategy": "cascade", "measure": "asked", "value": 0.1}
    rows = [known | {"corpus": "openwebmath"}, known | {"corpus": "finemath", "value": 1.0}]
    write_parquet(pd.DataFrame(rows), tmp_path / "held_out.parquet")
    after = errands(drop="pretraining", cascade=tmp_path, labelling=labelling)
    assert [e.calls for e in after] == [20_000 + 8_000, 200_000]
