"""What an LLM teacher will be asked, for `habits plan`. Reads and writes no files."""

from __future__ import annotations

from collections.abc import Sequence

from habits.llm.plan import Errand
from habits.params import Params
from habits.priming.sets import INSTRUCTIONS, REWRITTEN, SYMBOLIC, demonstrations_for
from habits.priming.teaching import problems_of, teaching_requests
from habits.priming.traces import prompt_template
from habits.tasks.countdown import Problem

# Tokens of a reply before any is stored: the symbolic teacher's mean in the trace language; in English what
# the paper's models wrote after training on such demonstrations (200 to 600 tokens, by set and tokenizer).
REPLY_TOKENS = {"short": 70, "paper_base": 350}
DIRECT_TOKENS = {"short": 40, "paper_base": 80}  # of negative_control


def teaching_errands(params: Params, problems: Sequence[Problem]) -> list[Errand]:
    """What the teacher will be asked for the priming sets of the matrix; nothing if it is symbolic."""
    if params.teacher == SYMBOLIC:
        return []
    template = prompt_template(params).name
    primed = [run.priming for run in params.runs if run.priming not in ("none", *REWRITTEN)]
    needed = {demonstrations_for(name) for name in primed}
    # A set that shares another one's requests makes that one too.
    needed |= {INSTRUCTIONS[name] for name in needed}
    errands = []
    for name in (name for name in INSTRUCTIONS if name in needed):
        requests = teaching_requests(params, name, problems_of(params, name, problems))
        tokens = (DIRECT_TOKENS if name == "negative_control" else REPLY_TOKENS)[template]
        errands.append(Errand("teaching", name, params.teacher, requests, len(requests), tokens))
    return errands
