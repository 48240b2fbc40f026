"""Problems as the rows of a problems parquet."""

from __future__ import annotations

import pandas as pd

from habits.tasks.countdown.arithmetic import Problem


def problems_from(frame: pd.DataFrame) -> list[Problem]:
    """The problems of a frame, numbers in the order in which the prompt names them."""
    truths = [row["ground_truth"] for row in frame["reward_model"]]
    return [Problem(tuple(int(n) for n in truth["numbers"]), int(truth["target"])) for truth in truths]
