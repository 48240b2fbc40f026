"""What the report reads: missing or broken inputs fail loudly; numbers are those of the artifacts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from finished_run import finish, finished_params, stamped_folder

from habits.artifacts import ArtifactError, write_parquet, write_text
from habits.params import Params, validate
from habits.report.inputs import Inputs
from habits.report.overview import count_parameters, overview
from habits.report.priming import priming_sets, splits
from habits.report.report import write_report
from habits.report.runs import run_lines
from habits.report.settings import as_yaml, provenance
from habits.report.site import number, percent, points, probability

RUN = "plain/none/ppo/seed11"
NEEDED = [
    "results/claims/claims.json",
    "results/figures/accuracy_over_steps.json",
    f"results/rollouts/{RUN}.parquet",
    f"results/behaviors/{RUN}.parquet",
    f"results/rl/{RUN}/metrics.parquet",
    f"results/rl/{RUN}/rollouts.parquet",
    "results/base_model/plain/model.safetensors",
    "data/priming/backtracking_verification/seed12.parquet",
    "data/problems/countdown/validation.parquet",
]


@pytest.fixture
def run(tmp_path: Path) -> tuple[Params, Path]:
    """A finished run of its own, to be broken."""
    params = finished_params()
    params = validate(
        {**params.model_dump(mode="json"), "matrix": [line.model_dump() for line in params.matrix[::3]]}
    )
    finish(params, tmp_path)
    return params, tmp_path


def write(run: tuple[Params, Path]) -> None:
    params, root = run
    write_report(params, root / "results", root / "data", root / "reports")


@pytest.mark.parametrize("name", NEEDED)
def test_missing_input_is_named(run: tuple[Params, Path], name: str):
    (run[1] / name).unlink()
    with pytest.raises(ArtifactError, match=Path(name).parent.name):
        write(run)
    assert not (run[1] / "reports" / "index.html").exists()


def test_everything_missing_is_said_at_once(run: tuple[Params, Path]):
    shutil.rmtree(run[1] / "results" / "figures")
    shutil.rmtree(run[1] / "results" / "claims")
    with pytest.raises(ArtifactError, match=r"(?s)claims\.json.*accuracy_over_steps\.svg"):
        write(run)


def test_artifact_without_provenance_is_an_error(run: tuple[Params, Path]):
    (run[1] / "results" / "statistics" / "provenance.json").unlink()
    with pytest.raises(ArtifactError, match="statistics/provenance.json"):
        write(run)


def test_leftovers_of_another_matrix_stay_out(run: tuple[Params, Path]):
    params, root = run
    inputs = Inputs(params, root / "results", root / "data")
    before = (provenance(inputs), inputs.files)
    write_text("<svg/>", root / "results" / "figures" / "old.svg")
    stamped_folder(root / "results" / "rl" / "plain" / "old" / "ppo" / "seed1")
    assert (provenance(inputs), inputs.files) == before


@pytest.mark.parametrize(
    "card", ['{"title": "t", "caption": "c"}', '{"title": "t", "caption": "c", "alt": ""}']
)
def test_figure_without_alternative_text_is_an_error(run: tuple[Params, Path], card: str):
    write_text(card, run[1] / "results" / "figures" / "accuracy_over_steps.json")
    with pytest.raises(ArtifactError, match=r"accuracy_over_steps\.json.*alt"):
        write(run)


@pytest.mark.parametrize("name", [f"results/rollouts/{RUN}.parquet", f"results/behaviors/{RUN}.parquet"])
def test_empty_table_is_an_error(run: tuple[Params, Path], name: str):
    path = run[1] / name
    write_parquet(pd.read_parquet(path).iloc[:0], path)
    with pytest.raises(ArtifactError, match="no rows"):
        write(run)


def test_rollout_without_behaviors_is_an_error(run: tuple[Params, Path]):
    path = run[1] / "results" / "behaviors" / f"{RUN}.parquet"
    frame = pd.read_parquet(path)
    write_parquet(frame[frame["rollout_id"] != frame["rollout_id"].iloc[-1]], path)
    with pytest.raises(ArtifactError, match="no behaviors of rollout"):
        write(run)


def test_span_outside_its_text_is_an_error(run: tuple[Params, Path]):
    path = run[1] / "data" / "priming" / "backtracking_verification" / "seed11.parquet"
    frame = pd.read_parquet(path)
    frame["spans"] = [[{"behavior": "backtracking", "start": 0, "end": 10_000}]] * len(frame)
    write_parquet(frame, path)
    with pytest.raises(ArtifactError, match="does not fit a text"):
        write(run)


def test_claims_that_are_none_are_an_error(run: tuple[Params, Path]):
    path = run[1] / "results" / "claims" / "claims.json"
    report = json.loads(path.read_text())
    write_text(json.dumps({**report, "results": []}), path)
    with pytest.raises(ArtifactError, match="no claim"):
        write(run)


def test_settings_come_back_from_their_yaml(site):
    assert validate(yaml.safe_load(as_yaml(site.params))) == site.params


def test_run_lines_hold_the_numbers_of_the_artifacts(site):
    line = run_lines(site.inputs, site.inputs.params)[0]
    rollouts = pd.read_parquet(site.inputs.rollouts(line.run))
    last = rollouts[rollouts["rl_step"] == 40]
    assert line.step == 40 and line.accuracy == last["correct"].mean()
    assert line.problems == 12 < len(last)
    assert line.interval.low < line.accuracy < line.interval.high
    assert (line.tokens, line.seconds) == (40 * 19_200, 40 * 4.5)
    assert line.tokens_per_second == pytest.approx(19_200 / 4.5)
    assert len(line.curves[0].points(80, 22).split()) == 40


def test_overview_counts(site):
    shown = overview(site.inputs, provenance(site.inputs))
    assert (shown.runs, shown.conditions, shown.seeds) == (7, 5, [11, 12])
    rows = sum(len(pd.read_parquet(site.inputs.rollouts(run))) for run in site.inputs.whole.runs)
    assert shown.evaluation_rollouts == rows
    assert shown.sizes(site.inputs.models) == [800_000]


def test_unreadable_model_is_an_error(tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(b"not a model, whatever its name says")
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        count_parameters(tmp_path)


def test_priming_quality(site):
    (shown,) = priming_sets(site.inputs)
    assert (shown.n, shown.seeds, shown.teachers) == (40, [11, 12], ["symbolic"])
    assert shown.shares == {"correct": 0.8, "wrong_value": 0.2}
    assert {name: behavior.planted for name, behavior in shown.behaviors.items()} == {
        "verification": 1.5,
        "backtracking": 0.75,
        "subgoal_setting": 0.75,
        "backward_chaining": 0.75,
    }
    assert [name for name, behavior in shown.behaviors.items() if behavior.asked] == [
        "verification",
        "backtracking",
    ]
    assert shown.behaviors["verification"].found == 1.5
    assert shown.replies is None
    lengths = [trace.n_tokens for trace in shown.examples]
    assert len(lengths) == 3 and lengths == sorted(lengths)


def test_problem_splits(site):
    train, validation, test = splits(site.inputs)
    assert (train.n, validation.n, test.n) == (4800, 256, 256)
    assert train.needs_division == pytest.approx(0.1) and train.operands == {3: 4800}
    assert train.depth == {1: 2400, 2: 2400} and train.median_solutions == 2.5
    assert (train.target_min, train.target_max) == (10, 100)


def test_time_of_rules_counts_each_job_once(site):
    """With those that no page reads, but something that a page reads was made from."""
    jobs = {rule.rule: rule.jobs for rule in provenance(site.inputs).rules}
    assert jobs == {
        "problems": 1,
        "base_model": 2,
        "priming": 2,
        "quality": 1,
        "corpus": 1,
        "deduplication": 1,
        "labels": 1,
        "sft": 2,
        "rl": 7,
        "rollouts": 7,
        "behaviors": 6,
        "judging": 6,
        "calibration": 1,
        "statistics": 1,
        "analyses": 1,
        "pretraining_statistics": 1,
        "cascade": 1,
        "leakage": 1,
        "social_statistics": 1,
        "claims": 1,
        "figures": len(site.inputs.figures),
    }


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (percent(0.5), "50.0%"),
        (percent(float("nan")), "–"),
        (points(-0.051), "−5.1"),
        (points(0.0001), "0.0"),
        (points(-0.0001), "0.0"),
        (number(-1234.5, 1), "−1,234.5"),
        (probability(0.0004), "< 0.001"),
        (probability(0.0412), "= 0.041"),
    ],
)
def test_number_formats(shown: str, text: str):
    assert shown == text
