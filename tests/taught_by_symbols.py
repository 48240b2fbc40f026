"""A stand-in for the language model behind an LLM teacher: the symbolic teacher, answering as one would.

It reads nothing but the prompt: the set from its directive, the limit from its format, the problem from the
message. Same prompt, same reply.
"""

from __future__ import annotations

import hashlib
import re
from random import Random

from habits.priming.controls import direct_solution
from habits.priming.instructions import FOLDER
from habits.priming.teacher import RECIPES, Limits, write_trace
from habits.tasks.countdown import Problem

LIMIT = re.compile(r"A reply has at most (\d+) words")
PROBLEM = re.compile(r"Numbers: ([\d, ]+)\nTarget: (\d+)")
LARGEST = 100
# What one reply in fifty is spoiled by, in turn.
SPOILED = ("I cannot find it.", "<think> 3 plus 4 </think> <answer> ( 3 + 4 ) </answer>")


def reply(system: str, message: str) -> str:
    """The reply to a prompt in the trace language; one in fifty cannot be used."""
    digest = hashlib.sha256(f"{system}\0{message}".encode()).hexdigest()
    if int(digest[:8], 16) % 50 == 0:
        return SPOILED[int(digest[8], 16) % len(SPOILED)]
    (name,) = (path.stem for path in FOLDER.glob("directives/*.txt") if path.read_text().strip() in system)
    numbers, target = PROBLEM.fullmatch(message).groups()
    problem = Problem(tuple(map(int, numbers.split(", "))), int(target))
    limits = Limits(int(LIMIT.search(system).group(1)), 12, LARGEST)
    rng = Random(digest)
    trace = (
        write_trace(rng, problem, RECIPES[name], limits)
        if name in RECIPES
        else direct_solution(rng, problem, LARGEST)
    )
    return f"<think> {trace.response}" if trace else SPOILED[0]
