"""The rule: four rows a rollout, counts as the oracle's, refusal of another run's rollouts."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from habits.artifacts import ArtifactError
from habits.behaviors.behaviors import SCHEMA, count_behaviors
from habits.params import Params, ParamsError
from habits.priming.language import BEHAVIORS

RESPONSES = [
    "14 - 7 = 7 ; 7 + 3 = 10 check 21 no back 7 * 3 = 21 check 21 yes </think> <answer> 14 </answer>",
    "</think> <answer> 14 + 7 </answer>",
    "goal 7 ; 14 - 7 = 7 ; need 21 / 3 = 7",
]


def rollouts(params: Params) -> pd.DataFrame:
    run = next(iter(params.runs))
    return pd.DataFrame(
        {
            "rollout_id": [f"r{i}" for i in range(3)],
            **{name: [getattr(run, name)] * 3 for name in ("model", "priming", "algorithm", "seed")},
            "rl_step": [0, 0, 10],
            "numbers": [[14, 7, 3]] * 3,
            "target": [21] * 3,
            "response": RESPONSES,
        }
    )


def test_writes_four_rows_a_rollout_in_order(laptop: Params, tmp_path: Path) -> None:
    source, out = tmp_path / "rollouts.parquet", tmp_path / "behaviors.parquet"
    rollouts(laptop).to_parquet(source)
    run = next(iter(laptop.runs)).path
    count_behaviors(laptop, run, source, out)
    assert pq.read_schema(out).equals(SCHEMA)
    frame = pd.read_parquet(out)
    assert frame["behavior"].tolist() == [*BEHAVIORS] * 3
    assert frame["rollout_id"].tolist() == ["r0"] * 4 + ["r1"] * 4 + ["r2"] * 4
    assert frame["count"].tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert frame["rl_step"].tolist() == [0] * 8 + [10] * 4
    assert set(frame["rater"]) == {"oracle"} and set(frame["status"]) == {"ok"}
    spans = [RESPONSES[0][span["start"] : span["end"]] for span in frame["spans"][0]]
    assert spans == ["check 21 no", "check 21 yes"]
    assert (tmp_path / "behaviors.parquet.provenance.json").exists()
    first = out.read_bytes()
    count_behaviors(laptop, run, source, out)
    assert out.read_bytes() == first


def test_refuses_what_is_not_the_runs_rollouts(laptop: Params, tmp_path: Path) -> None:
    source, out = tmp_path / "rollouts.parquet", tmp_path / "behaviors.parquet"
    run = next(iter(laptop.runs)).path
    with pytest.raises(ParamsError, match="not in the matrix"):
        count_behaviors(laptop, "plain/none/ppo/seed999", source, out)
    with pytest.raises(ArtifactError, match="does not exist"):
        count_behaviors(laptop, run, source, out)
    rollouts(laptop).assign(seed=999).to_parquet(source)
    with pytest.raises(ArtifactError, match=r"column seed holds \[999\]"):
        count_behaviors(laptop, run, source, out)
    rollouts(laptop).assign(rollout_id="same").to_parquet(source)
    with pytest.raises(ArtifactError, match="not unique"):
        count_behaviors(laptop, run, source, out)
    assert not out.exists()
