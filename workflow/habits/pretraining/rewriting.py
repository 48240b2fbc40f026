"""Rule ``rewriting``: documents with behaviors, and matched ones without, as question, thought and answer.

Reads ``data/corpus`` and ``data/labels`` of ``rewriting.corpora`` and the evaluation problems, whose numbers
no row may have; writes ``data/rewriting/``: ``pretraining_curated.parquet`` and
``pretraining_negative.parquet`` (row i of one is matched with row i of the other) and ``accounting.parquet``,
what became of every document. Shards are read one after the other, until there are enough rows of both kinds.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, read_parquet, replacing, stamp, write_parquet
from habits.params import Params
from habits.pretraining.pairing import Candidate, pair
from habits.pretraining.retelling import retell
from habits.pretraining.rewriting_by_model import rewrite_by_model
from habits.pretraining.rows import CURATED, NEGATIVE, SCHEMA, SETS, Checks, Origin, Row
from habits.pretraining_params import SYMBOLIC_REWRITER
from habits.priming.language import BEHAVIORS
from habits.priming.traces import prompt_template
from habits.progress import Progress
from habits.tasks.countdown.table import read_problems

BATCH = 2_000  # documents read at once
ASKED_AT_ONCE = 4_000  # of a language model: one on this machine is loaded anew each time
SPARE = 1.5  # rows of a kind that are enough, in budgets: some find no match
EVALUATION = ("validation", "test")

Rewriter = Callable[[Sequence[tuple[Checks, Origin]]], list[Row]]


class RewritingError(RuntimeError):
    """The documents do not give both sets; the message says what became of them."""


def write_rewriting(
    params: Params, documents: Path, labels: Path, problems: Path, out: Path, gpus: int = 0
) -> None:
    """Write both sets.

    Args:
        documents: the folder of the corpora.
        labels: the folder of the labels.
        problems: the problems folder.
        out: the folder of the sets.
        gpus: over which vLLM spreads the model.

    Raises:
        ArtifactError: an input is missing.
        RewritingError: not one pair of rows was found.
    """
    settings = params.rewriting
    evaluation = [problems / f"{split}.parquet" for split in EVALUATION]
    forbidden = frozenset(tuple(sorted(p.numbers)) for file in evaluation for p in read_problems(file))
    template = prompt_template(params).name
    checks = {name: Checks(name, template, settings.max_row_tokens, forbidden) for name in SETS}
    symbolic = settings.rewriter == SYMBOLIC_REWRITER
    rewrite: Rewriter = _retold if symbolic else lambda wanted: rewrite_by_model(params, wanted, gpus)  # noqa: E731
    rows = Rows(SPARE * settings.tokens)
    waiting: dict[str, list[Origin]] = {name: [] for name in SETS}
    parents = []
    shards = [(c, s) for c in settings.corpora for s in params.pretraining.shards(c)]
    progress = Progress("rewriting", len(shards))
    for done, (corpus, shard) in enumerate(shards, start=1):
        files = [folder / corpus / f"shard{shard:04d}.parquet" for folder in (documents, labels)]
        parents += files
        for origins in candidates(params, corpus, *files):
            for name in SETS:
                waiting[name] += [] if rows.are_enough(name) else origins[name]
            if symbolic or sum(map(len, waiting.values())) >= ASKED_AT_ONCE:
                rows.add(rewrite, checks, waiting)
        progress.update(done)
    rows.add(rewrite, checks, waiting)
    for path in _write_sets(params, rows, out):
        stamp(path, settings={"rewriting": settings.model_dump()}, parents=[*parents, *evaluation])


@dataclass
class Rows:
    """The rows of both sets so far, and what became of every document that was tried.

    Args:
        enough: response tokens of a set beyond which none is tried for it.
    """

    enough: float
    found: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in SETS})
    accounts: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in SETS})
    seen: set[str] = field(default_factory=set)

    def are_enough(self, name: str) -> bool:
        """Whether a set needs no more."""
        return sum(row.n_tokens for row in self.found[name]) >= self.enough

    def add(self, rewrite: Rewriter, checks: dict[str, Checks], waiting: dict[str, list[Origin]]) -> None:
        """Rewrite the documents of both sets that are waiting, and let none wait on."""
        wanted = [(checks[name], origin) for name in SETS for origin in waiting[name]]
        for (check, _), row in zip(wanted, rewrite(wanted), strict=True):
            status = "duplicate" if row.status == "ok" and row.response in self.seen else row.status
            self.accounts[check.name][status] += 1
            if status == "ok":
                self.seen.add(row.response)
                self.found[check.name].append(row)
        for name in SETS:
            waiting[name] = []


def candidates(
    params: Params, corpus: str, documents: Path, labels: Path
) -> Iterator[dict[str, list[Origin]]]:
    """Documents of a shard that pose and solve a problem, rich in behaviors or without any, in batches."""
    known = read_parquet(labels, ["document", *BEHAVIORS, "is_problem", "is_solution", "domain", "status"])
    known = known[(known["status"] == "ok") & known["is_problem"].eq(True) & known["is_solution"].eq(True)]
    found = {int(row["document"]): row for row in known.to_dict("records")}
    if not documents.exists():
        raise ArtifactError(f"{documents} does not exist; make it with `snakemake --cores all {documents}`")
    for batch in pq.ParquetFile(documents).iter_batches(BATCH, columns=["document", "text"]):
        origins: dict[str, list[Origin]] = {name: [] for name in SETS}
        for document, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            label = found.get(document)
            if label is not None:
                counts = {behavior: int(label[behavior]) for behavior in BEHAVIORS}
                origin = Origin(corpus, document, str(label["domain"]), text, counts)
                if sum(counts.values()) >= params.rewriting.min_behaviors:
                    origins[CURATED].append(origin)
                elif not sum(counts.values()):
                    origins[NEGATIVE].append(origin)
        yield origins


def _retold(wanted: Sequence[tuple[Checks, Origin]]) -> list[Row]:
    """The symbolic rewriter: number puzzles in the words of the models that will read them."""
    rows = []
    for checks, origin in wanted:
        retold = retell(origin.text)
        if retold is None:
            rows.append(Row(origin, "no_row"))
        else:
            thought = retold.thought if checks.template == "short" else retold.told
            rows.append(checks.row(origin, retold.question, thought, retold.answer, retold.problem))
    return rows


def _write_sets(params: Params, collected: Rows, out: Path) -> Iterator[Path]:
    """Write the three tables; each path follows when it is there."""
    settings, rows, accounts = params.rewriting, collected.found, collected.accounts
    listed = {
        name: [Candidate(place, row.origin.domain, row.n_tokens) for place, row in enumerate(rows[name])]
        for name in SETS
    }
    pairs = pair(listed[CURATED], listed[NEGATIVE], settings.length_tolerance, settings.tokens)
    told = "; ".join(f"{name}: {dict(accounts[name].most_common())}" for name in SETS)
    if not pairs:
        raise RewritingError(
            f"not one pair of rows: {told}. More documents (pretraining.corpora.*.documents), a smaller "
            "rewriting.min_behaviors or a larger rewriting.length_tolerance would help"
        )
    chosen = {
        CURATED: [rows[CURATED][pair.curated] for pair in pairs],
        NEGATIVE: [rows[NEGATIVE][pair.negative] for pair in pairs],
    }
    table = [
        {"set": name, "status": status, "documents": count}
        for name in SETS
        for status, count in _accounted(accounts[name], len(pairs)).items()
    ]
    for name in SETS:
        records = [row.record(name, place, settings.rewriter) for place, row in enumerate(chosen[name])]
        path = out / f"{name}.parquet"
        with replacing(path) as temporary:
            pq.write_table(pa.Table.from_pylist(records, SCHEMA), temporary, compression="zstd")
        tokens = sum(row.n_tokens for row in chosen[name])
        print(f"[rewriting] {name}: {len(pairs)} rows, {tokens} tokens", file=sys.stderr, flush=True)
        yield path
    write_parquet(pd.DataFrame(table), out / "accounting.parquet")
    yield out / "accounting.parquet"


def _accounted(counts: Counter[str], pairs: int) -> dict[str, int]:
    """Documents by status; those that were fine and found no match, or no room, apart."""
    return {**counts, "ok": pairs, "unmatched": counts["ok"] - pairs}
