"""What came of RL on social situations: claims, other problems before and after, beside published numbers.

Reads results/social_statistics and the figures about Social IQa. One function makes the page's content.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from habits.analysis.claims import Verdict, load_report
from habits.analysis.evaluations import SHARES
from habits.analysis.published import social_language, social_words
from habits.analysis.social_findings import FindingResult, Unit, load_findings_report
from habits.artifacts import read_parquet
from habits.figures import available_figures, task_of_figure
from habits.params import Params
from habits.report.figures import Figure, read_figures
from habits.report.labels import metric_name
from habits.report.responses import Shown, response_lines

FOLDER = "social_statistics"
EVALUATION = "evaluation"
METRIC_NAMES = {
    "accuracy": "right answers",
    "accuracy in form": "right and in the asked form",
    "answered in form": "in the asked form",
    "no readable answer": "no readable answer",
    "truncated": "cut off",
    "n_tokens": "response tokens",
    "accuracy where both answered in form": "right, where both answered in form",
}


@dataclass(frozen=True)
class PublishedTransfer:
    """DeepEnlighten's numbers for one evaluation, of Llama-3.2-3B-Instruct; the items differ."""

    before: float
    after: float
    n_before: int
    n_after: int


PUBLISHED = {
    "MATH": PublishedTransfer(0.2672, 0.4419, 3750, 3750),
    "CMATH": PublishedTransfer(0.5480, 0.5995, 823, 824),
    "GSM8K": PublishedTransfer(0.7660, 0.7576, 329, 330),
}


@dataclass(frozen=True)
class Line:
    """A claim as the page shows it: what is said, about whom, our effect, the verdict and its reason."""

    sentence: str
    condition: str
    about: str
    measure: str
    unit: Unit | Literal[""]
    effect: float | None
    low: float | None
    high: float | None
    n: int | None
    verdict: Verdict
    reason: str
    source: str
    published: str


@dataclass(frozen=True)
class LanguageLine:
    """Whose responses mix languages: shares of responses or thoughts; the interval is ours, of ``mixed``."""

    who: str
    n: int
    english: float
    chinese: float
    both: float
    mixed: Shown | None = None


@dataclass(frozen=True)
class Words:
    """Words of reconsideration, counted as DeepEnlighten does: share of responses with each."""

    who: list[str]
    n: list[int]
    shares: dict[str, list[float]]


@dataclass(frozen=True)
class TransferLine:
    """One measure of one evaluation before and after RL."""

    evaluation: str
    condition: str
    metric: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    n_problems: int
    n_seeds: int

    @property
    def is_share(self) -> bool:
        """Whether the measure is a share of the items."""
        return self.metric != METRIC_NAMES["n_tokens"]


def social(params: Params, results: Path) -> dict[str, Any]:
    """The content of the page.

    Raises:
        ArtifactError: a table or figure is missing.
    """
    folder = results / FOLDER
    found = load_findings_report(folder / "findings.json")
    names = _names(params)
    return {
        "names": names,
        "lines": [*social_lines(results)],
        "responses": response_lines(params, folder),
        "languages": _languages(params, folder),
        "words": _words(params, folder),
        "transfer": _transfer(folder),
        "pairs": _records(folder / "pairs.parquet"),
        "published": PUBLISHED,
        "figures": social_figures(params, results),
        "confidence": found.confidence,
        "stories": params.social_iqa.source == "stories",
    }


def social_lines(results: Path) -> list[Line]:
    """All that is claimed, with its verdicts."""
    folder = results / FOLDER
    found = load_findings_report(folder / "findings.json")
    return [*_claims(folder), *map(_finding, found.results)]


def _names(params: Params) -> dict[str, str]:
    """Conditions by their path, in words: the model, and what differs from the main settings."""
    names: dict[str, str] = {}
    for run in params.runs:
        variant = run.algorithm.removeprefix(params.rl.algorithm).strip("_").replace("_", " ")
        shown = run.model.replace("_", " ") + (f", {variant}" if variant else "")
        names |= {f"{run.model}/{run.priming}/{run.algorithm}": shown, f"{run.model}/{run.priming}": shown}
    return names


def _languages(params: Params, folder: Path) -> list[LanguageLine]:
    table = read_parquet(folder / "mixing_overall.parquet")
    ours = [
        LanguageLine(
            _names(params)[row["condition"]],
            int(row["n"]),
            float(row["original_english"]),
            float(row["original_chinese"]),
            float(row["original_mixed"]),
            Shown(float(row["mixed"]), float(row["low"]), float(row["high"])),
        )
        for row in table[table["source"] == EVALUATION].to_dict("records")
    ]
    theirs = [
        LanguageLine(
            f"published, {row['model']}",
            int(row["thoughts"]),
            row["english"] / row["thoughts"],
            row["chinese"] / row["thoughts"],
            row["both"] / row["thoughts"],
        )
        for row in social_language().to_dict("records")
    ]
    return ours + theirs


def _words(params: Params, folder: Path) -> Words:
    table = read_parquet(folder / "original_words.parquet")
    mixing = read_parquet(folder / "mixing_overall.parquet")
    sizes = mixing[mixing["source"] == EVALUATION].set_index("condition")["n"]
    names = _names(params)
    columns = {
        (names[str(condition)], int(sizes[condition])): rows.set_index("word")["percent"] / 100
        for condition, rows in table[table["source"] == EVALUATION].groupby("condition", sort=False)
    }
    for model, rows in social_words().groupby("model", sort=False):
        thoughts = int(rows["thoughts"].iloc[0])
        columns[f"published, {model}", thoughts] = rows.set_index("word")["responses"] / thoughts
    shares = {
        str(word): [float(column.get(word, 0.0)) for column in columns.values()]
        for word in table["word"].unique()
    }
    return Words(
        [who for who, _ in columns],
        [n for _, n in columns],
        {word: found for word, found in shares.items() if any(found)},
    )


def social_figures(params: Params, results: Path) -> list[Figure]:
    """The figures about Social IQa."""
    names = [name for name in available_figures(params) if task_of_figure(name) == "social_iqa"]
    return read_figures([results / "figures" / f"{name}.svg" for name in names])


def _claims(folder: Path) -> list[Line]:
    lines = []
    for result in load_report(folder / "claims.json").results:
        claim, ours = result.claim, result.ours
        lines.append(
            Line(
                sentence=claim.sentence,
                condition=f"{claim.better.model}/{claim.better.priming}",
                about="",
                measure=f"{metric_name(claim.metric)} on held-out problems after RL minus before",
                unit="points" if claim.metric in SHARES else "",
                effect=None if ours is None else ours.effect,
                low=None if ours is None else ours.low,
                high=None if ours is None else ours.high,
                n=None if ours is None else ours.n_problems,
                verdict=result.verdict,
                reason=result.reason,
                source=claim.source,
                published="no value published",
            )
        )
    return lines


def _finding(result: FindingResult) -> Line:
    shown = result.model_dump(exclude={"finding"})
    finding = result.finding
    return Line(
        **shown,
        sentence=finding.sentence,
        measure=finding.measure,
        unit=finding.unit,
        source=finding.source,
        published=finding.published,
    )


def _transfer(folder: Path) -> list[TransferLine]:
    rows = _records(folder / "transfer.parquet")
    return [TransferLine(**row | {"metric": METRIC_NAMES[row["metric"]]}) for row in rows]


def _records(path: Path) -> list[dict[str, Any]]:
    """Rows of a table that is there when anything was evaluated besides the task."""
    table = read_parquet(path) if path.exists() else pd.DataFrame()
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
