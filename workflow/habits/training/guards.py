"""Guards of RL: what a collapsed run looks like, told while it runs, or a reason to stop it.

A step is suspicious when a metric is not finite, when entropy or response length fall below a limit, or
when many responses repeat one character ("!!!!"). Reads and writes no files.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence

from habits.cluster_params import Guards

REPEATED = re.compile(r"(\S)\1{31}")  # 32 times the same character; dots of a control have spaces between


class CollapseError(RuntimeError):
    """A run has collapsed; the message names the run, the step, what was seen and the limit."""


class Watch:
    """Looks at every step of one run.

    Args:
        name: the run, for messages.
        guards: limits, and whether to warn or stop.
    """

    def __init__(self, name: str, guards: Guards) -> None:
        self.name, self.guards = name, guards
        self.told: set[str] = set()

    def check(self, row: Mapping[str, float], responses: Sequence[str]) -> None:
        """Warn once of each kind of trouble, or stop.

        Args:
            row: a step's metrics.
            responses: its sampled responses.

        Raises:
            CollapseError: something is wrong and ``on_collapse`` is stop.
        """
        for kind, trouble in self._troubles(row, responses):
            message = f"{self.name}: step {int(row['step'])}: {trouble}"
            if self.guards.on_collapse == "stop":
                raise CollapseError(f"{message}; lower rl.learning_rate, or set training.guards")
            if kind not in self.told:
                self.told.add(kind)
                print(f"warning: {message}", file=sys.stderr, flush=True)

    def _troubles(self, row: Mapping[str, float], responses: Sequence[str]) -> list[tuple[str, str]]:
        guards, found = self.guards, []
        broken = [name for name, value in row.items() if math.isinf(value)]
        broken += [name for name in ("policy_loss", "grad_norm", "entropy") if math.isnan(row[name])]
        if broken:
            found.append(("finite", f"not a number: {', '.join(broken)}"))
        if row["entropy"] < guards.min_entropy:
            found.append(("entropy", f"entropy {row['entropy']:.4f} is below {guards.min_entropy}"))
        if row["mean_tokens"] < guards.min_tokens:
            found.append(("length", f"{row['mean_tokens']:.1f} tokens a response, below {guards.min_tokens}"))
        share = sum(REPEATED.search(text) is not None for text in responses) / max(len(responses), 1)
        if share > guards.max_repetition:
            found.append(("repetition", f"{share:.0%} of the responses repeat one character"))
        return found
