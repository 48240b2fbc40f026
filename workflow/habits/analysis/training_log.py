"""Import the training logs of DeepEnlighten (Social IQa runs of early veRL) as rollouts.

In those runs the reward function printed every sample: a rule, ``Processing New Sample``, the whole sequence
under ``[Model Output]``, the ground truth, the checks and a ``Final Score``. The trainer printed ``epoch E,
step S`` before a training batch and ``validation generation end`` before a validation batch. A log may be
plain or raw from Ray: colors, progress bars, and ``(main_task pid=123)`` before every line, the lines of
several processes mixed.

One pass, in time linear in the file. Text inside a sample is the model's and may imitate anything: a sample
whose parts do not stand there exactly once is left out and counted with its line, never guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

import pandas as pd

from habits.artifacts import ArtifactError, hash_json

COLOR = re.compile(r"\x1b\[[0-9;?]{0,30}[A-Za-z]")
RAY_PREFIX = re.compile(r"\(([^()\n]{0,120}?pid=[^()\n]{1,80})\) ?")
HEADER = re.compile(r"={10,200} Processing New Sample ={10,200}")
STEP = re.compile(r"epoch (\d{1,9}), step (\d{1,9})")
VALIDATION = "validation generation end"
OUTPUT, TRUTH, SCORE = "[Model Output]", "[Ground Truth] Correct Label: ", " Final Score "
NUMBER = r"-?\d{1,6}(?:\.\d{1,20})?"
FIELDS = {
    "format": re.compile(rf"  Format: ({NUMBER})"),
    "answer": re.compile(rf"  Answer: ({NUMBER})"),
    "total": re.compile(rf"  Total: ({NUMBER})"),
    "format_ok": re.compile(r"Format Validation: (PASS|FAIL)"),
}
RIGHT, WRONG = "Answer Validation: PASS (Correct Answer)", "Answer Validation: FAIL (Incorrect Answer)"
ANSWER = "Extracted Answer: "
HEADS = ("<|im_start|>assistant", "<|start_header_id|>assistant<|end_header_id|>", "Assistant:")
ENDS = ("<|eom_id|>", "<|eot_id|>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>")
THINK = "<think>"


@dataclass(frozen=True)
class Unread:
    """A sample that was left out: the line of its header, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What an import found and what it could not use.

    Attributes:
        file: name of the log.
        lines: lines in it.
        samples: headers of samples.
        read: samples that became rollouts.
        unread: the others.
        notes: what is unknown about all samples, in words.
    """

    file: str
    lines: int
    samples: int
    read: int
    unread: list[Unread]
    notes: list[str]

    @property
    def reasons(self) -> dict[str, int]:
        """Unread samples by reason."""
        return dict(Counter(sample.reason for sample in self.unread))

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "unread_by_reason": self.reasons}


@dataclass(frozen=True)
class ImportedLog:
    """Rollouts of a log (docs/architecture.md; also epoch, answer, answer_reward) and the report."""

    rollouts: pd.DataFrame
    report: ImportReport


@dataclass(frozen=True)
class _Line:
    """A line without color and prefix; ``source`` is the prefix, the process that printed it."""

    number: int
    source: str
    text: str


@dataclass
class _Sample:
    """A sample as it is printed: its lines up to the rule that ends it."""

    line: int
    source: str
    epoch: int | None
    step: int | None
    split: str
    lines: list[str] = field(default_factory=list)
    closed: bool = False


class _SampleError(ValueError):
    """Why a sample cannot be read."""


def read_log(path: Path) -> ImportedLog:
    """The samples of a log file as rollouts.

    Raises:
        ArtifactError: the file is missing, or holds no sample at all.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            reader = _Reader()
            reader.read(lines)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error}") from None
    if not reader.samples:
        raise ArtifactError(
            f"{path}: holds no sample ('Processing New Sample'); is it a log of DeepEnlighten's training?"
        )
    rows, unread = [], []
    for sample in reader.samples:
        try:
            rows.append(_row(sample, path.name))
        except _SampleError as error:
            unread.append(Unread(sample.line, str(error)))
    rollouts = _finished(rows, path.stem)
    report = ImportReport(path.name, reader.count, len(reader.samples), len(rows), unread, _notes(rollouts))
    return ImportedLog(rollouts, report)


