"""All figures of one synthetic run, drawn once."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

from synthetic_judge import write_judging  # noqa: E402
from synthetic_results import Analysed, analyse, synthetic_params  # noqa: E402
from synthetic_social import write_social  # noqa: E402

from habits.analysis.analyses import write_analyses  # noqa: E402
from habits.analysis.calibration import write_calibration  # noqa: E402
from habits.figures import FIGURES, draw_figure  # noqa: E402
from habits.params import Params  # noqa: E402
from habits.priming.language import BEHAVIORS  # noqa: E402


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """Every condition of the laptop preset, analysed, judged and calibrated."""
    run = analyse(tmp_path_factory.mktemp("figures_results"), judge="gpt-4o-mini")
    write_judging(run.params, run.results)
    write_calibration(run.params, run.results, run.results / "calibration")
    write_analyses(run.params, run.results, run.results / "analyses")
    write_document_statistics(run.params, run.results / "pretraining_statistics")
    write_cascade(run.params, run.results / "cascade")
    sizes = {"train": 60, "validation": 20, "test": 60}
    everything = synthetic_params(
        social=True,
        rollouts={"problems": 48},
        statistics={"bootstrap": 200},
        social_iqa=sizes,
        judge="gpt-4o-mini",
    )
    write_social(everything.only("social_iqa"), run.results)
    return Analysed(everything, run.results)


def write_document_statistics(params: Params, out: Path) -> None:
    rows = [
        {"corpus": corpus, "domain": "all", "behavior": behavior, "metric": "share", "mean": share}
        | {"low": 0.9 * share, "high": 1.1 * share, "n_documents": 11_000}
        for corpus in params.pretraining.corpora
        for behavior, share in zip(BEHAVIORS, (0.18, 0.09, 0.06, 0.03), strict=True)
    ]
    out.mkdir()
    pd.DataFrame(rows).to_parquet(out / "shares.parquet")


def write_cascade(params: Params, out: Path) -> None:
    plans, curves = [], []
    for corpus in params.pretraining.corpora:
        for place, behavior in enumerate(BEHAVIORS):
            own = {"corpus": corpus, "behavior": behavior, "n_documents": 3000}
            plans.append(own | {"lower": 0.1, "upper": 0.6, "recall": 0.99, "precision": 0.99, "asked": 0.02})
            for asked in (0.0, 0.02, 0.1, 0.9):
                recall = min(1.0, 0.9 + 0.02 * place + asked)
                curves.append(own | {"recall": recall, "low": recall - 0.02, "high": recall, "asked": asked})
    out.mkdir()
    pd.DataFrame(plans).to_parquet(out / "plan.parquet")
    pd.DataFrame(curves).to_parquet(out / "curve.parquet")


@pytest.fixture(scope="session")
def drawn(run: Analysed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("figures")
    for name in FIGURES:
        draw_figure(run.params, name, run.results / FIGURES[name].tables, out)
    return out
