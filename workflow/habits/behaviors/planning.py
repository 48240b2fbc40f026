"""What an LLM judge will be asked, for `habits plan`.

Reads ``results/rollouts`` where rollouts are sampled already. Where they are not, traces of the symbolic
teacher stand in for responses: what the judge reads is then about as long as what a primed model writes.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pandas as pd

from habits.artifacts import read_parquet
from habits.behaviors.judging import COLUMNS, RULE, calls_for, sample_of
from habits.llm.plan import Errand
from habits.params import Params, Run
from habits.priming.priming import Writer
from habits.priming.traces import LANGUAGES, prompt_template
from habits.tasks.countdown import Problem

EXAMPLES = 20  # stand-ins, over which lengths are averaged
REPLY_TOKENS = {"joint": 150, "separate": 40}  # of a reply with some quotes; of a sentence and a count


def judging_errands(params: Params, results: Path, problems: list[Problem]) -> list[Errand]:
    """What the judge will be asked about each run of the matrix; nothing if there is no judge.

    Args:
        params: the settings.
        results: the results folder.
        problems: some to make stand-ins for responses on.
    """
    if params.judge == "none":
        return []
    standing_in = _stand_ins(params, problems)
    errands = []
    for run, line in params.runs.items():
        path = results / "rollouts" / f"{run.path}.parquet"
        if path.exists():
            sample = sample_of(params, read_parquet(path, COLUMNS))
            n_rollouts = len(sample)
        else:
            sample, n_rollouts = standing_in, rollouts_to_judge(params, line)
        requests = [call.request for call in calls_for(params, sample)]
        calls = n_rollouts * len(requests) // len(sample)
        tokens = REPLY_TOKENS[params.judging.calls]
        errands.append(Errand(RULE, run.path, params.judge, requests, calls, tokens))
    return errands


def rollouts_to_judge(params: Params, line: Run) -> int:
    """Rollouts of a run that will be judged: of each of its checkpoints, the base included."""
    rl, usual = params.rl_settings(line), params.rollouts
    most = params.judging.samples
    each = min(most, usual.problems * (line.samples or usual.samples))
    last = min(most, usual.problems * (line.samples or usual.last_samples))
    return rl.steps // rl.save_every * each + last


def _stand_ins(params: Params, problems: list[Problem]) -> pd.DataFrame:
    language = LANGUAGES[prompt_template(params).name]
    slots = islice(Writer(params, 0, language).slots(problems), EXAMPLES)
    traces = [language.write(slot["all_strategies"]) for slot in slots]
    return pd.DataFrame(
        {
            "numbers": [list(trace.problem.numbers) for trace in traces],
            "target": [trace.problem.target for trace in traces],
            "response": [trace.response for trace in traces],
        }
    )
