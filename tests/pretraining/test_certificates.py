"""What is measured about the data: how cheap labels can be, and what training shares with evaluation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from small_corpus import Made, settings

from habits.analysis.cascade import thresholds, write_cascade
from habits.analysis.leakage import write_leakage
from habits.params import Params
from habits.pretraining.corpus import write_shard
from habits.pretraining.deduplication import write_duplicates
from habits.pretraining.rewriting import write_rewriting
from habits.priming.priming import write_priming
from habits.priming.traces import SCHEMA


def test_the_cascade_asks_a_fifth_at_most_for_a_point_of_f1_at_most(tmp_path: Path) -> None:
    """On documents that took no part in the plan; the planted truth plays the language model."""
    corpora = {"embedded": {"source": "generator", "documents": 6000, "seed": 6}}
    params = settings(
        pretraining={"corpora": corpora, "shard_documents": 6000},
        cascade={"sample": 2800, "target_recall": 0.99, "target_precision": 0.99},
    )
    write_shard(params, "embedded", 0, tmp_path / "corpus/embedded/shard0000.parquet")
    write_duplicates(params, "embedded", tmp_path / "corpus", tmp_path / "deduplication/embedded.parquet")
    for name in ("first", "again"):
        write_cascade(params, tmp_path, tmp_path / name)
    worth = pd.read_parquet(tmp_path / "first/held_out.parquet").query("behavior == ''")
    worth = worth.set_index(["strategy", "measure"])
    assert worth.loc[("cascade", "asked"), "value"] <= 0.2
    assert worth.loc[("cascade", "f1"), "value"] >= 0.99
    assert worth.loc[("cascade", "instances"), "value"] == pytest.approx(1, abs=0.1)
    assert worth.loc[("rules", "f1"), "value"] < 0.97, "else nobody would need more than rules"
    assert (worth["low"] <= worth["value"]).all() and (worth["value"] <= worth["high"]).all()
    curve = pd.read_parquet(tmp_path / "first/curve.parquet")
    for _, rows in curve.groupby("behavior"):
        rows = rows.sort_values("asked")
        assert rows["recall"].is_monotonic_increasing and rows["recall"].iloc[-1] == 1
    for path in (tmp_path / "first").glob("*.parquet"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_thresholds_keep_the_targets_on_the_sample() -> None:
    rng = np.random.default_rng(2)
    for overlap in (0.0, 0.2, 0.6):
        present = rng.random(4000) < 0.1
        scores = np.clip(np.where(present, 0.8, 0.2) + overlap * rng.normal(size=4000), 0, 1)
        lower, upper = thresholds(settings(cascade={"target_recall": 0.95}), scores, present)
        assert lower <= upper
        assert (scores[present] >= lower).mean() >= 0.95
        asked = ((scores >= lower) & (scores < upper)).mean()
        assert asked == 0 if overlap == 0 else asked > 0


@pytest.fixture(scope="module")
def primed(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The traces of a set made from problems and of one made from documents."""
    folder, traces = made.folder, tmp_path_factory.mktemp("priming")
    rows = tmp_path_factory.mktemp("rewriting") / "rows"
    write_rewriting(made.params, folder / "corpus", folder / "labels", folder / "problems", rows)
    for priming, seed in sets_of(made.params):
        out = traces / priming / f"seed{seed}.parquet"
        write_priming(made.params, priming, seed, folder / "problems", traces, rows, out)
    return traces


def sets_of(params: Params) -> set[tuple[str, int]]:
    return {(run.priming, run.seed) for run in params.runs if run.priming != "none"}


def certificate(made: Made, primed: Path, out: Path) -> pd.DataFrame:
    write_leakage(made.params, made.folder / "problems", primed, made.folder / "corpus", out)
    return pd.read_parquet(out / "leakage.parquet")


def test_what_the_workflow_makes_leaks_nothing(made: Made, primed: Path, tmp_path: Path) -> None:
    table = certificate(made, primed, tmp_path / "out")
    assert not table["leak"].any()
    cell = table.set_index(["one", "other", "kind"])["shared"]
    assert cell["train", "backtracking_verification", "problem"] > 0, "sets stand on training problems"
    raw = [cell[split, "documents of embedded", "numbers"] for split in ("validation", "test")]
    assert sum(raw) > 0, "raw documents know no split"
    assert cell["test", "pretraining_curated", "numbers"] == 0


def test_a_planted_overlap_is_found(made: Made, primed: Path, tmp_path: Path) -> None:
    test = pq.read_table(made.folder / "problems/test.parquet").to_pylist()[3]
    truth = test["reward_model"]["ground_truth"]
    for path in primed.rglob("*.parquet"):
        frame = pd.read_parquet(path)
        if path.parts[-2] == "pretraining_curated":
            row = frame.iloc[0].to_dict()
            row |= {"numbers": truth["numbers"][::-1], "target": truth["target"], "prompt": "another one"}
            frame = pd.concat([frame, pd.DataFrame([row])], ignore_index=True)
        target = tmp_path / "priming" / path.relative_to(primed)
        target.parent.mkdir(parents=True, exist_ok=True)
        frame[SCHEMA.names].to_parquet(target)
    leaks = certificate(made, tmp_path / "priming", tmp_path / "out").query("leak")
    assert set(zip(leaks["one"], leaks["other"], leaks["kind"], leaks["shared"], strict=True)) == {
        ("test", "pretraining_curated", "numbers", 1),
        ("test", "pretraining_curated", "problem", 1),
    }
