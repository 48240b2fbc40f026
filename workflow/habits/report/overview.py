"""What was run, in numbers, for the head of the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from habits.artifacts import ArtifactError
from habits.report.inputs import Inputs
from habits.report.settings import Provenance

MAIN_FIGURE = "accuracy_over_steps"


@dataclass(frozen=True)
class Model:
    """A base model and its size in parameters."""

    name: str
    parameters: int


@dataclass(frozen=True)
class Overview:
    """What was run.

    Attributes:
        preset: the preset's name.
        models: the base models.
        conditions: how many conditions the runs belong to.
        runs: how many runs.
        seeds: the seeds in use, sorted.
        evaluation_rollouts: rollouts sampled from checkpoints.
        training_rollouts: rollouts that RL trained on.
        seconds: wall time of all jobs, added up.
    """

    preset: str
    models: list[Model]
    conditions: int
    runs: int
    seeds: list[int]
    evaluation_rollouts: int
    training_rollouts: int
    seconds: float

    def sizes(self, names: list[str]) -> list[int]:
        """The sizes in parameters that occur among the named models, ascending."""
        return sorted({model.parameters for model in self.models if model.name in names})


def overview(inputs: Inputs, provenance: Provenance) -> Overview:
    """Count what the matrix ran; ArtifactError when a file to be counted is unreadable."""
    runs = inputs.whole.runs
    return Overview(
        preset=inputs.params.preset,
        models=[
            Model(name, count_parameters(inputs.base_model(name)))
            for name in sorted({run.model for run in runs})
        ],
        conditions=len({(run.model, run.priming, run.algorithm) for run in runs}),
        runs=len(runs),
        seeds=sorted({run.seed for run in runs}),
        evaluation_rollouts=sum(_count_rows(inputs.rollouts(run)) for run in runs),
        training_rollouts=sum(_count_rows(inputs.training_rollouts(run)) for run in runs),
        seconds=provenance.seconds,
    )


def _count_rows(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            f"{path}: not a readable parquet: {error}; run `snakemake {path}` again"
        ) from None


def count_parameters(folder: Path) -> int:
    """Parameters of a Hugging Face folder, from the headers of its safetensors files alone.

    Raises:
        ArtifactError: the folder holds no readable safetensors file.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ArtifactError(f"{folder}: holds no *.safetensors; run `snakemake {folder}` again")
    return sum(_tensor_sizes(file) for file in files)


def _tensor_sizes(file: Path) -> int:
    try:
        with safe_open(file, framework="np") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except SafetensorError as error:
        raise ArtifactError(f"{file}: {error}; run `snakemake {file.parent}` again") from None
