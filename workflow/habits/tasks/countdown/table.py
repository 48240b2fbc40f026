"""Problems as the rows of a problems parquet."""

from __future__ import annotations

from pathlib import Path

from habits.artifacts import ArtifactError, read_parquet
from habits.tasks.countdown.arithmetic import Problem


def read_problems(source: Path) -> list[Problem]:
    """The problems of a split's parquet in file order, numbers in the order in which the prompt names them.

    Raises:
        ArtifactError: the file is missing, unreadable or empty.
    """
    truths = [row["ground_truth"] for row in read_parquet(source, ["reward_model"])["reward_model"]]
    if not truths:
        raise ArtifactError(f"{source} holds no problems; make it again with `habits problems`")
    return [Problem(tuple(int(n) for n in truth["numbers"]), int(truth["target"])) for truth in truths]
