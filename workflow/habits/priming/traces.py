"""Traces as rows of a parquet, whoever taught them: prompt template, schema, names, summary.

Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

import pandas as pd
import pyarrow as pa

from habits.params import Params, ParamsError
from habits.priming.controls import count_tokens
from habits.priming.language import BEHAVIORS, Trace
from habits.priming.prose import count_words, in_prose
from habits.priming.sets import PARENTS, SYMBOLIC
from habits.tasks.countdown import TEMPLATES, PromptTemplate, grade


@dataclass(frozen=True)
class Language:
    """How a trace is written for the models of a prompt template.

    Args:
        write: the trace in these models' language.
        count: tokens of a text; exact for the tiny models, else about (see `prose.count_words`).
    """

    write: Callable[[Trace], Trace]
    count: Callable[[str], int]


LANGUAGES = {
    "short": Language(lambda trace: trace, count_tokens),
    "paper_base": Language(in_prose, count_words),
}
SPAN = pa.struct([("behavior", pa.string()), ("start", pa.int64()), ("end", pa.int64())])
SCHEMA = pa.schema(
    [
        ("trace_id", pa.string()),
        ("problem_id", pa.string()),
        ("numbers", pa.list_(pa.int64())),
        ("target", pa.int64()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("teacher", pa.string()),
        ("set", pa.string()),
        ("seed", pa.int64()),
        ("verdict", pa.string()),
        ("n_tokens", pa.int64()),
        ("stop_reason", pa.string()),
        ("parents", pa.list_(pa.string())),
        ("planted", pa.list_(pa.struct([("behavior", pa.string()), ("count", pa.int64())]))),
        ("spans", pa.list_(SPAN)),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ]
)


def prompt_template(params: Params) -> PromptTemplate:
    """The one prompt template that all models of the params share."""
    names = sorted({spec.prompt_template for spec in params.models.values()})
    if len(names) != 1:
        raise ParamsError(
            f"params.yaml: models.*.prompt_template differ ({', '.join(names)}); priming sets are shared "
            "by all models, so give every model the same prompt_template"
        )
    if names[0] not in TEMPLATES:
        raise ParamsError(
            f"params.yaml: models.*.prompt_template is {names[0]!r}; choose one of: {', '.join(TEMPLATES)}"
        )
    return TEMPLATES[names[0]]


@dataclass(frozen=True)
class Quality:
    """What a priming set holds.

    Args:
        n: traces.
        verdicts: share of each verdict that occurs.
        mean_tokens: response tokens, without end-of-text token.
        planted: mean planted instances per trace, by behavior; empty where the teacher does not say.
    """

    n: int
    verdicts: dict[str, float]
    mean_tokens: float
    planted: dict[str, float]

    @property
    def correct(self) -> float:
        """Share of traces whose answer is right."""
        return self.verdicts.get("correct", 0.0)

    def __str__(self) -> str:
        verdicts = ", ".join(f"{share:.1%} {verdict}" for verdict, share in self.verdicts.items())
        planted = ", ".join(f"{behavior} {mean:.2f}" for behavior, mean in self.planted.items())
        head = f"{self.n} traces, {self.mean_tokens:.1f} tokens, {verdicts}"
        return f"{head}; planted per trace: {planted}" if planted else head


def quality(frame: pd.DataFrame) -> Quality:
    """Summary of a traces frame (as made or as read back from parquet)."""
    planted: dict[str, int] = {}
    if not frame["planted"].isna().any():
        planted = dict.fromkeys(BEHAVIORS, 0)
        for entry in chain.from_iterable(frame["planted"]):
            planted[entry["behavior"]] += int(entry["count"])
    shares = frame["verdict"].value_counts(normalize=True).sort_index()
    return Quality(
        n=len(frame),
        verdicts={str(verdict): float(share) for verdict, share in shares.items()},
        mean_tokens=float(frame["n_tokens"].mean()),
        planted={behavior: count / len(frame) for behavior, count in planted.items()},
    )


def row(
    name: str,
    seed: int,
    index: int,
    trace: Trace,
    template: PromptTemplate,
    teacher: str = SYMBOLIC,
    reply: str | None = None,
) -> dict[str, Any]:
    """Trace ``index`` of a set and seed as a row with the columns of ``SCHEMA``.

    Args:
        name: the priming set.
        seed: its seed.
        index: place in the set; a derived set has the trace of its parent at the same place as parent.
        trace: the trace.
        template: of the prompt.
        teacher: who wrote it, or wrote what it is derived from.
        reply: key of the stored reply that holds it, which is then its parent.
    """
    prompt = template.render(trace.problem)
    count = LANGUAGES[template.name].count
    count(prompt)  # a word outside the vocabulary is an error
    derived = [trace_id(PARENTS[name], seed, index)] if name in PARENTS else []
    planted, spans = trace.planted, trace.spans
    return {
        "trace_id": trace_id(name, seed, index),
        "problem_id": trace.problem.key,
        "numbers": list(trace.problem.numbers),
        "target": trace.problem.target,
        "prompt": prompt,
        "response": trace.response,
        "teacher": teacher,
        "set": name,
        "seed": seed,
        "verdict": grade(trace.response, trace.problem).reason,
        "n_tokens": count(trace.response),
        "stop_reason": trace.stop_reason,
        "parents": [reply] if reply else derived,
        "planted": planted and [{"behavior": b, "count": count} for b, count in planted.items()],
        "spans": None if spans is None else [asdict(span) for span in spans],
        "messages": [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": trace.response},
        ],
    }


def trace_id(name: str, seed: int, index: int) -> str:
    """The name of a trace."""
    return f"{name}/seed{seed}/{index:05d}"
