"""Every figure is written whole, the same every time, and refuses to lose a line."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from synthetic_results import Analysed

from habits import sources
from habits.analysis.published import LLAMA, QWEN
from habits.artifacts import ArtifactError
from habits.figures import FIGURES, available_figures, draw_figure
from habits.figures.style import BEHAVIOR_SETS, CONDITIONS, CONTROL_SETS, SEARCHING_BASE, themed
from habits.figures.tables import Tables, paper_series

DAMAGE = {
    "accuracy_over_steps": ("curves", "metric == 'accuracy' and priming == 'empty_cot' and rl_step == 20"),
    "behaviors_over_steps": (
        "curves",
        "metric == 'verification' and priming == 'backtracking_verification'",
    ),
    "response_length_over_steps": (
        "curves",
        "metric == 'n_tokens' and priming == 'negative_only' and rl_step == 40",
    ),
    "plain_vs_searching": ("curves", "model == 'searching' and metric == 'backtracking' and rl_step == 10"),
    "backtracking_vs_accuracy": ("final", "metric == 'accuracy' and priming == 'all_strategies'"),
    "sinking_controls": ("sinking_controls", "control == control"),
    "judge_over_steps": ("agreement", "behavior == 'verification' and rl_step == 20"),
    "judge_vs_oracle": (
        "corrected",
        "behavior == 'backtracking' and rl_step == 40 and priming == 'empty_cot'",
    ),
    "pretraining_over_steps": (
        "curves",
        "metric == 'verification' and priming == 'pretraining_curated' and rl_step == 20",
    ),
    "behaviors_in_documents": ("shares", "behavior == 'backtracking'"),
    "labelling_cost": ("plan", "corpus == corpus"),
    "social_cot_length": ("length_slopes", "condition == 'social/none/reinforce_plus_plus'"),
    "social_accuracy_over_steps": ("curves", "metric == 'n_tokens' and rl_step == rl_step.max()"),
    "cot_length": ("length_slopes", "condition == 'plain/empty_cot/ppo'"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_written_in_every_format(drawn: Path, name: str) -> None:
    root = ElementTree.parse(drawn / f"{name}.svg").getroot()
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) > 50
    assert (drawn / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert (drawn / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert (drawn / f"{name}.json.provenance.json").exists()


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_comes_with_title_caption_and_alternative_text(drawn: Path, name: str) -> None:
    words = json.loads((drawn / f"{name}.json").read_text())
    assert set(words) == {"title", "caption", "alt", "size", "points"}
    assert re.search(r"n = \d+", words["caption"])
    assert "95%" in words["caption"]
    assert len(words["alt"]) > 60


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_series_is_an_error(run: Analysed, tmp_path: Path, name: str) -> None:
    table, rows = DAMAGE[name]
    tables = tmp_path / "tables"
    shutil.copytree(run.results / FIGURES[name].tables, tables)
    frame = pd.read_parquet(tables / f"{table}.parquet")
    lost = frame.query(rows).index
    assert len(lost) > 0
    frame.drop(lost).to_parquet(tables / f"{table}.parquet")
    with pytest.raises(ArtifactError, match=f"{table}.parquet|missing for"):
        draw_figure(run.params, name, tables, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_undefined_number_is_an_error(run: Analysed, tmp_path: Path) -> None:
    shutil.copytree(run.statistics, tmp_path / "statistics")
    frame = run.table("curves")
    hit = (frame.metric == "accuracy") & (frame.priming == "none") & (frame.rl_step == 10)
    frame.assign(mean=frame["mean"].mask(hit)).to_parquet(tmp_path / "statistics" / "curves.parquet")
    with pytest.raises(ArtifactError, match="accuracy of plain/none/ppo is not complete"):
        draw_figure(run.params, "accuracy_over_steps", tmp_path / "statistics", tmp_path / "out")


def test_a_figure_is_the_same_every_time(run: Analysed, drawn: Path, tmp_path: Path) -> None:
    draw_figure(run.params, "sinking_controls", run.statistics, tmp_path)
    for kind in ("svg", "png", "pdf", "json"):
        name = f"sinking_controls.{kind}"
        assert (tmp_path / name).read_bytes() == (drawn / name).read_bytes(), kind


@pytest.mark.parametrize("name", FIGURES)
def test_a_changed_plot_reruns_itself_alone(name: str) -> None:
    plots = {sources.PACKAGE / "figures" / f"{other}.py" for other in FIGURES}
    assert sources.reached(f"figures.{name}") & plots == {sources.PACKAGE / "figures" / f"{name}.py"}


@pytest.mark.parametrize("name", FIGURES)
def test_every_point_knows_its_row(drawn: Path, run: Analysed, name: str) -> None:
    """Its table has exactly that row, and the row the number; every point lies inside the picture."""
    card = json.loads((drawn / f"{name}.json").read_text())
    assert any(point["origin"]["table"].startswith("results/") for point in card["points"])
    for point in card["points"]:
        assert 0 < point["left"] < 1 and 0 < point["top"] < 1
        table, where = point["origin"]["table"], point["origin"]["where"]
        if not table.startswith("results/"):
            continue
        frame = pd.read_parquet(run.results / table.removeprefix("results/"))
        rows = frame[(frame[list(where)] == list(where.values())).fillna(False).all(axis=1)]
        assert len(rows) == 1, (table, where)
        column = {"agreement": "value", "length_slopes": "slope", "curve": "recall"}.get(
            Path(table).stem, "mean"
        )
        scale = 100 if column == "slope" else 1
        assert point["value"] == pytest.approx(scale * rows[column].iloc[0], abs=1e-5)


def test_an_unknown_figure_is_an_error_that_lists_the_known(run: Analysed, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="'acuracy' does not exist; choose one of accuracy_over_steps"):
        draw_figure(run.params, "acuracy", run.statistics, tmp_path)


def test_a_small_matrix_offers_only_the_figures_it_can_fill(run: Analysed, tmp_path: Path) -> None:
    small = run.params.model_copy(
        update={
            "judge": "none",
            "matrix": [
                line
                for line in run.params.matrix
                if line.model == "plain" and line.priming in ("none", "empty_cot") and not line.variant
            ],
        }
    )
    assert available_figures(run.params) == list(FIGURES)
    assert available_figures(small) == [
        "accuracy_over_steps",
        "behaviors_over_steps",
        "response_length_over_steps",
        "behaviors_in_documents",
        "labelling_cost",
        "cot_length",
    ]
    with pytest.raises(ArtifactError, match="plain_vs_searching needs the plain and the searching model"):
        draw_figure(small, "plain_vs_searching", run.statistics, tmp_path)
    draw_figure(small, "accuracy_over_steps", run.statistics, tmp_path)
    assert (tmp_path / "accuracy_over_steps.svg").exists()


def test_our_series_are_those_of_the_tables(run: Analysed) -> None:
    series = Tables(run.params, run.statistics).series("plain", "negative_only", "accuracy")
    curves = run.table("curves").query("priming == 'negative_only' and metric == 'accuracy'")
    assert series.points["step"].tolist() == [0, 10, 20, 30, 40]
    assert series.points["mean"].tolist() == curves.sort_values("rl_step")["mean"].tolist()
    assert (series.n_seeds, series.n_problems) == (3, 48)


def test_published_accuracies_get_intervals_from_their_n_and_counts_get_none() -> None:
    llama = paper_series(LLAMA, "all_strategies", "accuracy", 0.95).points.set_index("step")
    assert (llama.high - llama.low)[250] == pytest.approx(2 * 1.96 * np.sqrt(0.736 * 0.264 / 1024), rel=0.02)
    qwen = paper_series(QWEN, "none", "accuracy", 0.95).points.set_index("step")
    assert (qwen.high - qwen.low)[240] > 2 * (llama.high - llama.low)[250]
    assert paper_series(LLAMA, "none", "backtracking", 0.95).points.low.isna().all()


def test_no_two_conditions_in_a_panel_look_alike() -> None:
    for group in (BEHAVIOR_SETS, CONTROL_SETS):
        looks = [CONDITIONS[name] for name in group] + [SEARCHING_BASE]
        for one, other in combinations(looks, 2):
            distance = np.linalg.norm(np.subtract(to_rgb(one.color), to_rgb(other.color)))
            assert distance > 0.2, (one.label, other.label)
            assert one.label != other.label
        assert len({look.marker for look in looks[:-1]}) == len(group)


def test_drawing_leaves_the_global_style_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with themed():
        assert matplotlib.rcParams["svg.hashsalt"] == "habits"
    assert dict(matplotlib.rcParams) == before