class _Reader:
    """Cuts lines into samples, process by process, and keeps where training stands."""

    def __init__(self) -> None:
        self.samples: list[_Sample] = []
        self.open: dict[str, _Sample] = {}
        self.last: dict[str, _Sample] = {}
        self.epoch: int | None = None
        self.step: int | None = None
        self.split = "unknown"
        self.count = 0

    def read(self, lines: Iterable[str]) -> None:
        """Take in all lines."""
        for number, raw in enumerate(lines, start=1):
            self.count = number
            self.take(_clean(number, raw))

    def take(self, line: _Line) -> None:
        """Take in one line."""
        if HEADER.fullmatch(line.text):
            self.begin(line)
        elif line.source in self.open:
            self.inside(self.open[line.source], line)
        else:
            self.outside(line)

    def begin(self, line: _Line) -> None:
        """A sample starts; one that starts inside another spoils both, as one of them is an imitation."""
        sample = _Sample(line.number, line.source, self.epoch, self.step, self.split)
        if outer := self.open.pop(line.source, None):
            if any(STEP.fullmatch(text) or text == VALIDATION for text in outer.lines):
                self.epoch, self.step, self.split = (
                    None,
                    None,
                    "unknown",
                )  # the trainer's word, or the model's
            outer.lines = sample.lines = [_SPOILED]
            self.last[line.source] = sample
        else:
            self.open[line.source] = sample
        self.samples.append(sample)

    def inside(self, sample: _Sample, line: _Line) -> None:
        """A line of a sample; the rule after its total ends it."""
        if _is_rule(line.text, "=") and sample.lines and FIELDS["total"].fullmatch(sample.lines[-1]):
            sample.closed = True
            self.last[line.source] = self.open.pop(line.source)
        else:
            sample.lines.append(line.text)

    def outside(self, line: _Line) -> None:
        """A line between samples: where training stands, or the true end of a sample that ended too early."""
        if match := STEP.fullmatch(line.text):
            self.epoch, self.step, self.split = int(match[1]), int(match[2]), "train"
        elif line.text == VALIDATION:
            self.split = "validation"
        elif line.text.startswith(TRUTH) and line.source in self.last:
            self.last[line.source].lines = [_SPOILED]


_SPOILED = "\0"  # stands for the lines of a sample that cannot be told from an imitation


def _clean(number: int, raw: str) -> _Line:
    text = COLOR.sub("", raw.rstrip("\r\n"))
    if "\r" in text:  # a progress bar was drawn before; what matters is a process's line behind it
        behind = text[text.rindex("\r") + 1 :]
        text = behind if RAY_PREFIX.match(behind) else text
    prefix = RAY_PREFIX.match(text)
    return _Line(number, prefix[1], text[prefix.end() :]) if prefix else _Line(number, "", text)


def _is_rule(text: str, char: str) -> bool:
    return len(text) >= 40 and text == char * len(text)


