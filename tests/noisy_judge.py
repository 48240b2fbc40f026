"""A judge for the test server: the oracle with known errors, deterministic in what it is asked."""

from __future__ import annotations

import json
import random
import re
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "llm"))

from vendor_formats import Asked, Said  # noqa: E402

from habits.behaviors.oracle import count_behaviors_in  # noqa: E402
from habits.priming.language import BEHAVIORS  # noqa: E402

_USER = re.compile(r"<(response-\w+)>\n(.*)\n</\1>\n\n.*?numbers ([0-9, ]+); target ([0-9]+)\.", re.DOTALL)
# Replies that say something, but not what was asked for.
UNPARSABLE = (
    "I count three verifications and one backtracking.",
    '{"verification": {"evidence": [], "number": 1}}',
    '{"verification": 1, "backtracking": 0, "subgoal_setting": 0, "backward_chaining": 0}',
    "",
    "<count> about 3 </count>",
    "<count>2</count> or rather <count>3</count>",
)


@dataclass(frozen=True)
class Planted:
    """What the judge says about one response."""

    status: str
    counts: dict[str, int]
    quotes: dict[str, list[str]]


@dataclass(frozen=True)
class NoisyJudge:
    """Chances to miss an instance, to invent one (with a quote that does not occur), to fail."""

    miss: float = 0.2
    invent: float = 0.1
    unparsable: float = 0.05
    refused: float = 0.03

    def __call__(self, asked: Asked) -> Said:
        """The reply to a joint or separate request."""
        found = _USER.match(asked.user)
        assert found is not None, asked.user
        _, response, numbers, target = found.groups()
        planted = self.verdict(response, [int(n) for n in numbers.split(",")], int(target))
        if planted.status == "refused":
            return Said("I would rather not.", "refusal")
        if planted.status == "unparsable":
            return Said(random.Random(asked.user).choice(UNPARSABLE))
        if asked.schema is None:
            (behavior,) = [b for b in BEHAVIORS if f"behavior, {b.replace('_', ' ')}," in asked.system]
            return Said(f"I found some. <count> {planted.counts[behavior]} </count>")
        answer = {b: {"evidence": planted.quotes[b], "number": planted.counts[b]} for b in BEHAVIORS}
        return Said(json.dumps(answer))

    def verdict(self, response: str, numbers: list[int], target: int) -> Planted:
        """What it says about a response, and whether it says it as asked."""
        dice = random.Random(f"{response} {numbers} {target}")
        luck = dice.random()
        status = "refused" if luck < self.refused else "ok"
        status = "unparsable" if self.refused <= luck < self.refused + self.unparsable else status
        oracle = count_behaviors_in(response, numbers, target)
        quotes = {}
        for behavior in BEHAVIORS:
            spans = [span for span in oracle.spans(behavior) if dice.random() >= self.miss]
            quotes[behavior] = [response[span.start : span.end] for span in spans]
            if dice.random() < self.invent:
                quotes[behavior].append("words that nobody wrote")
        return Planted(status, {b: len(q) for b, q in quotes.items()}, quotes)
