"""Responses of any task as the analyses of their text and length need them.

Takes a rollouts frame (docs/architecture.md; the columns beyond problem_id, response and correct are
optional) and gives one row a response with the columns of `COLUMNS`. Training rollouts and evaluation
rollouts are told apart by their split and never mixed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from habits.artifacts import ArtifactError

Source = Literal["evaluation", "training", "unknown"]
NEEDED = ("problem_id", "response", "correct")
COLUMNS = (
    "source",
    "rl_step",
    "policy",
    "problem",
    "prompt",
    "thought",
    "length",
    "correct",
    "reward",
    "truncated",
)
PHASES = ("before RL", "early", "middle", "late", "unknown")
MAX_STEPS = 25  # more distinct steps are gathered into as many groups
THINK, THINK_END, ANSWER = "<think>", "</think>", "<answer>"
CountTokens = Callable[[list[str]], list[int]]


def responses(frame: pd.DataFrame, where: str, count_tokens: CountTokens | None = None) -> pd.DataFrame:
    """The rows of a rollouts frame with the columns of `COLUMNS`.

    Lengths are, in this order: tokens by ``count_tokens``; the frame's ``n_tokens`` (the model's own
    tokenizer); whitespace-separated words (see `unit_of`). ``reward``, ``truncated`` (1 or 0) and
    ``rl_step`` are NaN where the frame does not say.

    Args:
        where: the file, for messages.
        count_tokens: a tokenizer's count for each text.

    Raises:
        ArtifactError: a needed column is missing or has holes, or there is no row.
    """
    absent = [name for name in NEEDED if name not in frame or frame[name].isna().any()]
    if absent or frame.empty:
        raise ArtifactError(
            f"{where}: not rollouts: {', '.join(absent) or 'rows'} missing; needed are {', '.join(NEEDED)}"
        )
    step = _numbers(frame, "rl_step")
    seed = frame["seed"].astype(str) if "seed" in frame else ""
    texts = frame["response"].astype(str)
    return pd.DataFrame(
        {
            "source": _sources(frame),
            "rl_step": step,
            "policy": step.astype(str) + "@" + seed,
            "problem": frame["problem_id"].astype(str),
            "prompt": frame["prompt"].astype(str) if "prompt" in frame else "",
            "thought": [thought_of(text) for text in texts],
            "length": _lengths(frame, texts.tolist(), count_tokens),
            "correct": frame["correct"].astype(float),
            "reward": _numbers(frame, "reward"),
            "truncated": 1.0 - _numbers(frame, "stopped"),
        }
    ).reset_index(drop=True)


def thought_of(response: str) -> str:
    """The reasoning in a response: up to ``</think>``, else up to ``<answer>``, else all of it."""
    for end in (THINK_END, ANSWER):
        place = response.find(end)
        if place >= 0:
            response = response[:place]
            break
    start = response.find(THINK)
    return (response[start + len(THINK) :] if start >= 0 else response).strip()


def unit_of(frame: pd.DataFrame, tokenizer: str | None = None) -> str:
    """In what `responses` measures the lengths of this frame."""
    if tokenizer:
        return f"tokens ({tokenizer})"
    return "tokens" if _has_counts(frame) else "words"


def phases(step: pd.Series) -> pd.Series:
    """The part of training that a step is in: before RL (step 0), then thirds of all steps."""
    last = step.max()
    edges = [-np.inf, 0, last / 3, 2 * last / 3, np.inf]
    if not last > 0:
        edges = [-np.inf, 0, 1, 2, np.inf]
    found = pd.cut(step, edges, labels=list(PHASES[:4]))
    return found.astype(object).where(step.notna(), "unknown")


def step_groups(step: pd.Series) -> pd.Series:
    """Steps as they are when there are at most `MAX_STEPS`, else the first step of their group; 0 stays."""
    distinct = np.sort(step.dropna().unique())
    if len(distinct) <= MAX_STEPS:
        return step
    starts = distinct[distinct > 0][:: -(-len(distinct) // MAX_STEPS)]
    starts = np.concatenate([[-np.inf, 0.0], starts])
    place = np.searchsorted(starts, step.to_numpy(dtype=float), side="right") - 1
    return pd.Series(starts[place], index=step.index).where(step.notna())


def by_step(step: pd.Series) -> list[tuple[float, NDArray[np.bool_]]]:
    """Groups of steps (see `step_groups`): the first step of each and its rows; NaN when no step is known."""
    grouped = step_groups(step).to_numpy(dtype=float)
    known = np.unique(grouped[~np.isnan(grouped)]).tolist()
    return [(first, grouped == first) for first in known] or [(np.nan, np.ones(len(grouped), dtype=bool))]


def _sources(frame: pd.DataFrame) -> pd.Series:
    if "split" not in frame:
        return pd.Series("unknown", index=frame.index)
    known = {"train": "training", "validation": "evaluation", "test": "evaluation"}
    return frame["split"].map(known).fillna("unknown")


def _numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    if column not in frame:
        return pd.Series(np.nan, index=frame.index)
    return frame[column].astype("Float64").astype(float)


def _lengths(frame: pd.DataFrame, texts: list[str], count_tokens: CountTokens | None) -> pd.Series:
    if count_tokens is not None:
        return pd.Series(count_tokens(texts), index=frame.index, dtype=float)
    if _has_counts(frame):
        return frame["n_tokens"].astype(float)
    return pd.Series([len(text.split()) for text in texts], index=frame.index, dtype=float)


def _has_counts(frame: pd.DataFrame) -> bool:
    return "n_tokens" in frame and bool(frame["n_tokens"].notna().all())
