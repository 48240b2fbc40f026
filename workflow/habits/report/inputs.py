"""Where the report's inputs stand; checked all at once before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from habits.artifacts import ArtifactError, read_parquet
from habits.figures import FIGURES, available_figures
from habits.params import Params, RunId
from habits.priming.sets import REWRITTEN, SYMBOLIC, demonstrations_for

SPLITS = ("train", "validation", "test")
SHOWN_MISSING = 8


@dataclass(frozen=True)
class PrimingFile:
    """One priming set of the matrix: its name, its seed, its file."""

    priming: str
    seed: int
    path: Path


@dataclass(frozen=True)
class Inputs:
    """The artifacts that a report is written from.

    Attributes:
        params: the settings in effect for Countdown; their matrix says which runs must be there.
        results: the results folder.
        data: the data folder.
        everything: the settings in effect as a whole; the same unless runs have other tasks too.
    """

    params: Params
    results: Path
    data: Path
    everything: Params | None = None

    @property
    def whole(self) -> Params:
        """The settings with the runs of all tasks."""
        return self.everything or self.params

    @property
    def runs(self) -> list[RunId]:
        """All runs of the matrix, in its order."""
        return list(self.params.runs)

    @property
    def models(self) -> list[str]:
        """The base models of the matrix, sorted."""
        return sorted({run.model for run in self.runs})

    @property
    def claims(self) -> Path:
        """The decided claims."""
        return self.results / "claims" / "claims.json"

    @property
    def analyses(self) -> Path:
        """Tables of response length, scripts and words."""
        return self.results / "analyses"

    @property
    def figures(self) -> list[Path]:
        """The figures that the matrix can fill, in the order of the figures' registry."""
        return [self.results / "figures" / f"{name}.svg" for name in available_figures(self.whole)]

    @property
    def tables(self) -> list[Path]:
        """The folders of tables behind claims, analyses and figures, the judge's calibration aside."""
        of_figures = (FIGURES[figure.stem].tables for figure in self.figures)
        names = dict.fromkeys(("statistics", "analyses", *of_figures))
        return [self.results / name for name in names if name != "calibration"]

    @property
    def priming(self) -> list[PrimingFile]:
        """The priming sets that the matrix uses, in its order, each once."""
        folder = self.data / "priming"
        pairs = {(run.priming, run.seed): None for run in self.runs if run.priming != "none"}
        return [PrimingFile(name, seed, folder / name / f"seed{seed}.parquet") for name, seed in pairs]

    @property
    def demonstrations(self) -> list[Path]:
        """The demonstrations behind the priming sets; none with the symbolic teacher."""
        if self.params.teacher == SYMBOLIC:
            return []
        taught = {item.priming for item in self.priming} - set(REWRITTEN)
        names = sorted({demonstrations_for(priming) for priming in taught})
        return [self.data / "teaching" / f"{name}.parquet" for name in names]

    @property
    def quality(self) -> Path:
        """What the priming sets hold."""
        return self.results / "quality" / "quality.parquet"

    def rollouts(self, run: RunId) -> Path:
        """Evaluation rollouts of a run."""
        return self.results / "rollouts" / f"{run.path}.parquet"

    def behaviors(self, run: RunId) -> Path:
        """Behavior counts of a run's evaluation rollouts."""
        return self.results / "behaviors" / f"{run.path}.parquet"

    def judging(self, run: RunId) -> Path:
        """The judge's counts of a sample of a run's evaluation rollouts."""
        return self.results / "judging" / f"{run.path}.parquet"

    @property
    def calibration(self) -> Path:
        """The judge compared with the oracle and corrected."""
        return self.results / "calibration"

    @property
    def replies(self) -> Path:
        """The store of all replies of language models."""
        return self.data / "replies"

    @property
    def of_judge(self) -> list[Path]:
        """What there is only with a judge."""
        if self.params.judge == "none":
            return []
        return [*map(self.judging, self.runs), self.calibration]

    def metrics(self, run: RunId) -> Path:
        """RL metrics of a run, one row a step."""
        return self.results / "rl" / run.path / "metrics.parquet"

    def timing(self, run: RunId) -> Path:
        """Wall time of every RL step of a run."""
        return self.results / "rl" / run.path / "timing.parquet"

    def training_rollouts(self, run: RunId) -> Path:
        """Rollouts that RL trained on."""
        return self.results / "rl" / run.path / "rollouts.parquet"

    def problems(self, split: str) -> Path:
        """Problems of a split."""
        return self.data / "problems" / "countdown" / f"{split}.parquet"

    def sft(self, priming: str, seed: int) -> list[Path]:
        """Folders of the models that were primed with one priming set."""
        primed = [run for run in self.runs if (run.priming, run.seed) == (priming, seed)]
        models = dict.fromkeys(run.model for run in primed)
        return [self.results / "sft" / model / priming / f"seed{seed}" for model in models]

    def base_model(self, model: str) -> Path:
        """Folder of a base model."""
        return self.results / "base_model" / model

    @property
    def files(self) -> list[Path]:
        """Every file and folder that the report reads, statistics aside."""
        per_run = [
            path(run)
            for run in self.runs
            for path in (self.rollouts, self.behaviors, self.metrics, self.timing, self.training_rollouts)
        ]
        problems = [self.problems(split) for split in SPLITS]
        cards = [figure.with_suffix(".json") for figure in self.figures]
        return [
            self.claims,
            self.analyses,
            *self.figures,
            *cards,
            *per_run,
            *(item.path for item in self.priming),
            *self.demonstrations,
            self.quality,
            *problems,
            *map(self.base_model, self.models),
            *self.of_judge,
        ]

    def check(self, others: Iterable[Path] = ()) -> None:
        """Say what is missing of `files` and ``others``, all of it at once.

        Raises:
            ArtifactError: an input that the matrix asks for does not exist.
        """
        missing = [str(path) for path in (*self.files, *others) if not path.exists()]
        if missing:
            more = f"\n  and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
            listed = "\n  ".join(missing[:SHOWN_MISSING])
            raise ArtifactError(
                f"the report needs artifacts that do not exist:\n  {listed}{more}\n"
                "make them with `snakemake --cores all`"
            )


def read_rows(path: Path, columns: list[str]) -> pd.DataFrame:
    """A parquet file that must hold at least one row; ArtifactError otherwise."""
    frame = read_parquet(path, columns)
    if frame.empty:
        raise ArtifactError(f"{path} holds no rows; delete it and make it again with `snakemake {path}`")
    return frame
