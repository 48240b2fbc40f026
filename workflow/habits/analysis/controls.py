"""The controls that could sink the story: is the gain more than tokens, more tries, or giving up?

1. ``matched_tokens``: the unprimed model trained on until it has sampled as many rollout tokens as the
   primed one; 2. ``pass_at_k``: the unprimed model allowed as many samples as the primed one makes tries
   inside a response; 3. ``give_up``: negative traces that all end by giving up, beside those that do not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from habits.analysis.evaluations import Condition, ConditionKey
from habits.analysis.resampling import Floats, Resampler
from habits.analysis.summaries import tokens_at

MODEL, PRIMED = "plain", "backtracking_verification"
MATCHED = "matched_tokens"
CONTROLS = (MATCHED, "pass_at_k", "give_up")


@dataclass(frozen=True)
class ControlRow:
    """One bar of a control: a condition at an RL step and what it scores.

    ``reached`` is false when the control could not be run as meant (too few tokens, or fewer samples than
    tries); ``note`` then says by how much.
    """

    control: str
    role: str
    model: str
    priming: str
    algorithm: str
    rl_step: int
    metric: str
    k: int
    mean: float
    low: float
    high: float
    n_seeds: int
    n_problems: int
    cumulative_rollout_tokens: float
    reached: bool
    note: str


@dataclass(frozen=True)
class Controls:
    """Computes the rows of each control from the conditions at hand."""

    found: dict[ConditionKey, Condition]
    training: pd.DataFrame
    algorithm: str
    resampler: Resampler

    def table(self) -> pd.DataFrame:
        """All controls whose conditions are in the matrix, one row a bar; no row for a control left out."""
        rows: list[ControlRow] = []
        for control, compute in zip(
            CONTROLS, (self.matched_tokens, self.pass_at_k, self.give_up), strict=True
        ):
            if control_conditions(control, self.algorithm) <= set(self.found):
                rows += compute()
        return pd.DataFrame([asdict(r) for r in rows], columns=list(ControlRow.__annotations__))

    def matched_tokens(self) -> list[ControlRow]:
        """Primed model at its last step; unprimed at that step, and at equal or more rollout tokens."""
        primed, base = self._condition(PRIMED), self._condition("none")
        long = self._condition("none", f"{self.algorithm}_{MATCHED}")
        wanted = self._tokens(primed, primed.steps[-1])
        enough = [s for s in long.steps if self._tokens(long, s) >= wanted]
        step = enough[0] if enough else long.steps[-1]
        have = self._tokens(long, step)
        note = f"{have:,.0f} rollout tokens at step {step}, the primed model had {wanted:,.0f}"
        return [
            self._accuracy(MATCHED, "primed", primed, primed.steps[-1]),
            self._accuracy(MATCHED, "unprimed", base, base.steps[-1]),
            self._accuracy(MATCHED, "unprimed, trained longer", long, step, reached=bool(enough), note=note),
        ]

    def pass_at_k(self) -> list[ControlRow]:
        """Primed model's accuracy; unprimed pass@k before and after RL, k = the primed model's tries."""
        primed, base = self._condition(PRIMED), self._condition("none")
        tries = 1 + float(np.nanmean(primed.at("backtracking", primed.steps[-1])))
        wanted = max(1, round(tries))
        k = min(wanted, int(base.samples_T_S_P.min()))
        note = f"k = {k}; the primed model makes {tries:.1f} tries a response"
        rows = [self._accuracy("pass_at_k", "primed", primed, primed.steps[-1])]
        for step, role in ((base.steps[0], "unprimed before RL"), (base.steps[-1], "unprimed after RL")):
            values = base.pass_at_k(k, step)
            rows.append(
                self._row("pass_at_k", role, base, step, f"pass_at_{k}", values, k, k == wanted, note)
            )
        return rows

    def give_up(self) -> list[ControlRow]:
        """Negative traces with and without false successes, and the traces that may end right."""
        roles = {
            PRIMED: "right and wrong endings",
            "negative_only": "wrong endings",
            "negative_only_give_up": "wrong endings, all give up",
        }
        chosen = {role: self._condition(priming) for priming, role in roles.items()}
        return [self._accuracy("give_up", role, c, c.steps[-1]) for role, c in chosen.items()]

    def _condition(self, priming: str, algorithm: str | None = None) -> Condition:
        return self.found[ConditionKey(MODEL, priming, algorithm or self.algorithm)]

    def _tokens(self, condition: Condition, step: int) -> float:
        return tokens_at(self.training, condition.key, step)

    def _accuracy(
        self,
        control: str,
        role: str,
        condition: Condition,
        step: int,
        *,
        reached: bool = True,
        note: str = "",
    ) -> ControlRow:
        values = condition.at("accuracy", step)
        return self._row(control, role, condition, step, "accuracy", values, 1, reached, note)

    def _row(
        self,
        control: str,
        role: str,
        condition: Condition,
        step: int,
        metric: str,
        values_S_P: Floats,
        k: int,
        reached: bool,
        note: str,
    ) -> ControlRow:
        low, high = self.resampler.interval(self.resampler.means(values_S_P))
        return ControlRow(
            control=control,
            role=role,
            **condition.key._asdict(),
            rl_step=step,
            metric=metric,
            k=k,
            mean=float(np.nanmean(values_S_P)),
            low=float(low),
            high=float(high),
            n_seeds=len(condition.seeds),
            n_problems=len(condition.problems),
            cumulative_rollout_tokens=self._tokens(condition, step),
            reached=reached,
            note=note,
        )


def control_conditions(control: str, algorithm: str) -> set[ConditionKey]:
    """The conditions that a control compares."""
    needed = {
        MATCHED: [("none", algorithm), (PRIMED, algorithm), ("none", f"{algorithm}_{MATCHED}")],
        "pass_at_k": [("none", algorithm), (PRIMED, algorithm)],
        "give_up": [(p, algorithm) for p in (PRIMED, "negative_only", "negative_only_give_up")],
    }
    return {ConditionKey(MODEL, priming, label) for priming, label in needed[control]}
