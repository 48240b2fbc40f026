"""What an LLM teacher is told: one system prompt a set of demonstrations, one message a problem.

Reads ``workflow/prompts/teaching/{VERSION}``: a skeleton, a directive a set (how to reason), a format a
prompt template (how to write it down), and worked examples of both. The system prompt is the same for all
problems of a set, so that a provider can cache it. Writes nothing.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from habits.models.vocabulary import LARGEST_NUMBER
from habits.params import Params
from habits.priming.sets import INSTRUCTIONS
from habits.priming.traces import prompt_template
from habits.tasks.countdown import Problem

VERSION = "v1"
FOLDER = Path(__file__).parents[2] / "prompts" / "teaching" / VERSION
TOKENS_A_WORD = 2  # of reasoning in English, half of it calculation: 1.4 and room for the answer


def system_prompt(params: Params, name: str) -> str:
    """The system prompt for the demonstrations of set ``name``, a key of ``INSTRUCTIONS``."""
    template, directive = prompt_template(params).name, INSTRUCTIONS[name]
    room = {
        "words": params.teaching.max_tokens // TOKENS_A_WORD,
        "result": LARGEST_NUMBER,
        "largest": LARGEST_NUMBER,
    }
    if template == "short":
        room["words"] = params.priming.max_trace_tokens
        room["result"] = min(params.countdown.max_intermediate or LARGEST_NUMBER, LARGEST_NUMBER)
    return _text("skeleton").substitute(
        directive=_text(f"directives/{directive}").template.strip(),
        format=_text(f"formats/{template}").substitute(room).strip(),
        examples=_text(f"examples/{template}/{directive}").template.strip(),
    )


def message(problem: Problem) -> str:
    """The user message that poses a problem, as in the examples."""
    return f"Numbers: {', '.join(map(str, problem.numbers))}\nTarget: {problem.target}"


def _text(name: str) -> Template:
    return Template((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))
