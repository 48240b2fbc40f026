"""Which rollouts of a run are looked at: a seeded order, the same problems at every checkpoint and in every
run.

So that a change over RL steps is a change of the model and not of the problems. Reads and writes no files.
"""

from __future__ import annotations

import hashlib

import pandas as pd


def key(seed: int, name: str) -> str:
    """Sorting by it puts names (problems, responses) in a random order that depends on the seed alone."""
    return hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).hexdigest()


def in_order(rollouts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """``rollouts`` by RL step in random order, with their place in it as ``rank``: the first n are a sample.

    One answer to each problem comes first, then the second answers: n rollouts are of as many problems as
    can be.

    Args:
        rollouts: with the columns rollout_id, problem_id, sample_id, rl_step.
        seed: of the order of the problems.
    """
    order = rollouts.assign(key=[key(seed, problem) for problem in rollouts["problem_id"]])
    order = order.sort_values(["rl_step", "sample_id", "key", "rollout_id"], kind="stable")
    order["rank"] = order.groupby("rl_step").cumcount()
    return order.drop(columns="key")
