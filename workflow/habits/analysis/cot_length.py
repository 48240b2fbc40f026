"""Is longer reasoning better? Length of responses against accuracy and reward.

Takes the rows of `habits.analysis.responses` as `analyses.analyse` has numbered them, gives two tables. Bins
show the shape; slopes say how much a hundred more tokens go with. Both are given for each phase of training,
raw (``all problems``, which mixes length with difficulty: hard problems are answered at length and wrongly)
and within problems (``same problem``: each response compared with others of the same policy to the same
problem). Truncated responses are as long as allowed and mostly wrong by construction: bins state their share,
slopes come with and without them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from habits.analysis.clustered import (
    Codes,
    Estimate,
    mean,
    repeated,
    share,
    slope,
    slope_within,
    without_effects,
)
from habits.analysis.resampling import Floats
from habits.analysis.responses import PHASES

METRICS = ("accuracy", "reward")
ALL_PROBLEMS, SAME_PROBLEM = COMPARISONS = ("all problems", "same problem")
BINS = 10
PER = 100.0  # slopes are changes per so many tokens
ALL = "all"  # phase: the whole training


def length_bins(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a (source, phase, comparison, metric, quantile bin of length).

    Columns: bin, shortest, longest, mean_length, n, n_problems, truncated (share), mean, low, high. Under
    ``same problem``, lengths and means are deviations from those of the same problem and policy, among
    problems with several responses.
    """
    found = [
        {**keys, "comparison": comparison, **row}
        for keys, part in _parts(rows)
        for comparison in COMPARISONS
        for row in _bins(part, comparison, confidence)
    ]
    return pd.DataFrame(found)


def length_slopes(rows: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row a (source, phase, comparison, metric, responses): change per 100 tokens.

    ``responses`` is "all" or "complete" (without truncated ones). Columns: slope, low, high, p, n,
    n_problems, status; status says why a slope is missing.
    """
    found = []
    for keys, part in _parts(rows):
        for responses in ("all", "complete"):
            kept = part if responses == "all" else part[part["truncated"] == 0]
            for metric in METRICS:
                for comparison, estimate in _slopes(kept, metric, confidence).items():
                    found.append(
                        {**keys, "responses": responses, "metric": metric, "comparison": comparison}
                        | _columns(estimate)
                    )
    return pd.DataFrame(found).rename(columns={"value": "slope"})


def _parts(rows: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Sources and phases with their rows; the whole training comes first."""
    for source, part in rows.groupby("source", sort=True):
        yield {"source": str(source), "phase": ALL}, part
        for phase in PHASES:
            own = part[part["phase"] == phase]
            if len(own) and len(own) < len(part):
                yield {"source": str(source), "phase": phase}, own


def _bins(part: pd.DataFrame, comparison: str, confidence: float) -> list[dict[str, object]]:
    within = comparison == SAME_PROBLEM
    if within:
        part = part[repeated(part["problem"].to_numpy())]
    if part.empty:
        return []
    problem, policy, length, truncated = (
        part[name].to_numpy() for name in ("problem", "policy", "length", "truncated")
    )
    length = without_effects(length, problem, policy) if within else length
    place = _quantile_bins(length)
    bins = [place == b for b in range(int(place.max()) + 1)]
    described = [{**_described(length[own]), "truncated": float(truncated[own].mean())} for own in bins]
    found: list[dict[str, object]] = []
    for metric in METRICS:
        values = _values(part, metric)
        if np.isnan(values).any():
            continue
        values = without_effects(values, problem, policy) if within else values
        estimator = share if metric == "accuracy" and not within else mean
        for b, own in enumerate(bins):
            estimate = estimator(values[own], problem[own], confidence)
            found.append({"metric": metric, "bin": b, **described[b], **_columns(estimate, "mean")})
    return found


def _quantile_bins(values: Floats) -> Codes:
    """Bins 0, 1, ... that hold equally many values; equal values share one, so there may be fewer."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(edges, values, side="left")
    return np.unique(place, return_inverse=True)[1].astype(np.int64)


def _described(length: Floats) -> dict[str, float]:
    return {
        "shortest": float(length.min()),
        "longest": float(length.max()),
        "mean_length": float(length.mean()),
    }


def _slopes(part: pd.DataFrame, metric: str, confidence: float) -> dict[str, Estimate]:
    part = part[part[_column(metric)].notna()]
    values, length = _values(part, metric), part["length"].to_numpy(dtype=float) / PER
    problem, policy = part["problem"].to_numpy(), part["policy"].to_numpy()
    return {
        ALL_PROBLEMS: slope(values, length, problem, confidence),
        SAME_PROBLEM: slope_within(values, length, problem, policy, confidence),
    }


def _column(metric: str) -> str:
    return "correct" if metric == "accuracy" else metric


def _values(part: pd.DataFrame, metric: str) -> Floats:
    return np.asarray(part[_column(metric)].to_numpy(dtype=float))


def _columns(estimate: Estimate, name: str = "value") -> dict[str, object]:
    found = dict(vars(estimate))
    found[name] = found.pop("value")
    return found
