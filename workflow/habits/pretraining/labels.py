"""Rule ``labels``: the behaviors in one shard's documents, whoever counts them.

Reads a shard of ``data/corpus`` and ``data/deduplication/{corpus}.parquet``, whose documents it leaves out;
writes ``data/labels/{corpus}/shard{shard}.parquet``, one row a document. The file appears when the shard is
complete; a language model's replies are stored before that, so a killed shard asks for none of them again.
With ``labelling.cascade`` it is asked only about what ``results/cascade`` leaves open.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from habits.artifacts import ArtifactError, read_parquet, replacing, stamp
from habits.params import Params
from habits.pretraining.labelled import SCHEMA, STATUSES, Label, Text, label_by_rules
from habits.pretraining.labelling import label_by_model, rater_of
from habits.pretraining_params import RULES
from habits.progress import Progress

BATCH = 512  # documents in memory at once, with rules
ASKED_AT_ONCE = 10_000  # documents of one batch at a vendor

Labeller = Callable[[Sequence[Text]], list[Label]]


class LabelError(RuntimeError):
    """Too many documents could not be labelled; the message says why and which settings decide."""


def write_labels(
    params: Params,
    corpus: str,
    shard: int,
    documents: Path,
    repeated: Path,
    cascade: Path,
    out: Path,
    gpus: int = 0,
) -> None:
    """Label the documents of one shard.

    Args:
        documents: the shard.
        repeated: the corpus's repeated documents.
        cascade: what rule ``cascade`` wrote; read with ``labelling.cascade``.
        gpus: over which vLLM spreads the model.

    Raises:
        ArtifactError: an input is missing.
        LabelError: more labels failed than ``labelling.max_failed_rate`` allows.
    """
    name = f"labels {corpus} shard {shard}"
    dropped = set(read_parquet(repeated, ["document"])["document"])
    if not documents.exists():
        raise ArtifactError(f"{documents} does not exist; make it with `snakemake --cores all {documents}`")
    source = pq.ParquetFile(documents)
    progress, read = Progress(name, source.metadata.num_rows), 0
    by_rules = params.labelling.labeller == RULES
    label = _labeller(params, corpus, cascade, gpus)
    statuses: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    with replacing(out) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for batch in source.iter_batches(
            BATCH if by_rules else ASKED_AT_ONCE, columns=["document", "text", "n_tokens"]
        ):
            texts = list(texts_of(batch, dropped))
            labels = label(texts)
            rows = [found.row(text) for found, text in zip(labels, texts, strict=True)]
            writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
            statuses.update(found.status for found in labels)
            reasons.update(found.reason for found in labels if found.reason)
            read += len(batch)
            progress.update(read)
        check_failures(params, name, statuses, reasons)
    parents = [documents, repeated, *([cascade] if params.labelling.cascade else [])]
    stamp(out, settings={"labelling": params.labelling.model_dump()}, parents=parents)


def texts_of(batch: pa.RecordBatch, dropped: set[int]) -> Iterator[Text]:
    """The documents of a batch (document, text, n_tokens) that are not ``dropped``."""
    for row in batch.to_pylist():
        if row["document"] not in dropped:
            yield Text(row["document"], row["text"], row["n_tokens"])


def _labeller(params: Params, corpus: str, cascade: Path, gpus: int) -> Labeller:
    if params.labelling.labeller == RULES:
        return _by_rules
    ask: Labeller = lambda texts: label_by_model(params, texts, gpus)  # noqa: E731
    if not params.labelling.cascade:
        return ask
    from habits.pretraining.classifier import label_in_steps, read_lines

    lines, rater = read_lines(cascade, corpus), f"cascade/{rater_of(params)}"
    return lambda texts: label_in_steps(lines, rater, texts, ask)


def _by_rules(texts: Sequence[Text]) -> list[Label]:
    return [label_by_rules(text.text) for text in texts]


def check_failures(params: Params, name: str, statuses: Counter[str], reasons: Counter[str]) -> None:
    """Say how many labels failed; LabelError when they are more than ``labelling.max_failed_rate`` allows.

    Args:
        name: the step and its part, for messages.
        statuses: labels by status.
        reasons: failed ones by reason.
    """
    total = statuses.total()
    failed = total - statuses["ok"]
    told = f"{failed} of {total} documents without labels"
    shown = ", ".join(f"{status} {statuses[status]}" for status in STATUSES[1:])
    print(f"[{name}] {told} ({shown})", file=sys.stderr, flush=True)
    if failed > params.labelling.max_failed_rate * total:
        often = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common(3))
        raise LabelError(
            f"{name}: {told} ({shown}), more than labelling.max_failed_rate "
            f"{params.labelling.max_failed_rate:g} allows. Most often: {often}. The replies stay stored: a "
            "higher labelling.max_failed_rate lets the step pass at no cost; requests without reply are "
            "sent again; another labeller or labelling.max_tokens asks anew"
        )