def _row(sample: _Sample, name: str) -> dict[str, Any]:
    """A sample as a row of rollouts.

    Raises:
        _SampleError: a part is missing, or stands there more than once.
    """
    if sample.lines == [_SPOILED]:
        raise _SampleError("begins or ends inside another sample")
    if not sample.closed:
        raise _SampleError("has no end")
    output, tail = _split(sample.lines)
    label = tail[0].removeprefix(TRUTH)
    prompt, response = _prompt_and_response(output)
    scores = {key: _only(tail, pattern, key) for key, pattern in FIELDS.items()}
    if not isclose(float(scores["format"]) + float(scores["answer"]), float(scores["total"]), abs_tol=1e-9):
        raise _SampleError("scores do not add up")
    verdicts = [line for line in tail if line in (RIGHT, WRONG)]
    answers = [line.removeprefix(ANSWER) for line in tail if line.startswith(ANSWER)]
    if len(verdicts) > 1 or len(answers) > 1:
        raise _SampleError("verdict stands there twice")
    if (verdicts == [RIGHT]) != (float(scores["answer"]) > 0):
        raise _SampleError("verdict and score disagree")
    ending = next((end for end in ENDS if response.endswith(end)), "")
    # Training samples of step S are drawn after S - 1 updates, validation samples after all S.
    step = sample.step if sample.split == "validation" else sample.step and sample.step - 1
    return {
        "rollout_id": f"{name}/{sample.line}",
        "line": sample.line,
        "epoch": sample.epoch,
        "rl_step": 0 if step is None and sample.split == "validation" else step,
        "split": sample.split,
        "problem_id": hash_json([prompt, label]),
        "prompt": prompt,
        "response": response.removesuffix(ending),
        "stopped": bool(ending),
        "format_ok": scores["format_ok"] == "PASS",
        "correct": verdicts == [RIGHT],
        "reward": float(scores["total"]),
        "answer_reward": float(scores["answer"]),
        "answer": answers[0] if answers else None,
        "reason": "correct" if verdicts == [RIGHT] else "wrong_option" if verdicts else "no_answer",
    }


def _split(lines: list[str]) -> tuple[str, list[str]]:
    """The model's text and the lines from the ground truth on."""
    if not lines or lines[0] != OUTPUT:
        raise _SampleError("has no model output")
    truths = [i for i in range(2, len(lines)) if lines[i].startswith(TRUTH) and _is_rule(lines[i - 1], "-")]
    if not truths:
        raise _SampleError("has no ground truth")
    if len(truths) > 1:
        raise _SampleError("ground truth stands there twice")
    return "\n".join(lines[1 : truths[0] - 1]), lines[truths[0] :]


def _prompt_and_response(output: str) -> tuple[str, str]:
    """The sequence cut behind the assistant's header that comes first and the ``<think>`` after it."""
    places = [(output.find(head), head) for head in HEADS if head in output]
    if not places:
        raise _SampleError("has no assistant header")
    place, head = min(places)
    start = place + len(head)
    think = output.find(THINK, start)
    start = think + len(THINK) if think >= 0 else start
    return output[:start], output[start:]


def _only(tail: list[str], pattern: re.Pattern[str], name: str) -> str:
    """What the one line that fits ``pattern`` holds."""
    found = [match[1] for line in tail if (match := pattern.fullmatch(line))]
    if len(found) != 1:
        raise _SampleError(f"{name} score stands there twice" if found else f"has no {name} score")
    return found[0]


def _finished(rows: list[dict[str, Any]], model: str) -> pd.DataFrame:
    """Rows with all columns of rollouts; what a log does not say is missing, not zero."""
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    for column in ("epoch", "rl_step"):
        frame[column] = frame[column].astype("Int64")
    if not frame["stopped"].any():
        frame["stopped"] = pd.array([None] * len(frame), dtype="boolean")
    frame["sample_id"] = frame.groupby(["problem_id", "split", "rl_step"], dropna=False).cumcount()
    run: dict[str, Any] = {
        "model": model,
        "priming": "none",
        "algorithm": "unknown",
        "seed": 0,
        "checkpoint": "",
    }
    unknown = dict.fromkeys(("temperature", "mean_entropy", "logprob"), float("nan"))
    return frame.assign(**run, **unknown, n_tokens=pd.array([None] * len(frame), dtype="Int64"))


def _notes(rollouts: pd.DataFrame) -> list[str]:
    if rollouts.empty:
        return []
    notes = []
    if rollouts["rl_step"].isna().any():
        count = int(rollouts["rl_step"].isna().sum())
        notes.append(f"{count} samples stand before any 'epoch E, step S' line: their step is unknown")
    if rollouts["stopped"].isna().all():
        notes.append("no sample ends with a known end-of-text token: truncation is unknown")
    return notes
