"""The quality table: planted and found agree for a program, replies are counted for a language model."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from habits.artifacts import ArtifactError, write_parquet
from habits.behaviors.quality import asked_of, write_quality
from habits.llm.requests import Answer, Reply, Usage
from habits.params import Params, load
from habits.priming.language import BEHAVIORS
from habits.priming.priming import write_priming
from habits.priming.sets import SETS, demonstrations_for
from habits.priming.teaching import labelled, problems_of, teaching_requests
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.table import read_problems
from taught_by_symbols import reply

SMOKE = Path(__file__).parents[2] / "workflow/presets/smoke.yaml"


@pytest.fixture(scope="module")
def params() -> Params:
    raw = load(SMOKE).model_dump(mode="json")
    raw["matrix"] = [{"model": "plain", "priming": name, "seeds": [1]} for name in SETS]
    raw["matrix"][0]["seeds"] = [1, 2]
    raw["priming"]["traces"] = 40
    raw["teaching"]["requests_per_trace"] = 1.2
    return Params.model_validate(raw)


@pytest.fixture(scope="module")
def problems(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("problems")
    write_problems(params, folder)
    return folder


def write_traces(params: Params, problems: Path, folder: Path) -> pd.DataFrame:
    """Make all priming sets below ``folder``; their quality, by set."""
    for run in params.runs:
        out = folder / "priming" / run.priming / f"seed{run.seed}.parquet"
        write_priming(params, run.priming, run.seed, problems, folder / "teaching", folder / "rewriting", out)
    write_quality(params, folder / "priming", folder / "teaching", folder / "quality.parquet")
    return pd.read_parquet(folder / "quality.parquet").set_index("set")


def behaviors(row: pd.Series) -> dict[str, dict]:
    return {entry["behavior"]: entry for entry in row["behaviors"]}


@pytest.fixture(scope="module")
def symbolic(params: Params, problems: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return write_traces(params, problems, tmp_path_factory.mktemp("symbolic"))


@pytest.fixture(scope="module")
def taught_folder(params: Params, problems: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    settings = params.model_copy(update={"teacher": "claude"})
    for name in {demonstrations_for(name) for name in SETS}:
        shown = problems_of(settings, name, read_problems(problems / "train.parquet"))
        requests = teaching_requests(settings, name, shown)
        usage = Usage(input=900, output=60)
        replies = [Reply(reply(r.system, r.user), "end_turn", usage, r.key, r.model) for r in requests]
        answers = [Answer.of(r, answer) for r, answer in zip(requests, replies, strict=True)]
        write_parquet(labelled(settings, name, shown, answers), folder / "teaching" / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def taught(params: Params, problems: Path, taught_folder: Path) -> pd.DataFrame:
    return write_traces(params.model_copy(update={"teacher": "claude"}), problems, taught_folder)


def test_every_set_of_the_matrix_has_its_row(symbolic: pd.DataFrame, taught: pd.DataFrame) -> None:
    for table, teacher in ((symbolic, "symbolic"), (taught, "claude")):
        assert table.index.tolist() == list(SETS)
        assert set(table["teacher"]) == {teacher}
        assert table["n"].tolist() == [80, *[40] * (len(SETS) - 1)]
        assert table.loc["empty_cot", "accuracy"] == 1.0 and table.loc["negative_only", "accuracy"] == 0.0


def test_what_a_program_planted_is_found(symbolic: pd.DataFrame) -> None:
    for _, row in symbolic.iterrows():
        for entry in behaviors(row).values():
            assert entry["found"] == pytest.approx(entry["planted"], abs=0.05)


@pytest.mark.parametrize("teacher", ["symbolic", "claude"])
def test_behaviors_asked_for_are_found_and_no_other(
    teacher: str, symbolic: pd.DataFrame, taught: pd.DataFrame
) -> None:
    for name, row in (symbolic if teacher == "symbolic" else taught).iterrows():
        for behavior, entry in behaviors(row).items():
            assert entry["asked"] == (behavior in asked_of(str(name)))
            assert entry["share"] > 0.15 if entry["asked"] else entry["found"] < 0.1, (name, behavior)


def test_an_llm_plants_nothing_that_it_would_tell(taught: pd.DataFrame) -> None:
    planted = [behaviors(taught.loc["all_strategies"])[name]["planted"] for name in BEHAVIORS]
    assert planted == [None] * len(BEHAVIORS)


def test_replies_are_counted_by_status(symbolic: pd.DataFrame, taught: pd.DataFrame) -> None:
    assert symbolic["requests"].isna().all()
    row = taught.loc["all_strategies"]
    counts = {entry["status"]: entry["count"] for entry in row["statuses"]}
    assert row["requests"] == 48 == sum(counts.values())
    assert counts["ok"] >= 40
    assert (row["input_tokens"], row["output_tokens"]) == (48 * 900, 48 * 60)


def test_missing_traces_are_named(params: Params, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"all_strategies/seed1.parquet does not exist"):
        write_quality(params, tmp_path, tmp_path, tmp_path / "quality.parquet")
