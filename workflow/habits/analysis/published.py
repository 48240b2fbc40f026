"""The paper's published series, typed in with their source.

Reads ``workflow/published/cognitive_behaviors.csv`` (see the README beside it).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

from habits.artifacts import ArtifactError

PUBLISHED = Path(__file__).parents[2] / "published" / "cognitive_behaviors.csv"
LLAMA, QWEN = "Llama-3.2-3B", "Qwen2.5-3B"


@cache
def _table() -> pd.DataFrame:
    if not PUBLISHED.exists():
        raise ArtifactError(f"{PUBLISHED} is missing; restore it from git")
    table = pd.read_csv(PUBLISHED)
    if table.duplicated(["model", "condition", "step"]).any():
        raise ArtifactError(f"{PUBLISHED}: a (model, condition, step) stands there twice; keep one")
    return table


def published() -> pd.DataFrame:
    """All published points: model, condition, step, accuracy, behavior means, response_tokens, n."""
    return _table().copy()


def web_math() -> pd.DataFrame:
    """Published shares of web documents with a behavior: corpus, behavior, share, n_documents."""
    return _read("web_math")


def social_language() -> pd.DataFrame:
    """DeepEnlighten's thoughts by letters: model, thoughts, english, chinese, both (counts)."""
    return _read("deepenlighten_language")


def social_words() -> pd.DataFrame:
    """DeepEnlighten's words of reconsideration: model, word, responses with it, of how many thoughts."""
    return _read("deepenlighten_words")


def _read(name: str) -> pd.DataFrame:
    path = PUBLISHED.with_name(f"{name}.csv")
    if not path.exists():
        raise ArtifactError(f"{path} is missing; restore it from git")
    return pd.read_csv(path)


def published_series(model: str, condition: str) -> pd.DataFrame:
    """One published curve, ordered by step; ArtifactError when the file has no such curve."""
    table = _table()
    series = table[(table.model == model) & (table.condition == condition)].sort_values("step")
    if series.empty:
        raise ArtifactError(f"{PUBLISHED}: no series for {model} {condition}")
    return series.reset_index(drop=True)


def has_series(model: str, condition: str) -> bool:
    """Whether the paper published this curve."""
    table = _table()
    return bool(((table.model == model) & (table.condition == condition)).any())
