"""What language models cost, for the settings page.

Reads data/replies.
"""

from __future__ import annotations

from dataclasses import dataclass

from habits.llm.store import spent_by_rule
from habits.report.inputs import Inputs


@dataclass(frozen=True)
class Spent:
    """What one rule paid one model: calls (of them in batches), tokens in and out, US dollars."""

    rule: str
    model: str
    calls: int
    in_batches: int
    input: int
    from_cache: int
    output: int
    usd: float


def spent(inputs: Inputs) -> list[Spent]:
    """A row a rule and model over all stored replies, of this run and of earlier ones."""
    rows = spent_by_rule(inputs.replies).to_dict("records")
    return [
        Spent(
            rule=str(row["rule"]),
            model=str(row["model"]),
            calls=int(row["calls"]),
            in_batches=int(row["in_batches"]),
            input=int(row["input"] + row["cached_input"] + row["cache_write"]),
            from_cache=int(row["cached_input"]),
            output=int(row["output"]),
            usd=float(row["usd"]),
        )
        for row in rows
    ]
